"""WebDataset tars: consecutive members `KEY.json`, `KEY.txt`, `KEY.jpg` are one row. Streamed; nothing is unpacked."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, NamedTuple, Self

from nameplate.errors import InputError
from nameplate.stages.ingest.sources.base import MAX_IMAGE_BYTES, MAX_ROW_CHARS, NO_BLOBS, RawRow, place
from nameplate.stages.ingest.sources.cells import IMAGE_ENDINGS, as_text, text_problem
from nameplate.stages.ingest.sources.places import DAMAGED, TableFile

KEY, IMAGE = "__key__", "image"
_TEXTS = frozenset({"txt", "text", "caption", "cls"})
_ROWS_FOR_COLUMNS = 100


class WebDataset:
    """A tar of samples. The name of a member is only text: no file is ever made from it or looked for by it."""

    def columns(self, file: TableFile) -> tuple[str, ...]:
        """`__key__`, the keys of the .json, the kinds of text, and `image`, as the first hundred samples have them.

        Raises:
            InputError: it is no tar, or there is no sample in it.
        """
        first = list(islice(_samples(file, None, with_image=False), _ROWS_FOR_COLUMNS))
        names = dict.fromkeys(name for sample in first for name in sample.cells)
        if not names:
            found = f"a tar without samples ({first[0].problem})" if first else "a tar without samples"
            raise InputError(file.where, found=found, expected="members such as 000.json and 000.jpg")
        return (*(name for name in names if name != IMAGE), IMAGE)

    def image_columns(self, file: TableFile) -> frozenset[str]:
        """The image of a sample, whatever its ending."""
        return frozenset({IMAGE})

    def rows(self, file: TableFile, columns: Collection[str] | None) -> Iterator[RawRow]:
        """Samples by number."""
        with_image = columns is None or IMAGE in columns
        for line, sample in enumerate(_samples(file, columns, with_image=with_image), start=1):
            problem = f"{place(line, file.label)}: {sample.problem}" if sample.problem else None
            blobs = {IMAGE: sample.image} if sample.image is not None else NO_BLOBS
            yield RawRow(line, sample.cells, blobs, problem, file.label)


@dataclass
class _Sample:
    """One row as its members come in."""

    key: str
    cells: dict[str, str] = field(default_factory=dict)
    image: bytes | None = None
    problem: str | None = None

    def fail(self, problem: str) -> None:
        self.problem = self.problem or problem

    def add_cells(self, cells: Mapping[str, str], columns: Collection[str] | None) -> None:
        for name, cell in cells.items():
            unfit = text_problem(name) or text_problem(cell)
            if unfit is not None:
                self.fail(f"'{_readable(name)}' {unfit}")
            if columns is None or name in columns:
                # A key of the .json may be called like a member; the member goes first.
                self.cells[_readable(name if name not in self.cells else f"json.{name}")] = _readable(cell)


class _Member(NamedTuple):
    info: tarfile.TarInfo
    key: str
    ending: str


def _samples(file: TableFile, columns: Collection[str] | None, *, with_image: bool) -> Iterator[_Sample]:
    sample: _Sample | None = None
    problem = ""
    try:
        with _opened(file) as tar:
            for member in _members(tar):
                if sample is None or member.key != sample.key:
                    if sample is not None:
                        yield sample
                    sample = _Sample(member.key)
                    sample.add_cells({KEY: member.key}, columns)
                _add(sample, tar, member, columns, with_image=with_image)
    except (tarfile.TarError, *DAMAGED) as error:
        problem = f"the tar is cut off or damaged here, and the rest is lost ({error})"
    if sample is not None:
        if problem:
            sample.fail(problem)
        yield sample
    elif problem:
        yield _Sample("", problem=problem)


@contextmanager
def _opened(file: TableFile) -> Iterator[tarfile.TarFile]:
    """As a stream that only goes forward, so that any place and compression will do; a local file can seek as well."""
    mode: Literal["r:", "r|"] = "r:" if _can_seek(file) else "r|"
    with file.open() as stream, tarfile.open(fileobj=stream, mode=mode, tarinfo=_Header) as tar:
        yield tar


def _can_seek(file: TableFile) -> bool:
    return file.is_local and not file.suffixes[1]


class _Header(tarfile.TarInfo):
    """tarfile takes a broken header for the end of the archive; only the end mark is one."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except tarfile.HeaderError as error:
            if isinstance(error, tarfile.EOFHeaderError):  # type: ignore[attr-defined]  # the stubs leave it out
                raise
            raise tarfile.ReadError(f"no end mark ({error})") from None


def _members(tar: tarfile.TarFile) -> Iterator[_Member]:
    while (info := tar.next()) is not None:
        # A tar remembers all its members, which a stream of ten million does not survive.
        tar.members.clear()  # type: ignore[attr-defined]  # the stubs leave it out
        folder, slash, base = info.name.rpartition("/")
        stem, dot, ending = base.partition(".")
        if not info.isdir() and stem and dot:
            yield _Member(info, folder + slash + stem, ending.lower())


def _add(
    sample: _Sample, tar: tarfile.TarFile, member: _Member, columns: Collection[str] | None, *, with_image: bool
) -> None:
    info, _, ending = member
    is_image = f".{ending.rpartition('.')[2]}" in IMAGE_ENDINGS
    if not (is_image or ending == "json" or ending in _TEXTS):
        return
    if not info.isreg():
        sample.fail(f"member '{info.name}' is no file")
    elif is_image:
        _add_image(sample, tar, info, columns, with_image=with_image)
    elif info.size > MAX_ROW_CHARS:
        sample.fail(f"member '{info.name}' is longer than {MAX_ROW_CHARS:,} bytes")
    else:
        _add_text(sample, info.name, ending, _read(tar, info), columns)


def _add_image(
    sample: _Sample, tar: tarfile.TarFile, info: tarfile.TarInfo, columns: Collection[str] | None, *, with_image: bool
) -> None:
    if IMAGE in sample.cells:
        sample.fail(f"two images: '{sample.cells[IMAGE]}' and '{info.name}'")
        return
    sample.add_cells({IMAGE: info.name}, columns)
    if info.size > MAX_IMAGE_BYTES:
        sample.fail(f"member '{info.name}' is larger than {MAX_IMAGE_BYTES:,} bytes")
    elif with_image:
        sample.image = _read(tar, info)


def _add_text(sample: _Sample, name: str, ending: str, data: bytes, columns: Collection[str] | None) -> None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        sample.fail(f"member '{name}' is not UTF-8")
        return
    if ending != "json":
        sample.add_cells({ending: text}, columns)
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        sample.fail(f"member '{name}' is not JSON ({error})")
        return
    if isinstance(value, dict):
        sample.add_cells({key: as_text(cell) for key, cell in value.items()}, columns)
    else:
        sample.fail(f"member '{name}' is not a JSON object")


def _read(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(info)
    assert stream is not None, "only ordinary members are read"
    return stream.read()


def _readable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
