"""How fast and in how little memory `nameplate ingest` reads a large CSV, beside what reading it costs alone.

    python benchmarks/ingest.py --json                      what docs/tables.md shows (a minute)
    python benchmarks/ingest.py --rows 10000000 --json      ten million rows (ten minutes, 2.5 GB under TMPDIR)
    python benchmarks/ingest.py --quick                     the way, not the result

The table is made: 17 columns as the DBQ tables have them, 300 names, "N.A." for missing values, and one row in a
thousand broken in one of five ways. `nameplate ingest` runs as a user runs it, in a process of its own; beside it the
same file is read by Python's `csv.reader` and by `pyarrow.csv`, which both do nothing with the rows.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from figures import machine, rounded
from measure import Cost, run_tree

COLUMNS = (
    "website_name,competence_date,country_code,currency_code,brand,category1_code,category2_code,category3_code,"
    "product_code,title,itemurl,imageurl,full_price,price,full_price_eur,price_eur,flg_discount"
)
_NUM_NAMES = 300
_BROKEN = (
    "Shop,2023-11-17,FRA,EUR,Brand 1\n",
    'Shop,2023-11-17,FRA,EUR,Brand 2,A,B,C,P,"never closed,u,i,1,1,1,1,0\n',
    "Shop,2023-11-17,FRA,EUR,Brand 3,A,B,C,P,caf\udce9,u,i,1,1,1,1,0\n",
    "Shop,2023-11-17,FRA,EUR,Brand 4,A,B,C,P,n\x00l,u,i,1,1,1,1,0\n",
    "Shop,2023-11-17,FRA,EUR,Brand 5,A,B,C,P,a,b,c,d,e,u,i,1,1,1,1,0\n",
)
_READERS = {
    "csv.reader": (
        "import csv, sys\n"
        "stream = open(sys.argv[1], encoding='utf-8', errors='surrogateescape', newline='')\n"
        "print(sum(1 for _ in csv.reader(stream)))\n"
    ),
    "pyarrow.csv": (
        "import sys, pyarrow.csv as c\n"
        "options = c.ParseOptions(invalid_row_handler=lambda row: 'skip', newlines_in_values=True)\n"
        "convert = c.ConvertOptions(check_utf8=False)\n"
        "print(sum(b.num_rows for b in c.open_csv(sys.argv[1], parse_options=options, convert_options=convert)))\n"
    ),
}


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="nameplate-benchmark-") as folder:
        figures = rounded(measure(options.rows, folder=Path(folder)))
    print(_table(figures))
    if options.json:
        print(json.dumps(figures))


def measure(num_rows: int, *, folder: Path) -> dict[str, Any]:
    """Every figure of the table, as one JSON object."""
    table = folder / "feed.csv"
    with table.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        stream.writelines(_lines(num_rows))
    figures: dict[str, Any] = {"machine": machine(), "rows": num_rows, "bytes": table.stat().st_size}
    figures["nameplate"] = _ingest(table, folder=folder, num_rows=num_rows, id_column=None)
    figures["nameplate with table.id"] = _ingest(table, folder=folder, num_rows=num_rows, id_column="product_code")
    for name, code in _READERS.items():
        started = time.monotonic()
        cost = run_tree([sys.executable, "-c", code, str(table)], log=folder / "reader.log")
        figures[name] = _cost(cost, num_rows, time.monotonic() - started)
    return figures


def _ingest(table: Path, *, folder: Path, num_rows: int, id_column: str | None) -> dict[str, Any]:
    recipe, run = folder / "recipe.yaml", folder / f"run-{id_column}"
    section = {"source": str(table), "preset": "dbq", **({"id": id_column} if id_column else {})}
    recipe.write_text(json.dumps({"table": section}), encoding="utf-8")
    command = [sys.executable, "-m", "nameplate", "ingest", str(recipe), "--run-dir", str(run)]
    started = time.monotonic()
    cost = run_tree(command, log=folder / "ingest.log")
    wall = time.monotonic() - started
    if cost.exit_code != 0:
        raise SystemExit((folder / "ingest.log").read_text(encoding="utf-8"))
    record = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["stages"]["ingest"]
    shards = len(list((run / "ingest").glob("part-*.parquet")))
    assert record["read"] == record["kept"] + sum(record["rejected"].values()) == num_rows, record
    said = {"kept": record["kept"], "rejected": record["rejected"], "shards": shards}
    return {**_cost(cost, num_rows, wall), **said, "rate_it_prints": record["details"]["rows_per_second"]}


def _cost(cost: Cost, num_rows: int, wall: float) -> dict[str, Any]:
    return {
        "seconds": wall,
        "cpu_seconds": cost.cpu_seconds,
        "rows_per_second": num_rows / wall,
        "rows_per_cpu_second": num_rows / cost.cpu_seconds,
        "peak_rss_mb": cost.peak_rss_bytes / 1e6,
    }


def _lines(num_rows: int) -> Iterator[str]:
    chance = random.Random(0)
    yield COLUMNS + "\n"
    for number in range(num_rows):
        if number % 1000 == 999:
            yield _BROKEN[number // 1000 % len(_BROKEN)]
            continue
        name = "N.A." if number % 500 == 7 else f"Brand {chance.randrange(_NUM_NAMES)}"
        image = "N.A." if number % 400 == 3 else f"https://img.shop.example/1088/{number}/a.jpg"
        price = chance.randrange(10, 9999)
        title = f'"Cotton dress, size {number % 50}"' if number % 4 == 0 else f"Leather bag number {number % 5000}"
        yield (
            f"My Shop,2023-11-17,FRA,EUR,{name},CLOTHING,{chance.choice(('DRESSES', 'BAGS', 'SHOES'))},N.A.,"
            f"P{number:08d},{title},https://www.shop.example/fr/p{number}.html,{image},"
            f"{price}.5,{price}.0,{price}.5,{price}.0,0\n"
        )


def _table(figures: dict[str, Any]) -> str:
    lines = [
        f"{figures['rows']:,} rows of 17 columns, {figures['bytes'] / 1e6:,.0f} MB; {figures['machine']}",
        "",
        "| | seconds | processor seconds | rows a second | rows a processor second | peak memory (MB) |",
        "|---|---|---|---|---|---|",
    ]
    for name in ("nameplate", "nameplate with table.id", *_READERS):
        row = figures[name]
        rates = f"{row['rows_per_second']:,.0f} | {row['rows_per_cpu_second']:,.0f}"
        lines.append(
            f"| {name} | {row['seconds']:.1f} | {row['cpu_seconds']:.1f} | {rates} | {row['peak_rss_mb']:,.0f} |"
        )
    kept = figures["nameplate"]
    lines += ["", f"kept {kept['kept']:,}, rejected {kept['rejected']}, {kept['shards']} shards"]
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table (default: a million)")
    parser.add_argument("--quick", action="store_true", help="20,000 rows")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON that holds every figure")
    options = parser.parse_args()
    if options.quick:
        options.rows = 20_000
    return options


if __name__ == "__main__":
    main()
