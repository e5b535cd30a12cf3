"""A teacher that answers everything after a while, and knows how many requests were with it at once.

Its figures are what the benchmark is about, so it does as little as it can: it reads no JSON and looks at no image.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

_ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "This Acme cap is made of red cotton. It has a curved brim, a small white logo on the "
                    "front, six stitched panels and a strap with a metal buckle at the back.",
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 900, "completion_tokens": 40, "total_tokens": 940},
    }
).encode()


class Load:
    """How many requests were under way, over time."""

    def __init__(self) -> None:
        self.under_way = self.most = self.requests = 0
        self.busy_seconds = 0.0
        self.first: float | None = None
        self.last = 0.0

    def change(self, by: int) -> None:
        """One more, or one less."""
        now = time.monotonic()
        if self.first is None:
            self.first = self.last = now
        self.busy_seconds += self.under_way * (now - self.last)
        self.last = now
        self.under_way += by
        self.most = max(self.most, self.under_way)
        self.requests += by > 0

    def figures(self) -> bytes:
        """Mean and most requests under way between the first request and the last reply."""
        seconds = self.last - (self.first or 0.0)
        mean = self.busy_seconds / seconds if seconds else 0.0
        return json.dumps({"mean": mean, "most": self.most, "requests": self.requests, "seconds": seconds}).encode()


async def serve(latency_seconds: float) -> None:
    """Serve for ever; prints the port."""
    load = Load()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await _answer(head, reader)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                )
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(head: bytes, reader: asyncio.StreamReader) -> bytes:
        if head.startswith(b"GET /load"):
            nonlocal load
            said, load = load.figures(), Load()
            return said
        if not head.startswith(b"POST"):
            return b'{"object": "list", "data": [{"id": "m"}]}'
        load.change(1)
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        await asyncio.sleep(latency_seconds)
        load.change(-1)
        return _ANSWER

    server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1 << 20, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
