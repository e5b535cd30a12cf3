"""A real server on loopback that misbehaves in every way it can, and a place to run the fetch stage against it."""

import asyncio
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
from aiohttp import web
from PIL import Image

from nameplate.engine import LocalEngine, Shard, StageOutcome
from nameplate.progress import SilentProgress
from nameplate.recipe import FetchSection
from nameplate.records import SCHEMAS, rejected_schema
from nameplate.stages.fetch import FetchStage
from nameplate.store.images import ImageStore
from nameplate.store.tables import StageTables

SHORT_CLOCKS = {"clocks": {"total_seconds": 1.0, "connect_seconds": 0.5, "read_seconds": 0.5}}


def jpeg(seed: int = 0) -> bytes:
    stream = BytesIO()
    image = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    image.paste((seed % 256, seed // 256, 200), (8, 8, 40, 40))
    image.save(stream, "JPEG")
    return stream.getvalue()


def _blank() -> bytes:
    stream = BytesIO()
    Image.new("RGB", (64, 64), "white").save(stream, "PNG")
    return stream.getvalue()


def _bomb() -> bytes:
    def chunk(body: bytes) -> bytes:
        return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))

    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(header) + chunk(b"IDAT" + zlib.compress(bytes(5_000))) + chunk(b"IEND")


class Shop:
    """A server that counts what it is asked, and how often at once."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.under_way = 0
        self.most_under_way = 0
        self.down = False
        self.url = ""
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Shop":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        application = web.Application()
        application.router.add_get("/{place:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        place = request.match_info["place"]
        self.asked[place] += 1
        self.agents.add(request.headers["User-Agent"])
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.down:
                return web.Response(status=500)
            return await getattr(self, "on_" + place.split("/")[0])(request, place)
        finally:
            self.under_way -= 1

    async def on_good(self, request: web.Request, place: str) -> web.StreamResponse:
        await asyncio.sleep(0.01)
        return web.Response(body=jpeg(int(place.split("/")[1])), content_type="text/plain")

    async def on_same(self, request: web.Request, place: str) -> web.StreamResponse:
        return web.Response(body=jpeg(7))

    async def on_status(self, request: web.Request, place: str) -> web.StreamResponse:
        return web.Response(status=int(place.split("/")[1]))

    async def on_flaky(self, request: web.Request, place: str) -> web.StreamResponse:
        return web.Response(status=500) if self.asked[place] <= 2 else web.Response(body=jpeg())

    async def on_busy(self, request: web.Request, place: str) -> web.StreamResponse:
        if self.asked[place] == 1:
            return web.Response(status=429, headers={"Retry-After": place.split("/")[1]})
        return web.Response(body=jpeg())

    async def on_body(self, request: web.Request, place: str) -> web.StreamResponse:
        bodies = {
            "html": b"<!DOCTYPE html><html><body>Sorry</body></html>",
            "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>",
            "json": b'{"error": 404}',
            "empty": b"",
            "half": jpeg()[:-300],
            "bomb": _bomb(),
            "blank": _blank(),
            "tiny": jpeg(),
        }
        return web.Response(body=bodies[place.split("/")[1]], content_type="image/jpeg")

    async def on_lying(self, request: web.Request, place: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "40000"})
        await response.prepare(request)
        await response.write(jpeg())
        assert request.transport is not None
        request.transport.close()
        return response

    async def on_slow(self, request: web.Request, place: str) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response(body=jpeg())

    async def on_drip(self, request: web.Request, place: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in jpeg():
            await response.write(bytes([piece]))
            await asyncio.sleep(0.1)
        return response

    async def on_endless(self, request: web.Request, place: str) -> web.StreamResponse:
        """An image's head, then bytes without end and without a Content-Length."""
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(jpeg())
        with suppress(ConnectionError):
            while True:
                await response.write(bytes(10_000))
        return response

    async def on_long(self, request: web.Request, place: str) -> web.StreamResponse:
        return web.Response(body=jpeg() + bytes(100_000))

    async def on_loop(self, request: web.Request, place: str) -> web.StreamResponse:
        raise web.HTTPFound("/loop/b" if place == "loop/a" else "/loop/a")

    async def on_chain(self, request: web.Request, place: str) -> web.StreamResponse:
        left = int(place.split("/")[1])
        raise web.HTTPFound(f"/chain/{left - 1}" if left else "/good/1")

    async def on_to(self, request: web.Request, place: str) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": request.query["url"]})

    async def on_noai(self, request: web.Request, place: str) -> web.StreamResponse:
        return web.Response(body=jpeg(), headers={"X-Robots-Tag": "noarchive, noai"})


class Workplace:
    """A store, a journal, and stages over them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images = ImageStore(root / "images")
        self.journal = root / "fetch.sqlite"

    def stage(self, **fields: Any) -> FetchStage:
        section = FetchSection(**{"allow_networks": ("127.0.0.0/8",), **fields})
        return FetchStage(section, images=self.images, journal=self.journal)

    def outcomes(self, urls: Sequence[str | None], **fields: Any) -> list[dict[str, Any]]:
        """Rows after the stage, kept and rejected, in the order of `urls`."""
        return outcomes_of(self.stage(**fields), urls)


def table_of(urls: Sequence[str | None], codes: Sequence[str | None] | None = None) -> pa.Table:
    codes = codes if codes is not None else [None] * len(urls)
    rows = [
        {"row_id": f"{place:05d}", "name": "ACME", "image_url": url, "product_code": code}
        for place, (url, code) in enumerate(zip(urls, codes, strict=True))
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["ingest"])


def outcomes_of(stage: FetchStage, urls: Sequence[str | None]) -> list[dict[str, Any]]:
    done: list[int] = []
    result = stage.run_shard(table_of(urls), done.append)
    assert sum(done) == len(urls)
    assert result.kept.schema == SCHEMAS["fetch"]
    assert result.rejected.schema == rejected_schema("fetch")
    rows: list[dict[str, Any]] = result.kept.to_pylist() + result.rejected.to_pylist()
    assert all(row["image_status"] == row.get("reason", "ok") for row in rows)
    rows.sort(key=lambda row: str(row["row_id"]))
    assert [row["row_id"] for row in rows] == [f"{place:05d}" for place in range(len(urls))]
    return rows


def _shard(index: int, table: pa.Table) -> Shard:
    return Shard(index, lambda: table)


def run_shards(stage: FetchStage, tables: StageTables, shards: list[pa.Table]) -> StageOutcome:
    inputs = [_shard(index, table) for index, table in enumerate(shards)]
    return LocalEngine().run(stage, inputs, tables=tables, progress=SilentProgress())
