"""What each level of the frozen prefix costs and saves on this machine, for a random InternVL of 50 million parameters.

    python benchmarks/prefix.py             each level by its first batches, and what it makes of 100 thousand images
    python benchmarks/prefix.py --quick     a tiny model: the way, not the result
    python benchmarks/prefix.py --json      one JSON object with every figure as the last line

Says for each level how long a value takes to compute, to write and to read, how large it is, and from how many epochs
on it pays: docs/frozen-prefix.md has the figures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from figures import machine, markdown, rounded
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.load import load_model
from nameplate.models.policy import apply_policies
from nameplate.models.precision import compute_dtype, frozen_dtype, set_training_attention
from nameplate.models.prefix.costs import Cost, Work
from nameplate.models.prefix.frozen import FrozenPrefix, Item
from nameplate.models.prefix.levels import judge_levels
from nameplate.models.prefix.skipping import language_layers
from nameplate.models.prefix.store import PrefixStore
from nameplate.models.prefix.trial import try_level
from nameplate.models.prompts import PROMPTS
from nameplate.recipe import TrainSection
from train_shop import FULL, QUICK, Size, captions, write_model, write_run

NUM_IMAGES = 48
MANY = 100_000


def main() -> None:
    """Measure and print."""
    options = _options()
    size = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        figures = rounded(
            {"machine": machine(), "dtype": str(compute_dtype()), "levels": list(measure(size, Path(folder)))}
        )
    header = ("level", "bytes each", "computing", "writing", "reading", "pays from epochs on", f"{MANY:,} values")
    rows = [
        (
            each["level"],
            f"{each['bytes_each'] / 1e3:,.0f} kB",
            f"{1e3 * each['compute_seconds']:.1f} ms",
            f"{1e3 * each['write_seconds']:.1f} ms",
            f"{1e3 * each['read_seconds']:.2f} ms",
            each["pays_from"] or "never",
            f"{each['bytes_each'] * MANY / 1e9:.0f} GB, {each['fill_minutes']:.0f} min",
        )
        for each in figures["levels"]
    ]
    print(markdown(header, rows))
    if options.json:
        print(json.dumps(figures))


def measure(size: Size, folder: Path) -> Iterator[dict[str, Any]]:
    """Every level of a model whose last quarter of the language model learns."""
    write_model(folder / "base", size)
    loaded = load_model(str(folder / "base"))
    run = write_run(folder / "run", captions(NUM_IMAGES, fewest=30, most=110))
    rows = run.tables("split").read_kept().to_pylist()
    items = [
        Item(
            ImageKey(row["image_sha256"], row["image_ext"]), loaded.processor.encode(PROMPTS["detail"], row["caption"])
        )
        for row in rows
    ]
    last = {"mode": "last", "num_layers": max(1, size.language_layers // 4)}
    section = TrainSection.model_validate(
        {"vision": {"mode": "frozen"}, "projector": {"mode": "frozen"}, "language": last}
    )
    set_training_attention(loaded.model, longest=max(len(item.encoded.input_ids) for item in items))
    dtype = frozen_dtype(torch.bfloat16, learning=torch.float32)
    apply_policies(loaded.model, section.policies(), frozen_dtype=dtype)
    verdicts = judge_levels(section.policies(), model_type="internvl", num_layers=len(language_layers(loaded.model)))
    images = ImageCache(run.images, loaded.processor, max_bytes=0)
    for verdict in verdicts.values():
        store = PrefixStore(folder / "store" / verdict.level, max_bytes=1 << 40)
        cost = try_level(FrozenPrefix(loaded.model, images, verdict, store), items)
        yield _figures(cost, num_layers=verdict.num_layers)


def _figures(cost: Cost, *, num_layers: int) -> dict[str, Any]:
    """As if nothing stayed in memory, every value were asked for once an epoch, and nothing were there."""
    anew = cost._replace(num_values=MANY, num_missing=MANY, anew_seconds=cost.compute_seconds)
    gains = (epochs for epochs in range(1, 1000) if anew.gain(Work(epochs, MANY), room=1 << 60) > 0)
    return {
        **cost._asdict(),
        "num_layers": num_layers,
        "pays_from": next(gains, None),
        "fill_minutes": anew.fill_seconds / 60,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tiny model")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser.parse_args()


if __name__ == "__main__":
    main()
