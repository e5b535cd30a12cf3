"""What is learned from: each row of the training split as a caption example, as a name question, and in its pairs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from torch.utils.data import Dataset

from nameplate.models.images import ImageKey
from nameplate.models.processing import Encoded
from nameplate.stages.train.texts import Texts
from nameplate.store.fingerprint import fingerprint


class Example(NamedTuple):
    """One image, asked once."""

    row: int
    """Place in the training split."""
    image: ImageKey
    encoded: Encoded
    epoch: int = 0


@dataclass(frozen=True)
class TrainingRows:
    """The training split, tokenised in every way that it may be asked; behind it stand images without any name.

    Of these, who has no caption has the name question in its place, too.
    """

    row_ids: tuple[str, ...]
    names: tuple[str, ...]
    images: tuple[ImageKey, ...]
    captions: Texts
    questions: Texts
    """What the name is."""
    pairs: Texts
    """The teacher's questions with their answers; empty where the recipe does not want them."""
    pair_starts: tuple[int, ...]
    """Where each row's pairs start in `pairs`, and last where they end."""
    num_named: int
    """The rows of the table; others are images without a name."""

    def __len__(self) -> int:
        return len(self.row_ids)

    @property
    def longest(self) -> int:
        """Tokens of the longest example."""
        return max(int(texts.lengths.max(initial=0)) for texts in (self.captions, self.questions, self.pairs))

    @property
    def fingerprint(self) -> str:
        """Of all that is learned from."""
        texts = [each.fingerprint for each in (self.captions, self.questions, self.pairs)]
        images = [key.sha256 for key in self.images]
        return fingerprint(list(self.row_ids), list(self.names), images, texts, list(self.pair_starts))


class ExampleDataset(Dataset[Example]):
    """By index: 2 * row is the caption, 2 * row + 1 the name question, and after these come the pairs.

    An index may have whole epochs added, `epoch * len(dataset)`: the example is the same, and knows its epoch.
    """

    def __init__(self, rows: TrainingRows) -> None:
        self.rows = rows
        self._pair_rows: list[int] = []
        for row, (start, end) in enumerate(pairwise(rows.pair_starts)):
            self._pair_rows.extend([row] * (end - start))

    def __len__(self) -> int:
        return 2 * len(self.rows) + len(self.rows.pairs)

    def __getitem__(self, index: int) -> Example:
        epoch, place = divmod(index, len(self))
        row, texts, text = self._find(place)
        return Example(row, self.rows.images[row], texts[text], epoch)

    def length(self, index: int) -> int:
        """Tokens of an example, question and answer."""
        _, texts, text = self._find(index % len(self))
        return int(texts.lengths[text])

    def num_answer_tokens(self, index: int) -> int:
        """Tokens of an example that carry loss."""
        _, texts, text = self._find(index % len(self))
        return int(texts.num_answer_tokens[text])

    def _find(self, place: int) -> _Place:
        row, asks_name = divmod(place, 2)
        if row < len(self.rows):
            return _Place(row, self.rows.questions if asks_name else self.rows.captions, row)
        pair = place - 2 * len(self.rows)
        return _Place(self._pair_rows[pair], self.rows.pairs, pair)


class _Place(NamedTuple):
    row: int
    texts: Texts
    text: int
