"""The benchmark's shop: a server that answers from memory, in a process of its own, and counts what it is asked.

    python benchmarks/shop_server.py --links 5000        prints its port, serves until its stdin closes

`/-/counts` gives the counts and `/-/reset` starts them anew; neither is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import socket
import ssl
import struct
import sys
import time
from collections import Counter
from functools import partial

from row_pictures import PictureBook
from shop_links import FINAL, HOST, SLOW_DOWN_HOST, LinkKind, link_kinds

LATENCY_SECONDS = 0.02
_SLOW_DOWN_SECONDS = 1.0
_RST_ON_CLOSE = struct.pack("ii", 1, 0)

_PAGE = b"<!DOCTYPE html><html><body>This product is not available.</body></html>"
_EMPTY = b"Content-Length: 0\r\n\r\n"


class Shop:
    """What the shop holds, and what it has been asked since the last `reset`."""

    def __init__(self, num_links: int, *, num_pictures: int, latency_seconds: float) -> None:
        self.latency_seconds = latency_seconds
        self._book = PictureBook(num_pictures)
        self._kinds = link_kinds(num_links)
        self.reset()

    def reset(self) -> None:
        """Forget what was asked."""
        self._asked: Counter[int] = Counter()
        self._statuses: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._most_at_once: Counter[str] = Counter()
        self._slow_until: float | None = None
        self.connections = 0
        self._cpu = _cpu_seconds()

    def begin(self, host: str) -> None:
        """A request has arrived."""
        self._under_way[host] += 1
        self._most_at_once[host] = max(self._most_at_once[host], self._under_way[host])

    def end(self, host: str, status: str) -> None:
        """A request is answered."""
        self._under_way[host] -= 1
        self._statuses[status] += 1

    def answer(self, path: str) -> tuple[str, bytes, LinkKind | None]:
        """Status, the rest of the answer from the first header on, and how the link misbehaves on the way."""
        row = int(path[3:-4]) if path.startswith("/p/") else -1
        if not 0 <= row < len(self._kinds):
            return "404", _EMPTY, None
        kind = self._kinds[row]
        self._asked[row] += 1
        status = self._status(kind, times_asked=self._asked[row])
        if status == "429":
            return status, b"Retry-After: 1\r\n" + _EMPTY, None
        if status != "200":
            return status, _EMPTY, kind if status == "reset" else None
        return status, self._image(row, kind), kind

    def counts(self) -> dict[str, object]:
        """What was asked since the last reset."""
        final = [row for row, kind in enumerate(self._kinds) if kind in FINAL]
        return {
            "requests": self._asked.total(),
            "links_asked": len(self._asked),
            "refused_links_asked_again": sum(max(0, self._asked[row] - 1) for row in final),
            "most_at_once": max(self._most_at_once.values(), default=0),
            "connections": self.connections,
            "statuses": dict(sorted(self._statuses.items())),
            "cpu_seconds": _cpu_seconds() - self._cpu,
        }

    def _status(self, kind: LinkKind, *, times_asked: int) -> str:
        if kind is LinkKind.FLAKY and times_asked <= 2:
            return "500"
        if kind is LinkKind.RESET or (kind is LinkKind.UNSTEADY and times_asked == 1):
            return "reset"
        if kind is LinkKind.SLOW_DOWN:
            now = time.monotonic()
            self._slow_until = self._slow_until or now + _SLOW_DOWN_SECONDS
            return "429" if now < self._slow_until else "200"
        return {LinkKind.NOT_FOUND: "404", LinkKind.GONE: "410"}.get(kind, "200")

    def _image(self, row: int, kind: LinkKind) -> bytes:
        body = _PAGE if kind is LinkKind.PAGE else self._book.jpeg(row)
        if kind is LinkKind.CUT_FILE:
            body = body[: len(body) // 2]
        refusal = b"X-Robots-Tag: noai\r\n" if kind is LinkKind.OPTED_OUT else b""
        return refusal + b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class _Connection(asyncio.Protocol):
    """HTTP/1.1 for GET alone: as little work as keeps it honest."""

    transport: asyncio.Transport

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._host = transport.get_extra_info("sockname")[0]
        self._shop.connections += 1

    def data_received(self, data: bytes) -> None:
        """A request, or a part of one; the next comes when this one is answered."""
        self._buffer += data
        if b"\r\n\r\n" not in self._buffer:
            return
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        path = head.split(b" ", 2)[1].decode("latin-1")
        closes = b"connection: close" in head.lower()
        if path.startswith("/-/"):
            self._own_question(path)
            return
        self._shop.begin(self._host)
        asyncio.get_running_loop().call_later(self._shop.latency_seconds, partial(self._answer, path, closes=closes))

    def _answer(self, path: str, *, closes: bool) -> None:
        status, rest, kind = self._shop.answer(path)
        self._shop.end(self._host, status)
        if self.transport.is_closing():
            return
        if status == "reset":
            sock: socket.socket = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
            self.transport.abort()
            return
        if kind is LinkKind.CUT_BODY:
            rest = rest[: len(rest) // 2]
        self.transport.write(b"HTTP/1.1 %s x\r\n" % status.encode() + rest)
        if closes or kind is LinkKind.CUT_BODY:
            self.transport.close()

    def _own_question(self, path: str) -> None:
        if path == "/-/reset":
            self._shop.reset()
        body = json.dumps(self._shop.counts()).encode()
        self.transport.write(b"HTTP/1.1 200 x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()


async def serve(shop: Shop, *, tls: ssl.SSLContext | None = None) -> None:
    """Serve on both of the shop's hosts until stdin closes."""
    loop = asyncio.get_running_loop()
    first = await loop.create_server(lambda: _Connection(shop), HOST, 0, backlog=1024, ssl=tls)
    port = first.sockets[0].getsockname()[1]
    second = await loop.create_server(lambda: _Connection(shop), SLOW_DOWN_HOST, port, backlog=1024, ssl=tls)
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    first.close()
    second.close()


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Serve until stdin closes."""
    parser = argparse.ArgumentParser(description="The benchmark's shop.")
    parser.add_argument("--links", type=int, required=True)
    parser.add_argument("--pictures", type=int, default=250, help="rendered pictures; all images are distinct anyway")
    parser.add_argument("--latency", type=float, default=LATENCY_SECONDS, help="seconds before each answer")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"), help="serve https")
    options = parser.parse_args()
    tls = None
    if options.tls is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*options.tls)
    shop = Shop(options.links, num_pictures=options.pictures, latency_seconds=options.latency)
    asyncio.run(serve(shop, tls=tls))


if __name__ == "__main__":
    main()
