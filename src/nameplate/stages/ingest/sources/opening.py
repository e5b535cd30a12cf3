"""Which kind of source a text in `table.source` names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from nameplate.errors import InputError
from nameplate.stages.ingest.sources.base import Source
from nameplate.stages.ingest.sources.cells import IMAGE_ENDINGS
from nameplate.stages.ingest.sources.files import READERS, FilesSource, one_kind
from nameplate.stages.ingest.sources.hub import HubSource, is_data_set, say_nothing_home
from nameplate.stages.ingest.sources.images import METADATA, ImageFolder
from nameplate.stages.ingest.sources.places import TableFile, find_files, is_local


def open_source(source: str) -> Source:
    """Open a table by its address and the ending of its files.

    Raises:
        InputError: it is missing, empty, unreadable, or of a kind that is not known.
    """
    if source.startswith("hf://"):
        say_nothing_home()
    if is_data_set(source):
        return HubSource(source)
    files = find_files(source)
    if any(PurePosixPath(file.path).suffix.lower() in IMAGE_ENDINGS for file in files):
        return _images(source, files)
    kind = one_kind(source, files)
    return FilesSource(source, tuple(file for file in files if file.suffixes[0] == kind), READERS[kind]())


def _images(source: str, files: tuple[TableFile, ...]) -> Source:
    tables = [file for file in files if file.suffixes[0] in READERS and PurePosixPath(file.path).name not in METADATA]
    if tables or not is_local(source) or not Path(source).is_dir():
        found = f"images beside a table ({tables[0].label})" if tables else "images"
        raise InputError(
            source,
            found=found,
            expected="a folder of images on this machine, or a table",
            fix="name the table itself, and set table.image_root to the folder of its images",
        )
    return ImageFolder(source, files)
