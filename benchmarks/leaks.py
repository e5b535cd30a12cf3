"""How long `nameplate leaks` takes, in how much memory, and that it finds what was planted.

    python benchmarks/leaks.py --json                   a million training rows, 20,000 held-out (about ten minutes)
    python benchmarks/leaks.py --plain                  the same, every image with one of 50 perceptual hashes
    python benchmarks/leaks.py --quick                  the way, not the result

The split table is made: captions of 22 to 40 words from a few templates and vocabularies, random perceptual hashes, no
image files (so near images stay suspicions, and reading pictures costs nothing here). One held-out row in a hundred has
each planted kind. The audit runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from figures import machine, markdown, rounded
from nameplate.records import SCHEMAS, rejected_schema
from nameplate.store.rundir import RunDirectory

PLANTED = ("image", "group", "page", "near_image", "caption", "near_caption")
_ONE_IN = 100
_SHARD = 50_000
_OPENINGS = ("This product is a", "We see a", "Here is a", "The picture shows a", "A closer look shows a")
_AUDIT = """
import json, sys, time
from pathlib import Path
from nameplate.progress import SilentProgress
from nameplate.stages.leaks import LeakChoices, run_leaks
from nameplate.store.memory import peak_bytes
from nameplate.store.rundir import RunDirectory
before, started = peak_bytes(), time.monotonic()
found = run_leaks(LeakChoices(), run=RunDirectory(Path(sys.argv[1])), split="made", progress=SilentProgress())
seconds = time.monotonic() - started
kinds = {each.kind.value: sum(each.rows.values()) for each in found.kinds}
print(json.dumps({"seconds": seconds, "peak_mb": peak_bytes() / 1e6, "before_mb": before / 1e6, "kinds": kinds}))
"""


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="nameplate-benchmark-") as folder:
        planted = write_split(Path(folder), rows=options.rows, held=options.held, plain=options.plain)
        command = [sys.executable, "-c", _AUDIT, folder]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    figures = rounded(
        {
            "benchmark": "leaks",
            "machine": machine(),
            "rows": options.rows,
            "held": options.held,
            "plain": options.plain,
            "planted": planted,
            **found,
        }
    )
    print(f"{options.rows:,} training rows, {options.held:,} held-out: {found['seconds']:.0f} s, ", end="")
    print(f"{found['peak_mb']:.0f} MB at most\n")
    print(
        markdown(("kind", "planted", "found"), [(kind, planted[kind], found["kinds"].get(kind, 0)) for kind in PLANTED])
    )
    if options.json:
        print(json.dumps(figures))


def write_split(folder: Path, *, rows: int, held: int, plain: bool) -> Counter[str]:
    """Write the split's shards; how many held-out rows have each planted kind."""
    rng = random.Random(0)
    tables, planted = RunDirectory(folder).tables("split"), Counter[str]()
    sources: list[dict[str, Any]] = []
    for index, start in enumerate(range(0, rows + held, _SHARD)):
        shard = []
        for number in range(start, min(start + _SHARD, rows + held)):
            row = _row(number, "train" if number < rows else ("validation", "test")[number % 2], rng, plain=plain)
            if number >= rows:
                _plant(row, sources[number % len(sources)], number % _ONE_IN, planted, rng)
            elif number % (1 + rows // 5_000) == 0:
                sources.append(row)
            shard.append(row)
        table = pa.Table.from_pylist(shard, schema=SCHEMAS["split"])
        tables.write(index, table, rejected_schema("split").empty_table())
    return planted


def _row(number: int, split: str, rng: random.Random, *, plain: bool) -> dict[str, Any]:
    phash = rng.randrange(50) << 40 if plain else rng.getrandbits(64)
    return {
        "row_id": f"{number:09d}",
        "name": f"Brand {number % 300}",
        "title": f"Thing {number}",
        "caption": _caption(rng),
        "product_code": f"C{number}",
        "page_url": f"https://shop.example/{number}",
        "image_sha256": f"{number:064x}",
        "image_ext": "jpg",
        "image_phash": f"{phash:016x}",
        "image_source_sha256": f"{number:063x}s",
        "split": split,
        "group_id": f"g{number}",
    }


def _caption(rng: random.Random) -> str:
    words = " ".join(f"word{rng.randrange(4000)}" for _ in range(rng.randrange(18, 36)))
    return f"{rng.choice(_OPENINGS)} {words}."


def _plant(row: dict[str, Any], source: dict[str, Any], place: int, planted: Counter[str], rng: random.Random) -> None:
    """Let a held-out row share one thing with a training row, if it is its turn."""
    if place >= len(PLANTED):
        return
    kind = PLANTED[place]
    planted[kind] += 1
    columns = {"image": "image_sha256", "group": "group_id", "page": "page_url", "caption": "caption"}
    if kind in columns:
        row[columns[kind]] = source[columns[kind]]
    elif kind == "near_image":
        row["image_phash"] = (
            f"{int(source['image_phash'], 16) ^ (1 << rng.randrange(64)) ^ (1 << rng.randrange(64)):016x}"
        )
    else:
        words = source["caption"].split()
        words[-1] = "other."
        row["caption"] = " ".join(words)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="training rows")
    parser.add_argument("--held", type=int, default=20_000, help="held-out rows")
    parser.add_argument("--plain", action="store_true", help="every image has one of 50 perceptual hashes")
    parser.add_argument("--quick", action="store_true", help="20,000 rows and 1,000")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.held = 20_000, 1_000
    return options


if __name__ == "__main__":
    main()
