"""Greedy answers to questions about images, many at a time. Read `answers_to` first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Literal, NamedTuple

import torch

from nameplate.models.answering.keyvalues import KeyValues
from nameplate.models.answering.reading import Reader, bytes_per_token, reading
from nameplate.models.batches import FEATURES
from nameplate.models.features import vision_features
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel

Finish = Literal["stop", "length", "nonfinite"]

TOKENS_AT_ONCE: Final = 2048
"""Of questions in one forward pass: enough for a processor, few enough that what passes between layers stays near."""
ROWS_FACTOR: Final = 4
KEPT_BYTES: Final = 1 << 30
"""So many times the rows that were wished for are under way if their keys and values take no more than so much: each
token of each answer reads all weights, and the more answers share that, the better."""


class Answer(NamedTuple):
    """What a model says of an image, and how it came to say it."""

    text: str
    finish: Finish
    """stop: the model ended its turn; length: it was cut off; nonfinite: its logits were no numbers; it is empty."""
    confidence: float
    """Geometric mean of the probabilities that the model gave the tokens of its answer, end of turn included."""
    ids: tuple[int, ...] = ()
    """Its tokens as they were said, end of turn included; none of one that was kept or that a server gave. The tokens
    of its text can be others: a model may spell a word in pieces of which the tokenizer has the whole."""


class Asked(NamedTuple):
    """A question about one image of a batch."""

    place: int
    """Of the image."""
    prompt: str


class Said(NamedTuple):
    """An answer that has ended."""

    number: int
    """Of its question."""
    answer: Answer


@dataclass
class _Row:
    """An answer under way."""

    number: int
    length: int
    """Of its question, and then of what was read of the answer, too."""
    ids: list[int] = field(default_factory=list)
    nats: float = 0.0


class _Question(NamedTuple):
    number: int
    place: int
    ids: list[int]


def answers_to(
    loaded: LoadedModel, images: ImageBatch, asked: Sequence[Asked], *, max_new_tokens: int, rows_at_once: int
) -> Iterator[list[Said]]:
    """Answer, and say what has ended after each token.

    What all questions begin with is read once, and an image once for all questions about it. Rows that have ended leave
    the batch, and others come in when a quarter of it is free.

    Args:
        loaded: one that `can_read` says yes to.
        images: from `vision_features`, or pixels.
        asked: questions; those about one image should stand together.
        max_new_tokens: longest answer.
        rows_at_once: answers under way; up to `ROWS_FACTOR` times as many if they take little room.
    """
    if not asked:
        return
    with torch.inference_mode():
        seen = images if FEATURES in images.inputs[0] else vision_features(loaded.model, images)
    questions = [
        _Question(number, each.place, loaded.processor.encode(each.prompt, size=images.sizes[each.place]).input_ids)
        for number, each in enumerate(asked)
    ]
    groups = [list(group) for _, group in groupby(questions, key=lambda question: question.place)]
    image, ids = loaded.processor.image_token_id, [question.ids for question in questions]
    # Behind the longest question there is room for its answer, and for what pads its end to the longest end.
    places = max(map(len, ids)) + max(max_new_tokens, *(_after(own, image) for own in ids))
    little = min(ROWS_FACTOR * rows_at_once, KEPT_BYTES // (places * bytes_per_token(loaded)))
    rows = min(max(rows_at_once, little, *map(len, groups)), len(questions))
    # One row more, which holds what all questions begin with.
    desk = _Desk(loaded, seen, KeyValues(rows + 1, places), max_new_tokens)
    with reading(loaded):
        desk.open(ids[0][: _num_alike([own[: own.index(image)] for own in ids])])
    while groups or desk.rows:
        coming = _next_groups(groups, rows - len(desk.rows), rows)
        with reading(loaded):
            said = desk.admit(coming) if coming else desk.step()
        if said:
            yield said


def _next_groups(groups: list[list[_Question]], free: int, rows: int) -> list[list[_Question]]:
    """Those that come in now: none while less than a quarter of the rows is free, then as many as there is room for."""
    taken: list[list[_Question]] = []
    if free * 4 < rows:
        return taken
    while groups and len(groups[0]) <= free and sum(_cost(group) for group in taken) < TOKENS_AT_ONCE:
        taken.append(groups.pop(0))
        free -= len(taken[-1])
    return taken


def _cost(group: Sequence[_Question]) -> int:
    return len(group[0].ids)


def _num_alike(ids: Sequence[Sequence[int]]) -> int:
    """How many tokens all of these begin with."""
    alike = 0
    for tokens in zip(*ids, strict=False):
        if len(set(tokens)) > 1:
            break
        alike += 1
    return alike


def _after(ids: Sequence[int], image: int) -> int:
    """How many tokens stand behind the image."""
    return list(reversed(ids)).index(image)


class _Desk:
    """Answers under way, the first rows of `KeyValues`, and in its last row what all questions begin with."""

    def __init__(self, loaded: LoadedModel, images: ImageBatch, kept: KeyValues, max_new_tokens: int) -> None:
        self.rows: list[_Row] = []
        self._loaded = loaded
        self._images = images
        self._kept = kept
        self._reader = Reader(loaded, kept)
        self._limit = max_new_tokens
        self._last: list[int] = []
        """Of each row, the token that was said last and is not yet read."""
        self._lead = 0

    def open(self, lead: list[int]) -> None:
        """Read what all questions begin with."""
        self._lead = len(lead)
        if lead:
            self._reader.read([lead], first=self._kept.rows - 1, starts=[0])

    def admit(self, groups: Sequence[Sequence[_Question]]) -> list[Said]:
        """Read questions, each group's image once, and let their first tokens be said."""
        base = len(self.rows)
        features = [self._images.inputs[group[0].place][FEATURES].flatten(0, 1) for group in groups]
        if self._lead:
            self._kept.copy(self._kept.rows - 1, range(base, base + len(groups)), self._lead)
        shared = [self._shared(group) for group in groups]
        beginnings = [group[0].ids[self._lead : end] for group, end in zip(groups, shared, strict=True)]
        hidden = self._reader.read(beginnings, first=base, starts=[self._lead] * len(groups), features=features)
        if any(len(group) > 1 for group in groups):
            hidden = self._read_ends(groups, shared, base)
        self.rows += [_Row(question.number, len(question.ids)) for group in groups for question in group]
        return self._say(hidden, base)

    def step(self) -> list[Said]:
        """Read the last token of every row, and say the next."""
        starts = [row.length for row in self.rows]
        hidden = self._reader.read([[token] for token in self._last], first=0, starts=starts)
        for row in self.rows:
            row.length += 1
        return self._say(hidden, 0)

    def _shared(self, group: Sequence[_Question]) -> int:
        """How many tokens a group's questions begin with together, so that each has one more of its own."""
        if len(group) == 1:
            return len(group[0].ids)
        return min(_num_alike([each.ids for each in group]), min(len(each.ids) for each in group) - 1)

    def _read_ends(self, groups: Sequence[Sequence[_Question]], shared: Sequence[int], base: int) -> torch.Tensor:
        """Spread what was read of each image, a row each so far, over its questions' rows, and read their ends."""
        target = base + sum(map(len, groups))
        # From behind, for no row may be overwritten before it was copied; up to the longest, for nothing of the image
        # that a row was read for may stay in it.
        for place in reversed(range(len(groups))):
            target -= len(groups[place])
            self._kept.copy(base + place, range(target, target + len(groups[place])), max(shared))
        pairs = [(each.ids, end) for group, end in zip(groups, shared, strict=True) for each in group]
        # A lone question was read whole: its last token is read again, in its place.
        starts = [min(end, len(ids) - 1) for ids, end in pairs]
        ends = [ids[start:] for (ids, _), start in zip(pairs, starts, strict=True)]
        return self._reader.read(ends, first=base, starts=starts)

    def _say(self, hidden: torch.Tensor, first: int) -> list[Said]:
        """The likeliest next token of the rows from `first` on; those that end with it leave."""
        logits = self._reader.logits(hidden)
        best, tokens = logits.max(dim=-1)
        nats: list[float] = (torch.logsumexp(logits, dim=-1) - best).tolist()
        said, chosen = [], tokens.tolist()
        gone = []
        for place, (row, token, nat) in enumerate(zip(self.rows[first:], chosen, nats, strict=True), start=first):
            row.ids.append(token)
            row.nats += nat
            finish = self._finish(row)
            if finish is not None:
                gone.append(place)
                said.append(Said(row.number, self._answer(row, finish)))
        self._last[first:] = chosen
        if gone:
            order = self._kept.leave(gone, len(self.rows))
            self.rows = [self.rows[place] for place in order]
            self._last = [self._last[place] for place in order]
        return said

    def _finish(self, row: _Row) -> Finish | None:
        if not math.isfinite(row.nats):
            return "nonfinite"
        if row.ids[-1] == self._loaded.processor.end_id:
            return "stop"
        return "length" if len(row.ids) == self._limit else None

    def _answer(self, row: _Row, finish: Finish) -> Answer:
        if finish == "nonfinite":
            return Answer("", finish, 0.0)
        confidence = round(math.exp(-row.nats / len(row.ids)), 4)
        return Answer(self._loaded.processor.decode(row.ids), finish, confidence, tuple(row.ids))
