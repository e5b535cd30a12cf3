"""Images without any name that are learned from, too: asked for the name, the model shall say that there is none.

A text file beside an image is its caption; without one, the image is only asked for the name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from nameplate.errors import InputError
from nameplate.models.images import ImageKey
from nameplate.models.picturefolder import LEARNED, example_folder
from nameplate.names import Matcher, Registry
from nameplate.recipe import UnnamedSection
from nameplate.store.images import ImageStore
from nameplate.store.tables import StageTables


class UnnamedImages(NamedTuple):
    """Behind the rows of the table, and like them in all that follows."""

    names: tuple[str, ...] = ()
    """Of the files, inside the folder."""
    keys: tuple[ImageKey, ...] = ()
    captions: tuple[str | None, ...] = ()


def read_unnamed(
    section: UnnamedSection | None, *, store: ImageStore, split: StageTables, registry: Callable[[], Registry]
) -> UnnamedImages:
    """The folder's images, each content once; they are in the store then.

    Raises:
        InputError: the folder is not there or holds no image, one cannot be decoded or is the image of a row with a
            name, or the answer or a caption says a name.
    """
    if section is None:
        return UnnamedImages()
    folder = example_folder(section)
    captions = folder.captions()
    _check_words(section, captions, Matcher(registry()))
    kept = {ImageKey(*key): name for name, key in reversed(folder.keep(store).items())}
    _check_nameless(section, kept, split)
    ordered = sorted((name, key) for key, name in kept.items())
    names, keys = tuple(name for name, _ in ordered), tuple(key for _, key in ordered)
    return UnnamedImages(names, keys, tuple(map(captions.get, names)))


def _check_words(section: UnnamedSection, captions: Mapping[str, str], matcher: Matcher) -> None:
    said = {f"train.examples.unnamed.answer: {section.answer!r}": section.answer}
    said |= {f"{LEARNED}: {Path(section.images) / name}, caption": caption for name, caption in captions.items()}
    for place, text in said.items():
        claim = next((each.entry.display for each in matcher.mentions(text) if each.is_claim), None)
        if claim is not None:
            fix = "say it without, or take the image away if it has that name"
            raise InputError(place, found=f"it says a name of this table, {claim}", fix=fix)


def _check_nameless(section: UnnamedSection, kept: Mapping[ImageKey, str], split: StageTables) -> None:
    """A product's image has a name, whatever folder it lies in; also as it was before it was made smaller."""
    files = {key.sha256: name for key, name in kept.items()}
    for column in ("image_sha256", "image_source_sha256"):
        table = split.read_kept().select(["row_id", "name", column])
        for row in table.filter(pc.is_in(table[column], pa.array(files, pa.string()))).slice(0, 1).to_pylist():
            raise InputError(
                f"{LEARNED}: {Path(section.images) / files[row[column]]}",
                found=f"it is the image of row {row['row_id']}, whose name is {row['name']}",
                fix="remove it from the folder: the model would be told two things about it",
            )
