"""Settings that suit a table's size and its captions: splits that can be had, lengths that let most captions pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nameplate.names import Matcher, build_registry
from nameplate.names.matcher import is_right
from nameplate.recipe import CleanSection, SplitSection
from nameplate.stages.ingest.presets import apply_rules
from nameplate.stages.ingest.propose.proposal import Proposal
from nameplate.stages.ingest.propose.survey import Survey
from nameplate.text.words import count_words, has_cjk

LIVE_LINKS: Final = 0.75
"""Share of web links that are expected to live: 20 to 30 % are lost in public runs of img2dataset."""
CLEAN_CAPTIONS: Final = 0.9
"""Share of captions that are expected to be fit."""
_STEPS: Final = (100, 50, 20, 10, 5, 3, 2, 1)


@dataclass(frozen=True)
class Captions:
    """The captions that a table has."""

    share: float
    """Of the rows."""
    names_said: float | None
    """Share of captions that say their row's name; none without names."""
    min_words: int
    max_words: int
    language: Literal["en", "zh"]
    middle_words: int
    """Words of the caption in the middle."""


@dataclass(frozen=True)
class Split:
    """Sizes that can be had. `usable` is the number of examples that they were chosen for."""

    min_per_name: int
    num_names: int
    validation: int
    test: int
    usable: int


def fit_captions(survey: Survey, proposal: Proposal) -> Captions | None:
    """What the captions are like; none when the table has no column of them."""
    column = proposal.column("text")
    if column is None:
        return None
    rules = proposal.preset.text_rules if proposal.preset is not None else ()
    rows = [(cells, apply_rules(cells.get(column, ""), rules)) for cells in survey.cells]
    texts = [text for _, text in rows if text]
    if not texts:
        return None
    words = sorted(map(count_words, texts))
    default = CleanSection()
    short, long = words[len(words) // 10], words[min(len(words) - 1, len(words) * 98 // 100)]
    name = proposal.column("name")
    return Captions(
        share=len(texts) / len(rows),
        names_said=_names_said([(cells.get(name, ""), text) for cells, text in rows if text]) if name else None,
        min_words=default.min_words if short >= default.min_words else max(1, words[len(words) // 50]),
        max_words=default.max_words if long <= default.max_words else (long // 50 + 1) * 50,
        language="zh" if sum(map(has_cjk, texts)) * 2 > len(texts) else "en",
        middle_words=words[len(words) // 2],
    )


def fit_split(survey: Survey, proposal: Proposal) -> Split:
    """The largest `min_per_name` that leaves most rows, and held-out splits of a tenth each, at most the defaults."""
    image = proposal.column("image")
    assert image is not None
    expected = CLEAN_CAPTIONS * (LIVE_LINKS if survey.columns[image].links else 1.0) * survey.columns[image].filled
    scale = survey.num_rows / max(survey.num_looked_at, 1) * expected
    name = proposal.column("name")
    counts = survey.columns[name].counts if name is not None else Counter({"": survey.num_looked_at})
    usable = {each: count * scale for each, count in counts.items()}
    least = _min_per_name(list(usable.values())) if name is not None else 1
    kept = [count for count in usable.values() if count >= least] or list(usable.values())
    tenth = max(1, int(sum(kept)) // 10)
    default = SplitSection()
    return Split(
        min_per_name=least,
        num_names=len(kept) if name is not None else 0,
        validation=min(default.validation, tenth),
        test=min(default.test, tenth),
        usable=int(sum(kept)),
    )


def _min_per_name(counts: Sequence[float]) -> int:
    rows = sum(counts)
    for least in _STEPS:
        kept = [count for count in counts if count >= least]
        if sum(kept) * 2 >= rows and len(kept) >= min(2, len(counts)):
            return least
    return 1


def _names_said(pairs: Sequence[tuple[str, str]]) -> float | None:
    registry = build_registry(Counter(name for name, _ in pairs))
    matcher = Matcher(registry)
    known = [(name, text) for name, text in pairs if registry.lookup(name) is not None]
    right = sum(is_right(matcher.judge(text, name)) for name, text in known)
    return right / len(known) if known else None
