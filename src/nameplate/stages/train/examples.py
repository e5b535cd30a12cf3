"""What is learned from: each row of the training split as a caption example and as a name question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch.utils.data import Dataset

from nameplate.errors import InputError, TrainingError
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.processing import Encoded
from nameplate.models.prompts import Prompts
from nameplate.store.fingerprint import fingerprint
from nameplate.store.rundir import RunDirectory


class Example(NamedTuple):
    """One image, asked once."""

    row: int
    """Place in the training split."""
    image: ImageKey
    encoded: Encoded


@dataclass(frozen=True)
class TrainingRows:
    """The training split, tokenised both ways."""

    row_ids: tuple[str, ...]
    images: tuple[ImageKey, ...]
    captions: tuple[Encoded, ...]
    questions: tuple[Encoded, ...]

    def __len__(self) -> int:
        return len(self.row_ids)

    @property
    def fingerprint(self) -> str:
        """Of all that is learned from."""
        texts = [(list(each.input_ids), list(each.labels)) for each in (*self.captions, *self.questions)]
        return fingerprint(list(self.row_ids), [key.sha256 for key in self.images], texts)


def read_training_rows(run: RunDirectory, images: ImageCache, prompts: Prompts, *, max_tokens: int) -> TrainingRows:
    """The rows of the split table that are to be trained on, in table order.

    An example that is too long is refused, never cut: the cut could fall into its image.

    Raises:
        InputError: there are none.
        TrainingError: an example is longer than the model can read.
    """
    columns = ["row_id", "name", "caption", "image_sha256", "image_ext", "split"]
    rows = [row for row in run.tables("split").read_kept().select(columns).to_pylist() if row["split"] == "train"]
    if not rows:
        raise InputError(
            str(run.folder("split")), found="no rows to train on", fix="lower split.min_per_name or give more listings"
        )
    encode = images.processor.encode
    keys = tuple(ImageKey(row["image_sha256"], row["image_ext"]) for row in rows)
    sizes = images.sizes(keys)
    captions = tuple(
        encode(prompts["detail"], row["caption"], size=size) for row, size in zip(rows, sizes, strict=True)
    )
    questions = tuple(encode(prompts["name"], row["name"], size=size) for row, size in zip(rows, sizes, strict=True))
    too_long = [
        row["row_id"]
        for row, caption, question in zip(rows, captions, questions, strict=True)
        if max(len(caption.input_ids), len(question.input_ids)) > max_tokens
    ]
    if too_long:
        raise TrainingError(
            f"row {too_long[0]}",
            found=f"{len(too_long)} examples are longer than the model's {max_tokens} tokens",
            fix="lower model.max_tiles or clean.max_words",
        )
    return TrainingRows(
        tuple(row["row_id"] for row in rows),
        keys,
        captions,
        questions,
    )


class ExampleDataset(Dataset[Example]):
    """Index 2 * row is the caption, 2 * row + 1 the name question."""

    def __init__(self, rows: TrainingRows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return 2 * len(self.rows)

    def __getitem__(self, index: int) -> Example:
        row, asks_name = divmod(index, 2)
        texts = self.rows.questions if asks_name else self.rows.captions
        return Example(row, self.rows.images[row], texts[row])
