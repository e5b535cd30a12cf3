"""A real server on loopback that misbehaves in every way it can, and a place to run the fetch stage against it."""

import asyncio
import socket
import struct
import threading
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from email.utils import formatdate
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
from aiohttp import web
from PIL import Image

from nameplate.engine import LocalEngine, Shard, StageOutcome
from nameplate.engine.services import LocalServices
from nameplate.progress import SilentProgress
from nameplate.recipe import FetchSection
from nameplate.records import SCHEMAS, rejected_schema
from nameplate.stages.fetch import FetchStage
from nameplate.store.images import ImageStore
from nameplate.store.tables import StageTables

SAME = 60_000
"""The number of the picture that all /same links show."""

SHORT_CLOCKS = {"clocks": {"total_seconds": 5.0, "connect_seconds": 3.0, "read_seconds": 3.0}}
"""Short for a person, long for a machine that stands still for a second now and then: what is quick is in time."""


def jpeg(number: int = 0) -> bytes:
    """A picture that shows its number: sixteen squares, black for 0 and white for 1."""
    image = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    for bit in range(16):
        x, y = 8 * (bit % 8), 8 + 16 * (bit // 8)
        image.paste("white" if number >> bit & 1 else "black", (x, y, x + 8, y + 8))
    return encoded(image, "JPEG", quality=95)


def number_in(data: bytes) -> int:
    """The number that a picture shows, read from its pixels."""
    grey = Image.open(BytesIO(data)).convert("L")
    squares = [grey.getpixel((8 * (bit % 8) + 4, 12 + 16 * (bit // 8))) for bit in range(16)]
    return sum(1 << bit for bit, level in enumerate(squares) if isinstance(level, int) and level > 127)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _bomb() -> bytes:
    def chunk(body: bytes) -> bytes:
        return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))

    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(header) + chunk(b"IDAT" + zlib.compress(bytes(5_000))) + chunk(b"IEND")


def _answer(body: bytes, *, length: int | None = None) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


class Shop:
    """A server that counts what it is asked, and how often at once."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.asked: Counter[str] = Counter()
        """Requests by path."""
        self.targets: Counter[str] = Counter()
        """Requests by path and query."""
        self.agents: set[str] = set()
        self.referers: defaultdict[str, list[str | None]] = defaultdict(list)
        self.under_way = 0
        self.most_under_way = 0
        self.down = False
        self.robots: tuple[int, str] = (404, "")
        self.robots_asked = 0
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
        site = web.TCPSite(runner, self.host, 0)
        self._loop.run_until_complete(site.start())
        self.url = f"http://{self.host}:{runner.addresses[0][1]}"
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        place = request.match_info["place"]
        if place == "robots.txt":
            return await self.on_robots(request)
        self.asked[place] += 1
        self.targets[request.raw_path] += 1
        self.agents.add(request.headers["User-Agent"])
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.down:
                return web.Response(status=500)
            return await getattr(self, "on_" + place.split("/")[0])(request, place)
        finally:
            self.under_way -= 1

    async def on_robots(self, request: web.Request) -> web.StreamResponse:
        self.robots_asked += 1
        status, text = self.robots
        return (
            web.Response(status=status, headers={"Location": text})
            if status == 302
            else web.Response(status=status, text=text)
        )

    async def on_good(self, request: web.Request, place: str) -> web.StreamResponse:
        await asyncio.sleep(0.01)
        return web.Response(body=jpeg(int(place.split("/")[1])), content_type="text/plain")

    async def on_clear(self, request: web.Request, place: str) -> web.StreamResponse:
        """A picture whose upper left is transparent."""
        image = Image.linear_gradient("L").resize((64, 48)).convert("RGBA")
        image.paste((0, 0, 0, 0), (0, 0, 20, 20))
        return web.Response(body=encoded(image, "PNG"))

    async def on_same(self, request: web.Request, place: str) -> web.StreamResponse:
        return web.Response(body=jpeg(SAME))

    async def on_status(self, request: web.Request, place: str) -> web.StreamResponse:
        return web.Response(status=int(place.split("/")[1]))

    async def on_flaky(self, request: web.Request, place: str) -> web.StreamResponse:
        """Twice 500, then the picture."""
        return web.Response(status=500) if self.asked[place] <= 2 else self._picture(place)

    async def on_busy(self, request: web.Request, place: str) -> web.StreamResponse:
        """Once 429 with so many seconds, then the picture."""
        if self.asked[place] == 1:
            return web.Response(status=429, headers={"Retry-After": place.split("/")[1]})
        return self._picture(place)

    async def on_rest(self, request: web.Request, place: str) -> web.StreamResponse:
        """Always 429 with so many seconds."""
        return web.Response(status=429, headers={"Retry-After": place.split("/")[1]})

    async def on_dated(self, request: web.Request, place: str) -> web.StreamResponse:
        """Once 429 with a date that is now, then the picture."""
        if self.asked[place] == 1:
            return web.Response(status=429, headers={"Retry-After": formatdate(time.time(), usegmt=True)})
        return self._picture(place)

    async def on_wanted(self, request: web.Request, place: str) -> web.StreamResponse:
        """403 to all that do not come from a page."""
        self.referers[place].append(request.headers.get("Referer"))
        return self._picture(place) if "Referer" in request.headers else web.Response(status=403)

    def _picture(self, place: str) -> web.Response:
        return web.Response(body=jpeg(int(place.split("/")[-1])))

    async def on_body(self, request: web.Request, place: str) -> web.StreamResponse:
        bodies = {
            "html": b"<!DOCTYPE html><html><body>Sorry</body></html>",
            "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>",
            "json": b'{"error": 404}',
            "empty": b"",
            "half": jpeg()[:-300],
            "broken": b"\xff\xd8\xff\xe0" + b"junk" * 100 + b"\xff\xd9",
            "flag": encoded(Image.linear_gradient("L").resize((32, 700)), "PNG"),
            "thumb": encoded(Image.linear_gradient("L").resize((8, 8)), "PNG"),
            "bomb": _bomb(),
            "blank": encoded(Image.new("RGB", (64, 64), "white"), "PNG"),
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

    async def on_short(self, request: web.Request, place: str) -> web.StreamResponse:
        """A Content-Length of half the picture, and all of it: at once, or the other half a moment later."""
        head = len(_answer(b"", length=len(jpeg()) // 2))
        answer = _answer(jpeg(), length=len(jpeg()) // 2)
        cut = len(answer) if place.split("/")[1] == "once" else head + len(jpeg()) // 2
        return await self._raw(request, answer[:cut], answer[cut:])

    async def on_garbage(self, request: web.Request, place: str) -> web.StreamResponse:
        return await self._raw(request, b"\x00\x01 come in, we are open\r\n\r\n")

    async def on_heads(self, request: web.Request, place: str) -> web.StreamResponse:
        """A header of a megabyte."""
        return await self._raw(request, b"HTTP/1.1 200 OK\r\nX-More: " + b"x" * 1_000_000 + b"\r\n\r\n")

    async def on_reset(self, request: web.Request, place: str) -> web.StreamResponse:
        assert request.transport is not None
        line = request.transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
        return web.Response()

    async def on_gossip(self, request: web.Request, place: str) -> web.StreamResponse:
        """The picture, and a moment later an answer that nobody asked for."""
        transport = request.transport
        assert transport is not None
        transport.write(_answer(jpeg(int(place.split("/")[1]))))
        await asyncio.sleep(0.05)
        transport.write(_answer(jpeg(65_535)))
        await asyncio.sleep(0.5)
        transport.close()
        return web.Response()

    async def on_gzip(self, request: web.Request, place: str) -> web.StreamResponse:
        """Compressed although we did not ask for it: a picture, or zeros without end."""
        bodies = {"picture": jpeg(int(place.split("/")[-1])), "bomb": jpeg() + bytes(20_000_000)}
        packed = zlib.compressobj(9, wbits=31)
        body = packed.compress(bodies[place.split("/")[1]]) + packed.flush()
        return web.Response(body=body, headers={"Content-Encoding": "gzip"}, content_type="image/jpeg")

    async def _raw(self, request: web.Request, *pieces: bytes) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        for piece in pieces:
            transport.write(piece)
            await asyncio.sleep(0.05)
        transport.close()
        return web.Response()

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
    stage.serve(LocalServices(stage.shared()))
    try:
        result = stage.run_shard(table_of(urls), done.append)
    finally:
        stage.close()
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
