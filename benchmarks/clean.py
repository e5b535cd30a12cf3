"""How fast and how right the text rules are, beside datatrove's Gopher filters and data-juicer's repetition filters.

    python benchmarks/clean.py --json              what docs/cleaning.md shows (about ten minutes)
    python benchmarks/clean.py --quick             the way, not the result (a minute)
    python benchmarks/clean.py --human FILE.jsonl  also false alarms on good captions of your own (a `text` a line)

Speed is processor time of one process on one core, the median of rounds that the tools take in turn, on the English
captions of the labelled set and 2,000 generated ones. Precision and recall are of the labelled set, tune and held-out
apart; the peers are asked about English only, since their word splitters for Chinese need more packages.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from tests.data.captions.grammar import make_good

from clean_peers import DATA_JUICER, DATATROVE, Measured, ensure, run
from figures import machine, markdown, rounded
from nameplate.statistics import wilson

SET = Path(__file__).parents[1] / "tests" / "data" / "captions"
LOOP_RULES = {"tail_loop", "inner_loop", "sentence_repeat", "ngram_cover", "few_words", "counting", "garbled"}
MENDED = {"cut", "doubled", "wrapper", "encoding"}
OURS = ("nameplate", "nameplate with names")
SPLITS = ("tune", "held-out")

Row = dict[str, Any]


def main() -> None:
    """Measure and print."""
    options = _options()
    figures = rounded(measure(options))
    for title, table in tables(figures):
        print(f"\n{title}\n\n{table}")
    if options.json:
        print(json.dumps(figures))


def measure(options: argparse.Namespace) -> Row:
    """Every figure of the tables, as one JSON object."""
    rows = labelled() + generated(*((200, 40) if options.quick else (2000, 400))) + human(options.human)
    rounds = 1 if options.quick else options.rounds
    english = [row for row in rows if row["language"] == "en"]
    chinese = [row for row in rows if row["language"] == "zh"]
    found = run_all(english, rounds=rounds, peers=not options.no_peers)
    ours_zh = run_all(chinese, rounds=rounds, peers=False)
    return {
        "benchmark": "clean",
        "quick": options.quick,
        "machine": machine(),
        "captions": {"en": len(english), "zh": len(chinese), "mean_words_en": _mean_words(english)},
        "versions": {"datatrove": DATATROVE.version, "data-juicer": DATA_JUICER.version},
        "speed": {tool: _speed(each, english) for tool, each in found.items()},
        "speed_zh": {tool: _speed(each, chinese) for tool, each in ours_zh.items()},
        "quality": _qualities(english, found),
        "quality_zh": _qualities(chinese, ours_zh),
    }


def labelled() -> list[Row]:
    """The set of tests/data/captions."""
    return [
        json.loads(line)
        for path in sorted(SET.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def generated(english: int, chinese: int) -> list[Row]:
    """Good captions by the grammar: for speed, and for false alarms that are counted apart."""
    made = {"en": make_good(english, language="en"), "zh": make_good(chinese, language="zh")}
    return [
        {"text": text, "labels": [], "language": language, "origin": "generated", "split": "generated"}
        for language, texts in made.items()
        for text in texts
    ]


def human(path: Path | None) -> list[Row]:
    """Good captions of the user's own."""
    lines = path.read_text(encoding="utf-8").splitlines() if path is not None else []
    return [{"labels": [], "language": "en", "origin": "human", "split": "human"} | json.loads(line) for line in lines]


def run_all(rows: Sequence[Row], *, rounds: int, peers: bool) -> dict[str, Measured]:
    """Each tool over the captions; rounds are taken in turn, so that a busy minute hits them all."""
    pythons = dict.fromkeys(OURS, sys.executable)
    if peers:
        wanted = {"datatrove": DATATROVE, "datatrove pipeline": DATATROVE, "data-juicer": DATA_JUICER}
        pythons |= {tool: python for tool, peer in wanted.items() if (python := ensure(peer)) is not None}
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": row["text"], "language": row["language"]}) + "\n" for row in rows)
        file.flush()
        turns = [
            {tool: run(python, tool, Path(file.name), rounds=1) for tool, python in pythons.items()}
            for _ in range(rounds)
        ]
    return {
        tool: Measured(turns[0][tool].verdicts, [second for turn in turns for second in turn[tool].seconds])
        for tool in pythons
    }


def quality(rows: Sequence[Row], verdicts: Sequence[Sequence[str]], *, loop_rules: Collection[str] | None) -> Row:
    """Precision and recall on loops and on all bad captions, by split; and false alarms on good ones, by origin.

    Args:
        loop_rules: the tool's rules that speak of loops; none: all of them.
    """
    judged = [(row, set(found)) for row, found in zip(rows, verdicts, strict=True) if not MENDED & {*row["labels"]}]
    figures: Row = {"false_alarms": {}}
    for split in SPLITS:
        part = [(row, found) for row, found in judged if row["split"] == split]
        loops = [
            (row, found if loop_rules is None else found & {*loop_rules})
            for row, found in part
            if not row["labels"] or row["labels"] == ["loop"]
        ]
        figures[split] = {"loops": precision_and_recall(loops), "all bad": precision_and_recall(part)}
    for origin in ("written", "starter", "generated", "human"):
        flags = [bool(found) for row, found in judged if not row["labels"] and row["origin"].startswith(origin)]
        if flags:
            figures["false_alarms"][origin] = asdict(wilson(sum(flags), len(flags)))
    return figures


def precision_and_recall(judged: Sequence[tuple[Row, set[str]]]) -> Row:
    """Of what is flagged, how much is bad; of what is bad, how much is flagged. With 95 % Wilson intervals."""
    hits = sum(bool(found) for row, found in judged if row["labels"])
    alarms = sum(bool(found) for row, found in judged if not row["labels"])
    bad = sum(bool(row["labels"]) for row, _ in judged)
    return {"precision": asdict(wilson(hits, hits + alarms)), "recall": asdict(wilson(hits, bad))}


def tables(figures: Row) -> Iterator[tuple[str, str]]:
    """The tables of docs/cleaning.md."""
    speed = figures["speed"]
    ours = speed["nameplate"]["captions_per_second"]
    rates = [
        (
            tool,
            f"{each['captions_per_second']:,.0f}",
            f"{each['microseconds']:,.0f}",
            f"{ours / each['captions_per_second']:.1f}",
        )
        for tool, each in speed.items()
    ]
    yield "captions per second, one core", markdown(["tool", "captions/s", "us a caption", "nameplate is times"], rates)
    for split in SPLITS:
        rows = [
            [
                tool,
                *(_share(each[split][kind][what]) for kind in ("loops", "all bad") for what in ("precision", "recall")),
            ]
            for tool, each in figures["quality"].items()
        ]
        headings = ["tool", "precision, loops", "recall, loops", "precision, all bad", "recall, all bad"]
        yield f"{split} part of the labelled set, English", markdown(headings, rows)
    for title, key in (("English", "quality"), ("Chinese", "quality_zh")):
        origins = list(figures[key]["nameplate"]["false_alarms"])
        alarms = [
            [tool, *(_share(each["false_alarms"][origin]) for origin in origins)] for tool, each in figures[key].items()
        ]
        yield f"false alarms on good captions, {title}", markdown(["tool", *origins], alarms)
    zh = figures["quality_zh"]["nameplate"]
    rows = [[split, _share(zh[split]["loops"]["precision"]), _share(zh[split]["loops"]["recall"])] for split in SPLITS]
    yield "nameplate on Chinese loops", markdown(["part", "precision", "recall"], rows)


def _qualities(rows: Sequence[Row], found: Mapping[str, Measured]) -> Row:
    """Of each tool once: the variants that are only timed say the same."""
    return {
        tool: quality(rows, found[tool].verdicts, loop_rules=LOOP_RULES if tool == OURS[0] else None)
        for tool in (OURS[0], "datatrove", "data-juicer")
        if tool in found
    }


def _speed(found: Measured, rows: Sequence[Row]) -> Row:
    seconds = median(found.seconds)
    return {
        "captions_per_second": len(rows) / seconds,
        "microseconds": seconds / len(rows) * 1e6,
        "slowest_round_over_fastest": max(found.seconds) / min(found.seconds),
    }


def _mean_words(rows: Sequence[Row]) -> float:
    return sum(len(row["text"].split()) for row in rows) / len(rows)


def _share(share: Row) -> str:
    return f"{share['count']} of {share['n']}, {share['low']:.1%} to {share['high']:.1%}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few captions, one round")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each tool (default 5)")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    parser.add_argument("--human", type=Path, help="JSON lines with the `text` of good captions of your own")
    return parser.parse_args()


if __name__ == "__main__":
    main()
