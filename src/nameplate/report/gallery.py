"""The gallery: the same test image before and after training, chosen by a fixed rule and not by hand."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nameplate.errors import RunDirectoryError
from nameplate.report.formats import clip, words
from nameplate.report.reading import iter_columns, kept_paths
from nameplate.report.thumbnails import GALLERY_SIDE, Thumbnail, thumbnail
from nameplate.store.rundir import RunDirectory
from nameplate.summary import ScoreSummary

Kind = Literal["fixed", "regressed", "still_wrong", "right_both"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
LABELS: Final[dict[Kind, str]] = {
    "fixed": "Fixed",
    "regressed": "Regressed",
    "still_wrong": "Still wrong",
    "right_both": "Right both times",
}
CAPTION: Final = "detail"
"""The question whose answer is shown as the caption before and after."""
TEXT_LIMIT: Final = 900
PREDICTION_COLUMNS: Final = [
    "checkpoint",
    "split",
    "row_id",
    "image_sha256",
    "name",
    "prompt",
    "answer",
    "verdict",
    "right",
]

Answers = dict[tuple[str, str], dict[str, Any]]
"""One image's predictions by (checkpoint, prompt)."""


class Piece(NamedTuple):
    """A stretch of an answer; `is_name` where the true name stands."""

    text: str
    is_name: bool


@dataclass(frozen=True)
class Answer:
    """What one model said about one image."""

    pieces: tuple[Piece, ...]
    right: bool
    verdict: str


@dataclass(frozen=True)
class Card:
    """One image of the gallery."""

    row_id: str
    kind: Kind
    label: str
    """The kind in words."""
    name: str
    title: str
    picture: Thumbnail | None
    before: Answer
    after: Answer
    caption_before: Answer | None
    caption_after: Answer | None
    teacher: str
    """The clean caption of this row, which no model was trained on: it is a test row."""


@dataclass(frozen=True)
class Tally:
    """How many images of one kind there are, and how many are shown."""

    kind: Kind
    label: str
    total: int
    shown: int


@dataclass(frozen=True)
class Gallery:
    """The chosen images and the whole they were chosen from."""

    cards: tuple[Card, ...]
    tallies: tuple[Tally, ...]
    before: str
    after: str


def build_gallery(score: ScoreSummary, run: RunDirectory, *, num_images: int) -> Gallery:
    """Choose `num_images` test images and put both models' answers beside each other.

    Raises:
        RunDirectoryError: the predictions are not there.
    """
    comparison = score.comparison
    answers = _read_answers(run, score)
    pair = ((comparison.before, comparison.prompt), (comparison.after, comparison.prompt))
    kinds = {
        row_id: kind_of(bool(of[pair[0]]["right"]), bool(of[pair[1]]["right"]))
        for row_id, of in answers.items()
        if pair[0] in of and pair[1] in of
    }
    names = {row_id: str(answers[row_id][pair[0]]["name"]) for row_id in kinds}
    chosen = choose(kinds, names, num_images=num_images)
    listings = _read_listings(run, chosen)
    cards = tuple(
        _card(run, score, answers[row_id], kinds[row_id], listings.get(row_id, {"row_id": row_id})) for row_id in chosen
    )
    tallies = tuple(
        Tally(kind, LABELS[kind], _count(kinds.values(), kind), _count((card.kind for card in cards), kind))
        for kind in KINDS
    )
    return Gallery(cards, tallies, comparison.before, comparison.after)


def kind_of(before: bool, after: bool) -> Kind:
    """What became of an image."""
    if after:
        return "right_both" if before else "fixed"
    return "regressed" if before else "still_wrong"


def choose(kinds: dict[str, Kind], names: dict[str, str], *, num_images: int) -> list[str]:
    """Row ids to show: every kind gets an eighth if it has so many, the rest is shared out by size.

    Within a kind, one image of each name comes before the second of any, in an order fixed by a hash of the row id.
    """
    queues = {kind: _spread([row for row, of in kinds.items() if of == kind], names) for kind in KINDS}
    quota = {kind: min(len(rows), num_images // 8) for kind, rows in queues.items()}
    for _ in range(min(num_images, len(kinds)) - sum(quota.values())):
        # The kind whose share of the page lags most behind its share of the test.
        lagging = [kind for kind in KINDS if quota[kind] < len(queues[kind])]
        quota[max(lagging, key=lambda kind: len(queues[kind]) / (quota[kind] + 1))] += 1
    return [row for kind in KINDS for row in queues[kind][: quota[kind]]]


def mark_name(text: str, name: str) -> tuple[Piece, ...]:
    """Cut a text where the true name stands as whole words, in any case. For the eye only: the matcher judges."""
    pattern = re.compile(rf"(?<!\w)({re.escape(name)})(?!\w)", re.IGNORECASE) if name else None
    parts = pattern.split(text) if pattern is not None else [text]
    return tuple(Piece(part, index % 2 == 1) for index, part in enumerate(parts) if part)


def _count(kinds: Iterable[Kind], kind: Kind) -> int:
    return sum(1 for of in kinds if of == kind)


def _spread(rows: list[str], names: dict[str, str]) -> list[str]:
    ordered = sorted(rows, key=lambda row: hashlib.sha256(row.encode("utf-8")).hexdigest())
    seen: dict[str, int] = defaultdict(int)
    rounds = []
    for place, row in enumerate(ordered):
        rounds.append((seen[names[row]], place, row))
        seen[names[row]] += 1
    return [row for _, _, row in sorted(rounds)]


def _read_answers(run: RunDirectory, score: ScoreSummary) -> dict[str, Answers]:
    path = run.folder("score") / "predictions.parquet"
    if not path.exists():
        raise RunDirectoryError(str(path), found="no predictions", fix="run `nameplate score` first")
    comparison = score.comparison
    wanted = pa.array([comparison.before, comparison.after], pa.string())
    filters = (pc.field("split") == comparison.split) & pc.field("checkpoint").isin(wanted)
    table = pq.read_table(path, columns=PREDICTION_COLUMNS, filters=filters)
    answers: dict[str, Answers] = defaultdict(dict)
    for row in table.to_pylist():
        answers[row["row_id"]][row["checkpoint"], row["prompt"]] = row
    return dict(answers)


def _read_listings(run: RunDirectory, chosen: list[str]) -> dict[str, dict[str, Any]]:
    wanted = set(chosen)
    columns = ["row_id", "title", "image_sha256", "image_ext", "caption"]
    return {row["row_id"]: row for row in iter_columns(kept_paths(run, "split"), columns) if row["row_id"] in wanted}


def _card(run: RunDirectory, score: ScoreSummary, answers: Answers, kind: Kind, listing: dict[str, Any]) -> Card:
    comparison = score.comparison
    headline = answers[comparison.before, comparison.prompt]
    captions = [
        answers.get((model, CAPTION)) if comparison.prompt != CAPTION else None
        for model in (comparison.before, comparison.after)
    ]
    return Card(
        row_id=str(listing["row_id"]),
        kind=kind,
        label=LABELS[kind],
        name=str(headline["name"]),
        title=str(listing.get("title") or ""),
        picture=thumbnail(run.images, headline["image_sha256"], listing.get("image_ext"), side=GALLERY_SIDE),
        before=_answer(headline),
        after=_answer(answers[comparison.after, comparison.prompt]),
        caption_before=_answer(captions[0]) if captions[0] is not None else None,
        caption_after=_answer(captions[1]) if captions[1] is not None else None,
        teacher=clip(str(listing.get("caption") or ""), TEXT_LIMIT),
    )


def _answer(row: dict[str, Any]) -> Answer:
    text = clip(str(row["answer"] or ""), TEXT_LIMIT)
    return Answer(mark_name(text, str(row["name"])), bool(row["right"]), words(str(row["verdict"])))
