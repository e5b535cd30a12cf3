"""How often captions that mean no brand are said to claim one, by the way names are matched, and at what speed.

    python benchmarks/names.py --captions data.jsonl --json   captions of your own: every long text of every line counts
    python benchmarks/names.py --quick                        generated captions: the way, not the result

docs/names.md has the figures for the 2,801 image descriptions of github.com/google/imageinwords
(datasets/*/data.jsonl). Few of them name one of these brands, and those count as claims too ("a pair of Vans"), so
every row is an upper bound of what is wrong.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from tests.data.captions.grammar import make_good

from figures import machine, markdown, rounded
from nameplate.names import Matcher, NameEntry, Registry, build_registry
from nameplate.statistics import wilson

BRANDS = """
    Theory|Coach|FRAME|Velvet|Supreme|Express|Boss|Guess|Gap|Vans|Diesel|Fossil|Vince|Free People|Reformation|Toast
    |The Row|Off-White|Sea|Mother|Closed|Mango|Converse|Hunter|Champion|Target|Shell|Apple|Dove|Joy|Lush|Fresh|Benefit
    |Boots|Next|Oasis|Coast|White Stuff|Bench|Animal|Seed|Golden Goose|Stone Island|Nothing|Jaguar|Only|Pieces|Object
    |Selected|Rails|Obey|Carbon|Staples|Palace|Polo|Loft|New Balance|The North Face|Cat|Clover|Native|Away|Mulberry
    |On|Us|Gucci|Prada|Alo
"""
_MIN_CHARS = 60


def main() -> None:
    """Measure and print."""
    options = _options()
    figures = rounded(measure(_captions(options.captions) if options.captions else _generated(options.quick)))
    rows = [(row["matched"], f"{row['captions']:,} ({row['share']:.1%})", row["names"]) for row in figures["matched"]]
    print(markdown(("matched", f"captions of {figures['captions']:,} with a claim", "names claimed"), rows))
    print(f"\n{figures['captions_per_second']:,.0f} captions a second on one core")
    if options.json:
        print(json.dumps(figures))


def measure(captions: Sequence[str]) -> dict[str, Any]:
    """Every figure of the table."""
    brands = [brand.strip() for brand in BRANDS.split("|")]
    lowered = [brand.casefold() for brand in brands]
    registry = build_registry(dict.fromkeys(brands, 1))
    matcher = Matcher(registry)
    context = Matcher(Registry(tuple(NameEntry(entry.display, match_policy="context") for entry in registry.entries)))
    started = time.process_time()
    claims = [_claimed(matcher, text) for text in captions]
    seconds = time.process_time() - started
    ways = {
        "anywhere in the text": [{brand for brand in lowered if brand in text.casefold()} for text in captions],
        "as whole words": [_standing(matcher, text) for text in captions],
        "by default (ordinary words: cased)": claims,
        "all context": [_claimed(context, text) for text in captions],
    }
    return {
        "benchmark": "names",
        "machine": machine(),
        "captions": len(captions),
        "names": len(brands),
        "matched": [_row(way, found, len(captions)) for way, found in ways.items()],
        "captions_per_second": len(captions) / seconds,
    }


def _row(way: str, found: Sequence[set[str]], total: int) -> dict[str, Any]:
    hits = sum(map(bool, found))
    share = wilson(hits, total)
    return {
        "matched": way,
        "captions": hits,
        "share": hits / total,
        "interval": [share.low, share.high],
        "names": len(set().union(*found)),
    }


def _claimed(matcher: Matcher, text: str) -> set[str]:
    return {mention.entry.display for mention in matcher.mentions(text) if mention.is_claim}


def _standing(matcher: Matcher, text: str) -> set[str]:
    return {mention.entry.display for mention in matcher.mentions(text)}


def _captions(files: Sequence[Path]) -> list[str]:
    return list(dict.fromkeys(text for file in files for text in _texts(file)))


def _texts(file: Path) -> Iterator[str]:
    for line in file.read_text(encoding="utf-8").splitlines():
        yield from (
            value
            for value in json.loads(line).values()
            if isinstance(value, str) and len(value) > _MIN_CHARS and " " in value and not re.search("http", value)
        )


def _generated(quick: bool) -> list[str]:
    return make_good(200 if quick else 2_000, language="en")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=Path, nargs="+", metavar="FILE", help="JSON Lines with captions")
    parser.add_argument("--quick", action="store_true", help="fewer generated captions")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    return parser.parse_args()


if __name__ == "__main__":
    main()
