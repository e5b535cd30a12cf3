"""Vectors of images, kept on disk: what a model made of an image once is not computed again.

A shelf is a folder of Parquet files for one model, one preprocessing and one question, one file for each batch and each
written in one step: a killed process, or a broken image, loses at most one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.load import LoadedModel
from nameplate.models.precision import compute_dtype
from nameplate.models.probing.looks import Look, look
from nameplate.models.probing.view import View
from nameplate.models.respondent import parts
from nameplate.progress import Advance
from nameplate.store.files import replacing
from nameplate.store.fingerprint import fingerprint

_VERSION: Final = 1


class Shelf:
    """Looks of one model at images, by content.

    Args:
        root: where shelves are.
        weights: fingerprint of the model's weights.
        images: prepared for the model.
        prompt: the question that it is about to answer.
    """

    def __init__(self, root: Path, *, weights: str, images: ImageCache, prompt: str) -> None:
        identity = (_VERSION, weights, images.processor.fingerprint, str(compute_dtype()), prompt)
        self._folder = root / fingerprint(*identity)[:32]
        self._images = images
        self._prompt = prompt

    def known(self, keys: Iterable[ImageKey]) -> dict[str, Look]:
        """What is on the shelf of these images, by SHA-256."""
        wanted = {key.sha256 for key in keys}
        return dict(_read(sorted(self._folder.glob("part-*.parquet")), wanted))

    def fill(self, loaded: LoadedModel, keys: Sequence[ImageKey], *, batch_size: int, advance: Advance) -> None:
        """Look at images and keep what is seen.

        Args:
            loaded: the model.
            keys: images that are not on the shelf, each once.
            batch_size: images at a time.
            advance: is told of each batch.

        Raises:
            InputError: an image is gone or cannot be decoded.
        """
        for batch in parts(keys, batch_size):
            looks = look(loaded, self._images.batch(batch), self._prompt)
            self._write([key.sha256 for key in batch], looks)
            advance(len(batch))

    def _write(self, names: Sequence[str], looks: Sequence[Look]) -> None:
        columns = {view.value: _column([each[view] for each in looks]) for view in looks[0]}
        table = pa.table({"image_sha256": pa.array(names, pa.string()), **columns})
        with replacing(self._folder / f"part-{fingerprint(list(names))[:16]}.parquet") as temporary:
            pq.write_table(table, temporary, compression="zstd")


def _column(vectors: Sequence[torch.Tensor]) -> pa.Array:
    values = torch.stack(list(vectors)).numpy()
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), pa.float32()), values.shape[1])


def _read(paths: Iterable[Path], wanted: set[str]) -> Iterator[tuple[str, Look]]:
    for path in paths:
        # A shared store may hold many more images than one run has.
        table = pq.read_table(path, filters=[("image_sha256", "in", wanted)])
        names = table["image_sha256"].to_pylist()
        if not names:
            continue
        views = {View(name): _matrix(table[name]) for name in table.column_names if name != "image_sha256"}
        for place, name in enumerate(names):
            yield name, {view: matrix[place] for view, matrix in views.items()}


def _matrix(column: pa.ChunkedArray) -> torch.Tensor:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return torch.from_numpy(np.array(flat, dtype=np.float32).reshape(len(column), -1))
