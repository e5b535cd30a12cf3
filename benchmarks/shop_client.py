"""Starting the shop, asking it what it counted, and finding how much it can serve."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from certificate import Certificate
from shop_links import HOST


class RunningShop(NamedTuple):
    """A shop in a process of its own."""

    port: int
    certificate: Certificate | None = None

    @property
    def scheme(self) -> str:
        """http, or https where there is a certificate."""
        return "http" if self.certificate is None else "https"

    @property
    def env(self) -> dict[str, str]:
        """What a client's environment needs to trust the shop."""
        return {} if self.certificate is None else {"SSL_CERT_FILE": str(self.certificate.trusted)}

    @property
    def tls(self) -> ssl.SSLContext | None:
        """How this process trusts the shop."""
        return None if self.certificate is None else ssl.create_default_context(cafile=self.certificate.certificate)

    def reset(self) -> None:
        """Start the counts and the flaky links anew."""
        self._ask("/-/reset")

    def counts(self) -> dict[str, Any]:
        """What the shop was asked since the last reset."""
        return self._ask("/-/counts")

    def _ask(self, path: str) -> dict[str, Any]:
        url = f"{self.scheme}://{HOST}:{self.port}{path}"
        with urllib.request.urlopen(url, context=self.tls) as response:
            answer: dict[str, Any] = json.load(response)
            return answer


@contextmanager
def running_shop(*, num_links: int, num_pictures: int, certificate: Certificate | None = None) -> Iterator[RunningShop]:
    """A shop that ends with the block."""
    script = Path(__file__).with_name("shop_server.py")
    command = [sys.executable, str(script), "--links", str(num_links), "--pictures", str(num_pictures)]
    if certificate is not None:
        command += ["--tls", str(certificate.certificate), str(certificate.key)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the shop did not start")
        try:
            yield RunningShop(int(line), certificate)
        finally:
            process.communicate()


class Ceiling(NamedTuple):
    """What the shop can serve to a client that does nothing with it."""

    requests_per_second: float
    megabytes_per_second: float


def ceiling(shop: RunningShop, *, num_requests: int, connections: int) -> Ceiling:
    """Ask for good images as fast as it goes, over connections that stay open, and throw them away."""
    return asyncio.run(_load(shop, num_requests, connections))


async def _load(shop: RunningShop, num_requests: int, connections: int) -> Ceiling:
    rows, tls = iter(range(num_requests)), shop.tls
    started = time.monotonic()
    sizes = await asyncio.gather(*(_one_connection(shop.port, tls, rows) for _ in range(connections)))
    seconds = time.monotonic() - started
    return Ceiling(num_requests / seconds, sum(sizes) / seconds / 1e6)


async def _one_connection(port: int, tls: ssl.SSLContext | None, rows: Iterator[int]) -> int:
    reader, writer = await asyncio.open_connection(HOST, port, ssl=tls, limit=1 << 20)
    total = 0
    for _ in rows:
        # The same good link, again and again: whether it is another one costs the shop nothing.
        writer.write(b"GET /p/0.jpg HTTP/1.1\r\nHost: shop\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        total += len(await reader.readexactly(length))
    writer.close()
    return total
