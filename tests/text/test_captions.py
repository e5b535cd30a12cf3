"""The rules on the labelled set of tests/data/captions. Of the held-out part only counts are asserted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.data.captions.grammar import make_good
from tests.data.captions.make_loops import split_of

from nameplate.recipe import CleanSection
from nameplate.records import CleanReason as R
from nameplate.text.judge import Examined, examine

FOLDER = Path(__file__).parents[1] / "data" / "captions"
ROWS: list[dict[str, Any]] = [
    json.loads(line)
    for path in sorted(FOLDER.glob("*.jsonl"))
    for line in path.read_text(encoding="utf-8").splitlines()
]
LOOPS = {R.TAIL_LOOP, R.INNER_LOOP, R.SENTENCE_REPEAT, R.NGRAM_COVER, R.FEW_WORDS, R.COUNTING, R.GARBLED}
MENDED = {"cut", "doubled", "wrapper", "encoding"}


def examined(row: dict[str, Any]) -> Examined:
    """As cleaning does it; how long a caption may be is a matter of taste."""
    section = CleanSection(language=row["language"], min_words=1, max_words=1000)
    finish_reason = None if not row["labels"] else "length" if "cut" in row["labels"] else "stop"
    return examine(row["text"], finish_reason=finish_reason, section=section)


def is_right(row: dict[str, Any]) -> bool:
    """Whether the rules say of a caption what its label says."""
    reasons, repaired, _ = examined(row)
    if not row["labels"]:
        return not reasons and repaired.text == " ".join(row["text"].split())
    if MENDED & {*row["labels"]}:
        return not reasons and repaired.text == row["mended"]
    return bool(LOOPS & {*reasons}) if row["labels"] == ["loop"] else bool(reasons)


@pytest.mark.parametrize("row", [row for row in ROWS if row["split"] == "tune"], ids=lambda row: row["text"][:40])
def test_each_caption_that_the_rules_were_tuned_on(row: dict[str, Any]) -> None:
    assert is_right(row), examined(row).reasons


def test_the_captions_that_nobody_looked_at() -> None:
    held_out = [row for row in ROWS if row["split"] == "held-out"]
    loops = [row for row in held_out if row["labels"] == ["loop"]]
    good = [row for row in held_out if not row["labels"]]
    assert len(loops) > 100 and len(good) > 50
    assert all(is_right(row) for row in good)
    assert sum(map(is_right, loops)) >= 0.98 * len(loops)


def test_a_thousand_generated_captions_raise_no_alarm() -> None:
    for language, number in (("en", 1000), ("zh", 200)):
        for text in make_good(number, language=language):
            row = {"text": text, "labels": [], "language": language}
            assert is_right(row), (text, examined(row).reasons)


def test_the_set_is_what_its_page_says() -> None:
    assert len(ROWS) >= 500
    assert all(row["split"] == split_of(row["text"]) for row in ROWS)
    assert all(set(row) - {"mended"} == {"text", "labels", "language", "origin", "split"} for row in ROWS)
    assert all(("mended" in row) == bool(MENDED & {*row["labels"]}) for row in ROWS)
