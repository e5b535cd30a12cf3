"""The gallery: each image with what every model said of it, so that a reader can see why a number is what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from markupsafe import escape

from nameplate.recipe import ReportSection
from nameplate.records import SplitName
from nameplate.report.formats import clip
from nameplate.report.kinds import FLIP_FLOP, Tally, choose, kinds_of
from nameplate.report.marking import TEXT_LIMIT, Column, Marker, Said, is_scored, read_matcher
from nameplate.report.predictions import SHOWN_SPLITS, Answers, Asked, read_answers, read_listings
from nameplate.report.rest import pack
from nameplate.report.thumbnails import Thumbnail, fitting, thumbnails
from nameplate.store.rundir import RunDirectory
from nameplate.summary import ScoreSummary

UNSCORED: Final = "unscored"
"""One of the two compared models gave nothing to judge, as where a server failed."""
ORDER: Final = ("fixed", "regressed", FLIP_FLOP, "still_wrong", "right_both", UNSCORED)
LABELS: Final[dict[str, str]] = {
    "fixed": "Fixed",
    "regressed": "Regressed",
    FLIP_FLOP: "Flip-flop",
    "still_wrong": "Always wrong",
    "right_both": "Right both times",
    UNSCORED: "Not scored",
}
MARKUP_BYTES: Final = 1_900
"""Of a card without its texts and its picture: about 1,500 with two questions, 300 more with a third."""
OTHER_SECTIONS_BYTES: Final = 3_000_000
"""Kept free for the rest of the page."""
LEAST_PICTURE_BYTES: Final = 2_000


@dataclass(frozen=True)
class Card:
    """One image of the gallery."""

    row_id: str
    split: SplitName
    kinds: tuple[str, ...]
    """The one that colours it first."""
    label: str
    """That kind in words."""
    name: str
    title: str
    category: str
    picture: Thumbnail | None
    columns: tuple[Column, ...]
    """The base and the chosen model; `Gallery.rest` has the others."""
    teacher: str
    """The clean caption of this row, which no model was trained on."""

    @property
    def rule(self) -> str:
        """The rule that decided about the chosen model's answer, without the names it found."""
        return self.columns[-1].said[0].answer.verdict.partition(":")[0]

    @property
    def num_bytes(self) -> int:
        """Of its texts on the page, about."""
        texts = [piece.text for column in self.columns for said in column.said for piece in said.answer.pieces]
        written = (*texts, self.teacher, self.title, self.category, *[self.name] * 4, *[self.row_id] * 4)
        return sum(len(escape(text).encode("utf-8")) for text in written)


@dataclass(frozen=True)
class Gallery:
    """The chosen images and the whole they were chosen from."""

    cards: tuple[Card, ...]
    tallies: tuple[Tally, ...]
    """Of the test images. A flip-flop may be fixed or regressed as well."""
    splits: tuple[SplitName, ...]
    rest: str
    """The answers of all other models, packed for the script; "" where there are none."""

    @property
    def flips(self) -> int:
        """Flip-flops among all test images."""
        return sum(tally.total for tally in self.tallies if tally.kind == FLIP_FLOP)

    @property
    def chosen(self) -> bool:
        """Whether there are more test images than are shown."""
        return any(tally.shown < tally.total for tally in self.tallies)


class _Fit(NamedTuple):
    """Cards that fit into the page, the bytes that each picture may have, and the rest of their answers, packed."""

    cards: Sequence[Card]
    room: int
    rest: str


@dataclass(frozen=True)
class _Models:
    """Who answered, in the order of training, and what was asked, the question that decides first."""

    names: tuple[str, ...]
    questions: tuple[str, ...]
    before: str
    after: str

    def column(self, model: str, answers: Answers, marker: Marker) -> Column | None:
        rows = [(question, answers.get(Asked(model, question))) for question in self.questions]
        said = tuple(Said(question, marker.answer(row)) for question, row in rows if row is not None)
        if not said or said[0].question != self.questions[0]:
            return None
        role = {self.before: "before", self.after: "chosen"}.get(model, "")
        return Column(self.names.index(model), model, role, said)

    def course(self, answers: Answers) -> list[bool]:
        """Right or wrong to the question that decides, model by model, those without an answer to judge left out."""
        rows = (answers.get(Asked(model, self.questions[0])) for model in self.names)
        return [bool(row["right"]) for row in rows if row is not None and is_scored(row)]

    def kinds(self, answers: Answers) -> tuple[str, ...] | None:
        """None: one of the two that are compared did not answer."""
        pair = [answers.get(Asked(model, self.questions[0])) for model in (self.before, self.after)]
        if pair[0] is None or pair[1] is None:
            return None
        if not (is_scored(pair[0]) and is_scored(pair[1])):
            return (UNSCORED,)
        return kinds_of(bool(pair[0]["right"]), bool(pair[1]["right"]), self.course(answers))


def build_gallery(score: ScoreSummary, run: RunDirectory, section: ReportSection) -> Gallery:
    """Choose images of test and validation and put the models' answers beside each other.

    Raises:
        RunDirectoryError: the predictions are not there.
    """
    everything = read_answers(run)
    models = _models(score, everything)
    marker = Marker(read_matcher(score, run))
    kinds = {
        split: {row: of for row, answers in rows.items() if (of := models.kinds(answers)) is not None}
        for split, rows in everything.items()
    }
    wanted = {"test": section.gallery, "validation": section.gallery_validation if section.gallery else 0}
    chosen = {split: _choose(kinds[split], everything[split], wanted[split]) for split in SHOWN_SPLITS}
    listings = read_listings(run, {row for rows in chosen.values() for row in rows})
    cards = [
        _card(models, marker, everything[split][row], kinds[split][row], listings.get(row, {}))
        for split in SHOWN_SPLITS
        for row in chosen[split]
    ]
    fit = _fit(cards, models, marker, everything, section.max_bytes - OTHER_SECTIONS_BYTES)
    return Gallery(
        cards=tuple(_with_pictures(run, fit, listings)),
        tallies=_tallies(kinds["test"], [card for card in fit.cards if card.split == "test"]),
        splits=tuple(split for split in SHOWN_SPLITS if any(card.split == split for card in fit.cards)),
        rest=fit.rest,
    )


def _models(score: ScoreSummary, everything: Mapping[SplitName, Mapping[str, Answers]]) -> _Models:
    asked = {asked for rows in everything.values() for answers in rows.values() for asked in answers}
    questions = sorted({each.question for each in asked} - {score.headline})
    told = {each.model for each in asked}
    return _Models(
        names=tuple(each.name for each in score.checkpoints if each.name in told),
        questions=(score.headline, *questions),
        before=score.comparison.before,
        after=score.comparison.after,
    )


def _choose(kinds: Mapping[str, tuple[str, ...]], rows: Mapping[str, Answers], num_images: int) -> list[str]:
    names = {row: str(next(iter(rows[row].values()))["name"]) for row in kinds}
    return choose({row: of[0] for row, of in kinds.items()}, names, num_images=num_images, order=ORDER)


def _card(
    models: _Models, marker: Marker, answers: Answers, kinds: tuple[str, ...], listing: Mapping[str, Any]
) -> Card:
    headline = answers[Asked(models.after, models.questions[0])]
    pair = (models.column(model, answers, marker) for model in dict.fromkeys((models.before, models.after)))
    return Card(
        row_id=str(headline["row_id"]),
        split=headline["split"],
        kinds=kinds,
        label=LABELS[kinds[0]],
        name=str(headline["name"]),
        title=str(listing.get("title") or ""),
        category=str(listing.get("category") or ""),
        picture=None,
        columns=tuple(column for column in pair if column is not None),
        teacher=clip(str(listing.get("caption") or ""), TEXT_LIMIT),
    )


def _rest(models: _Models, marker: Marker, answers: Mapping[str, Answers]) -> str:
    others = [model for model in models.names if model not in (models.before, models.after)]
    columns = {
        row: [column for model in others if (column := models.column(model, of, marker)) is not None]
        for row, of in answers.items()
    }
    return pack({row: found for row, found in columns.items() if found})


def _fit(
    cards: Sequence[Card],
    models: _Models,
    marker: Marker,
    everything: Mapping[SplitName, Mapping[str, Answers]],
    budget: int,
) -> _Fit:
    """As many cards, from the first on, as leave each other room for a picture."""
    while cards:
        rest = _rest(models, marker, {card.row_id: everything[card.split][card.row_id] for card in cards})
        room = _room(cards, budget - len(rest))
        if room >= LEAST_PICTURE_BYTES:
            return _Fit(cards, room, rest)
        cards = cards[: len(cards) * 9 // 10]
    return _Fit((), 0, "")


def _with_pictures(run: RunDirectory, fit: _Fit, listings: Mapping[str, Mapping[str, Any]]) -> list[Card]:
    rows = [listings.get(card.row_id, {}) for card in fit.cards]
    files = [(row.get("image_sha256"), row.get("image_ext")) for row in rows]
    pictures = thumbnails(run.images, files, size=fitting(fit.room), made=run.thumbnails)
    return [replace(card, picture=picture) for card, picture in zip(fit.cards, pictures, strict=True)]


def _room(cards: Sequence[Card], budget: int) -> int:
    """Bytes of a picture, before base64 makes four of three."""
    texts = sum(card.num_bytes + MARKUP_BYTES for card in cards)
    return (budget - texts) * 3 // 4 // len(cards)


def _tallies(kinds: Mapping[str, tuple[str, ...]], cards: Sequence[Card]) -> tuple[Tally, ...]:
    total = Counter(kind for of in kinds.values() for kind in of)
    shown = Counter(kind for card in cards for kind in card.kinds)
    order = ORDER if total[UNSCORED] else ORDER[:-1]
    return tuple(Tally(kind, LABELS[kind], total[kind], shown[kind]) for kind in order)
