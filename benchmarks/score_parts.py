"""Where the processor time of an answer goes, of one image of 64 in float32; run it by itself.

python benchmarks/score_parts.py
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from figures import markdown
from nameplate.models import generate
from nameplate.models.features import vision_features
from nameplate.models.generate import answer
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import load_model
from nameplate.models.step.allocator import freed_memory_kept
from nameplate.store.rundir import RunDirectory
from train_shop import FULL, PROMPT, captions, write_model, write_run

_IMAGES, _TOKENS, _TIMES = 64, 48, 2


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        write_model(Path(name) / "model", FULL)
        run = write_run(Path(name) / "run", captions(_IMAGES, fewest=5, most=9))
        rows = measure(Path(name) / "model", run)
    print(markdown(["part", "generate, batches of 64", "ours"], rows))


def measure(folder: Path, run: RunDirectory) -> list[list[str]]:
    """Milliseconds of each part, theirs and ours."""
    loaded = load_model(str(folder))
    loaded.processor.end_id = -1
    rows = run.tables("split").read_kept().to_pylist()
    files = [run.images.read(row["image_sha256"], row["image_ext"]) for row in rows]
    pixels = loaded.processor.batch([loaded.processor.prepare(each) for each in files])

    def prepare() -> object:
        return loaded.processor.batch([loaded.processor.prepare(each) for each in files])

    def look() -> ImageBatch:
        return vision_features(loaded.model, pixels)

    def say(tokens: int) -> Callable[[], object]:
        return lambda: answer(loaded, seen, [PROMPT] * _IMAGES, max_new_tokens=tokens)

    seen = look()
    found: dict[str, list[float]] = {}
    for ours in (False, True):
        # Without it `answer` takes the way of other families: transformers' `generate`, on features.
        generate.can_read = (lambda _: True) if ours else (lambda _: False)
        whole, one = (_with_memory(say(tokens), kept=ours) for tokens in (_TOKENS, 1))
        parts = {
            "decode, resize, normalise": _with_memory(prepare, kept=ours),
            "vision": _with_memory(look, kept=ours),
            "question and first token": one,
            f"the other {_TOKENS - 1} tokens": whole - one,
        }
        for part, milliseconds in parts.items():
            found.setdefault(part, []).append(milliseconds)
    return [[part, *(f"{each:.0f}" for each in pair)] for part, pair in found.items()]


def _with_memory(work: Callable[[], object], *, kept: bool) -> float:
    if not kept:
        return _cpu_ms(work)
    with freed_memory_kept():
        return _cpu_ms(work)


def _cpu_ms(work: Callable[[], object]) -> float:
    """Processor time for one image: the least of a few, after one that warms up."""
    work()
    spent = []
    for _ in range(_TIMES):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return 1000 * min(spent) / _IMAGES


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
