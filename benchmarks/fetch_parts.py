"""Where the processor time of one image goes: each part of the fetch stage by itself, in one thread."""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp

from fetch_runs import Place
from nameplate.recipe import ImageSection
from nameplate.stages.fetch.pixels.decode import strict_pillow
from nameplate.stages.fetch.pixels.prepare import prepare_image
from nameplate.store.images import ImageStore
from shop_links import HOST, LinkKind, link_kinds

_NUM_IMAGES = 200
_CONNECTIONS = 32

# The C functions in which preparing an image spends its time, by what they are to a reader.
_INNER = {
    "'decode' of 'ImagingDecoder'": "of which decoding",
    "'resize' of 'ImagingCore'": "of which making it smaller",
    "'encode_to_file' of 'ImagingEncoder'": "of which encoding",
    "'encode' of 'ImagingEncoder'": "of which encoding",
}


def cost_of_parts(place: Place, *, longest_side: int) -> dict[str, float]:
    """CPU milliseconds an image, for each part."""
    rows = [row for row, kind in enumerate(link_kinds(place.num_links)) if kind is LinkKind.GOOD][:_NUM_IMAGES]
    bodies: list[bytes] = []

    def ask() -> None:
        bodies.extend(asyncio.run(_bodies(place.shop.port, rows)))

    request_ms = _cpu_ms(ask) / len(rows)
    section = ImageSection(longest_side=longest_side)
    with strict_pillow():
        prepare_ms = _cpu_ms(lambda: _prepare(bodies, section)) / len(bodies)
        inner = _profiled(lambda: _prepare(bodies, section))
        kept = _prepare(bodies, section)
    with tempfile.TemporaryDirectory(dir=place.folder) as folder:
        store = ImageStore(Path(folder))
        store_ms = _cpu_ms(lambda: [store.put(data, "jpg") for data in kept]) / len(kept)
    return {
        "asking for it (bare aiohttp)": request_ms,
        "making it plain (`prepare_image`)": prepare_ms,
        **{name: seconds / len(bodies) * 1000 for name, seconds in inner.items()},
        "keeping it (`ImageStore.put`)": store_ms,
    }


async def _bodies(port: int, rows: Sequence[int]) -> list[bytes]:
    turns = asyncio.Semaphore(_CONNECTIONS)

    async def body(row: int) -> bytes:
        async with turns, session.get(f"http://{HOST}:{port}/p/{row}.jpg") as response:
            return await response.read()

    async with aiohttp.ClientSession() as session:
        return await asyncio.gather(*map(body, rows))


def _prepare(bodies: Sequence[bytes], section: ImageSection) -> list[bytes]:
    return [prepare_image(body, section).data for body in bodies]


def _cpu_ms(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1000


def _profiled(work: Callable[[], object]) -> dict[str, float]:
    """Seconds in each of the inner functions."""
    profile = cProfile.Profile(time.process_time)
    profile.runcall(work)
    seconds = dict.fromkeys(_INNER.values(), 0.0)
    for (_, _, name), (_, _, own_seconds, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        for pattern, part in _INNER.items():
            if pattern in name:
                seconds[part] += own_seconds
    return seconds
