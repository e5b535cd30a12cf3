"""What Ray costs on one machine: its start, a row of `clean`, and a word with what all workers share.

    python benchmarks/engines.py            what docs/engines.md shows (some minutes)
    python benchmarks/engines.py --quick    the way, not the result

Both engines run the same stages over the same files; that they write the same bytes is checked here too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from figures import machine, rounded
from nameplate.engine import Engine, LocalEngine, Makers, Shard, ShardResult, ShardStage, file_shards
from nameplate.engine.ray import RayEngine
from nameplate.names import NameEntry, Registry
from nameplate.progress import Advance, SilentProgress
from nameplate.recipe import CleanSection
from nameplate.records import SCHEMAS
from nameplate.stages.clean import CleanStage
from nameplate.store.tables import StageTables

NAMES = [first + second for first in ("Ar", "Bel", "Cor", "Dun") for second in ("vo", "lina", "mark", "tex", "ri")]
PIECES = (
    "A red bag by {name}, with a short handle and two pockets.",
    "It has a gold logo in the middle of the front.",
    "The sole is white and it is made of rubber.",
    "The background is plain and the light comes from the left.",
)


class Echo:
    """The least that may be shared."""

    async def say(self, number: int) -> int:
        """Answer at once."""
        return number


class Calls(ShardStage):
    """Asks a shared object and a journal for each row, one after the other, and says how long that takes."""

    name = "ingest"
    distributes = True

    def __init__(self, journal: Path) -> None:
        self._path = journal

    def shared(self) -> Makers:
        """An object that answers at once."""
        return {"echo": Echo}

    def journals(self) -> Sequence[Path]:
        """One journal."""
        return (self._path,)

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """Measure, and keep every row."""
        ids = rows["row_id"].to_pylist()

        async def ask() -> None:
            echo = self.services.shared("echo")
            for number in range(len(ids)):
                await echo.ask("say", number)

        with self.services.journal(self._path) as journal:
            seconds = {
                "shared object, one question": _seconds(lambda: asyncio.run(ask())),
                "journal, one put": _seconds(lambda: [journal.put(key, 0, {"n": key}) for key in ids]),
                "journal, one look-up": _seconds(lambda: [journal.last(key) for key in ids]),
                "journal, one of many looked up together": _seconds(lambda: journal.last_many(ids)),
            }
        each = {what: 1e6 * spent / len(ids) for what, spent in seconds.items()}
        return self.result(rows.to_pylist(), [], {"microseconds": each})

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """The times of the last shard, when everything is warm."""
        return list(tables.figures())[-1]["microseconds"]  # type: ignore[no-any-return]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of clean")
    parser.add_argument("--calls", type=int, default=2_000, help="questions to what is shared")
    parser.add_argument("--cpus", type=int, default=None, help="shards that Ray runs at once; one for each core")
    parser.add_argument("--quick", action="store_true", help="few rows: the way, not the result")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    rows, calls = (2_000, 200) if options.quick else (options.rows, options.calls)
    with tempfile.TemporaryDirectory(prefix="nameplate-benchmark-") as folder:
        figures = rounded(measure(Path(folder), rows=rows, calls=calls, cpus=options.cpus))
    print(_table(figures))
    if options.json:
        print(json.dumps(figures))


def measure(folder: Path, *, rows: int, calls: int, cpus: int | None) -> dict[str, Any]:
    """Every figure."""
    cleaning = _write(folder / "captions", "caption", _captions(rows), per_shard=max(1, rows // 10))
    calling = _write(folder / "rows", "ingest", [{"row_id": str(n), "name": "x"} for n in range(3 * calls)], calls)
    figures: dict[str, Any] = {"machine": machine(), "rows": rows, "calls": calls}
    figures["local"] = _run_all(LocalEngine(), folder / "local", cleaning, calling)
    engine = RayEngine(num_cpus=cpus)
    figures["ray"] = {"start": _seconds(lambda: _clean(engine, folder / "first", cleaning[:1]))}
    figures["ray"] |= _run_all(engine, folder / "ray", cleaning, calling)
    figures["ray"]["end"] = _seconds(engine.close)
    figures["same_bytes"] = _bytes(folder / "local" / "clean") == _bytes(folder / "ray" / "clean")
    return figures


def _run_all(engine: Engine, folder: Path, cleaning: list[Shard], calling: list[Shard]) -> dict[str, Any]:
    # The second run finds the workers with everything imported.
    _clean(engine, folder / "warm-up", cleaning[:4])
    spent = _seconds(lambda: _clean(engine, folder / "clean", cleaning))
    tables = StageTables(folder / "calls", "ingest")
    outcome = engine.run(
        Calls(folder / "journal.sqlite"), calling, tables=tables, progress=SilentProgress(), total=None
    )
    return {"clean": spent, "microseconds": outcome.details}


def _clean(engine: Engine, folder: Path, shards: list[Shard]) -> None:
    stage = CleanStage(CleanSection(), registry=Registry(tuple(NameEntry(name) for name in NAMES)))
    engine.run(stage, shards, tables=StageTables(folder, "clean"), progress=SilentProgress(), total=None)


def _captions(num_rows: int) -> list[dict[str, Any]]:
    chance = random.Random(0)
    rows = []
    for number in range(num_rows):
        name = chance.choice(NAMES)
        said = " ".join(chance.choices(PIECES, k=4)).format(name=name) + f" Number {number}."
        rows.append({"row_id": f"{number:07d}", "name": name, "caption_raw": said, "finish_reason": "stop"})
    return rows


def _write(folder: Path, stage: Any, rows: list[dict[str, Any]], per_shard: int) -> list[Shard]:
    tables = StageTables(folder, stage)
    for index, start in enumerate(range(0, len(rows), per_shard)):
        table = pa.Table.from_pylist(rows[start : start + per_shard], schema=SCHEMAS[stage])
        tables.write(index, table, tables.read_rejected())
    return file_shards(tables.kept_paths())


def _bytes(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.rglob("*.parquet"))]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _table(figures: dict[str, Any]) -> str:
    local, ray = figures["local"], figures["ray"]
    lines = [
        "| what | local | ray |",
        "|---|--:|--:|",
        f"| start, first shard and its workers' imports, s | - | {ray['start']:.1f} |",
        f"| end, s | - | {ray['end']:.1f} |",
        f"| clean, {figures['rows']:,} rows, workers warm, s | {local['clean']:.1f} | {ray['clean']:.1f} |",
    ]
    for what, each in local["microseconds"].items():
        lines.append(f"| {what}, microseconds | {each:.0f} | {ray['microseconds'][what]:.0f} |")
    return "\n".join([*lines, f"\nThe same bytes: {figures['same_bytes']}. {figures['machine']}"])


if __name__ == "__main__":
    main()
