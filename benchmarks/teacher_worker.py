"""One tool asks a teacher so many questions; prints what it cost itself, as one JSON object.

    teacher_worker.py TOOL URL REQUESTS CONCURRENCY IMAGE_BYTES

`client` is nameplate's client with its journal, desk and ladder; `stage` is the whole caption stage, which also reads
and prepares kept images and judges answers; `openai` is the openai package behind a semaphore, which keeps nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any


def main() -> None:
    """Ask, and print."""
    tool, url, requests, concurrency, image_bytes = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    with tempfile.TemporaryDirectory() as folder:
        work = _TOOLS[tool](url, requests, concurrency, image_bytes, Path(folder))
        started, spent = time.monotonic(), time.process_time()
        work()
        figures = {"seconds": time.monotonic() - started, "cpu_seconds": time.process_time() - spent}
    print(json.dumps(figures))


def _client(url: str, requests: int, concurrency: int, image_bytes: int, folder: Path) -> Callable[[], None]:
    from nameplate.recipe import CaptionSection, TeacherSection
    from nameplate.teacher.client import Question, TeacherClient

    image = os.urandom(image_bytes)
    section = CaptionSection(teacher=TeacherSection(base_urls=(url,), model="m", concurrency=concurrency))

    async def ask_all() -> None:
        async with TeacherClient(section, folder / "teacher.sqlite") as client:
            questions = (Question(f"{n}", "image/jpeg", lambda: image, "Describe it.", "Acme") for n in range(requests))
            await asyncio.gather(*(client.ask(question, lambda text, finish: []) for question in questions))

    return lambda: asyncio.run(ask_all())


def _stage(url: str, requests: int, concurrency: int, image_bytes: int, folder: Path) -> Callable[[], None]:
    import pyarrow as pa

    from nameplate.names import NameEntry, Registry
    from nameplate.recipe import CaptionSection, TeacherSection
    from nameplate.records import SCHEMAS
    from nameplate.stages.caption import CaptionStage
    from nameplate.store.images import ImageStore

    images, image, rows = ImageStore(folder / "images"), _jpeg(image_bytes), []
    for number in range(requests):
        sha256 = images.put(image + b"%d" % number, "jpg")
        rows.append({"row_id": f"{number}", "name": "Acme", "image_sha256": sha256, "image_ext": "jpg"})
    section = CaptionSection(teacher=TeacherSection(base_urls=(url,), model="m", concurrency=concurrency))
    registry = Registry((NameEntry("Acme"),))
    stage = CaptionStage(section, registry=registry, images=images, journal=folder / "teacher.sqlite")
    table = pa.Table.from_pylist(rows, schema=SCHEMAS["fetch"])

    def run() -> None:
        result = stage.run_shard(table, lambda steps: None)
        assert result.kept.num_rows == requests, result.rejected.to_pylist()[:1]

    return run


def _openai(url: str, requests: int, concurrency: int, image_bytes: int, folder: Path) -> Callable[[], None]:
    from openai import AsyncOpenAI

    image = os.urandom(image_bytes)

    async def ask_all() -> None:
        slots = asyncio.Semaphore(concurrency)
        async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:

            async def one(number: int) -> None:
                async with slots:
                    uri = f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"
                    parts: list[Any] = [{"type": "image_url", "image_url": {"url": uri}}]
                    parts.append({"type": "text", "text": f"Describe {number}."})
                    messages: list[Any] = [{"role": "user", "content": parts}]
                    await client.chat.completions.create(model="m", messages=messages, temperature=0.1, max_tokens=200)

            await asyncio.gather(*(one(number) for number in range(requests)))

    return lambda: asyncio.run(ask_all())


def _jpeg(size: int) -> bytes:
    """Noise as a JPEG of about `size` bytes."""
    from PIL import Image

    side = 64
    while True:
        stream = BytesIO()
        Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(stream, "JPEG", quality=75)
        if stream.tell() >= size:
            return stream.getvalue()
        side += 16


_TOOLS = {"client": _client, "stage": _stage, "openai": _openai}

if __name__ == "__main__":
    main()
