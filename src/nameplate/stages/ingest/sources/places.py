"""Where tables lie: local paths, globs, ranges and folders, or anything that fsspec opens; in name order."""

from __future__ import annotations

import bz2
import glob
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

import fsspec

from nameplate.errors import InputError
from nameplate.store.fingerprint import file_fingerprint, fingerprint

DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
"""What a compressed file raises where it is cut off or spoilt."""

MAX_HASHED_BYTES = 2 * 1024**3
"""Larger tables are known by names, sizes and times: reading a terabyte to see that nothing changed takes hours."""

_COMPRESSIONS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_STAMPS = ("size", "ETag", "etag", "Last-Modified", "LastModified", "mtime", "updated", "created", "generation")


@dataclass(frozen=True)
class TableFile:
    """One file of a table. `label` names it within the table; "" when it is the only one."""

    path: str
    label: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the path is one of this machine."""
        return is_local(self.path)

    @property
    def where(self) -> str:
        """The file, for an error message."""
        return self.path

    @property
    def suffixes(self) -> tuple[str, str]:
        """Lower-case ending without and with the compression: (".csv", ".gz")."""
        path = PurePosixPath(self.path.split("?", 1)[0] if not self.is_local else self.path)
        last = path.suffix.lower()
        if last == ".tgz":
            return ".tar", ".gz"
        return (path.with_suffix("").suffix.lower(), last) if last in _COMPRESSIONS else (last, "")

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The file's bytes, decompressed.

        Raises:
            InputError: it cannot be opened.
        """
        with self.open_raw() as raw:
            unpack = _COMPRESSIONS.get(self.suffixes[1])
            if unpack is None:
                yield raw
                return
            with unpack(raw) as stream:
                yield stream

    @contextmanager
    def open_raw(self) -> Iterator[IO[bytes]]:
        """The file's bytes as they lie there; can seek where the place allows it."""
        # Only opening is explained here: what goes wrong while reading is for the reader of the kind to say.
        with ExitStack() as stack:
            with explaining(self.path):
                opened = Path(self.path).open("rb") if self.is_local else fsspec.open(self.path, "rb")  # noqa: SIM115
                stream = stack.enter_context(opened)
            yield cast("IO[bytes]", stream)

    def stamp(self, *, by_content: bool) -> object:
        """What changes when the file does."""
        if not self.is_local:
            with explaining(self.path):
                fs, path = fsspec.core.url_to_fs(self.path)
                info = fs.info(path)
            return [PurePosixPath(path).name, {key: str(info[key]) for key in _STAMPS if key in info}]
        path = Path(self.path)
        if by_content:
            return [self.label, file_fingerprint(path)]
        return [self.label or path.name, path.stat().st_size, path.stat().st_mtime_ns]

    def size(self) -> int:
        """Bytes of a local file."""
        return Path(self.path).stat().st_size


def is_local(source: str) -> bool:
    """Whether `source` is a path of this machine and not a URL."""
    return "://" not in source and "::" not in source


def files_fingerprint(files: tuple[TableFile, ...]) -> str:
    """Of the contents where they are local and not huge; else of what the place says of the files."""
    by_content = all(file.is_local for file in files) and sum(file.size() for file in files) <= MAX_HASHED_BYTES
    return fingerprint([file.stamp(by_content=by_content) for file in files])


def find_files(source: str) -> tuple[TableFile, ...]:
    """The files that `source` stands for, in name order: a file, a folder, a glob, or a range such as {000..009}.

    Raises:
        InputError: there is none.
    """
    paths: list[str] = []
    for one in expand_ranges(source):
        found = _list(one)
        if not found:
            raise InputError(one, found="no such table", fix="check table.source in the recipe")
        paths += found
    if paths == [source]:
        return (TableFile(source),)
    root = source.rstrip("/") + "/"
    if all(path.startswith(root) for path in paths):
        return tuple(TableFile(path, path.removeprefix(root)) for path in paths)
    return tuple(TableFile(path, label) for path, label in zip(paths, _labels(paths), strict=True))


def expand_ranges(source: str) -> list[str]:
    """`a-{08..10}.tar` as a-08.tar, a-09.tar, a-10.tar."""
    match = _RANGE.search(source)
    if match is None:
        return [source]
    first, last = match.group(1), match.group(2)
    if not 0 <= int(last) - int(first) < 1_000_000:
        raise InputError(source, found=f"the range {match.group()}", expected="one that rises, of at most a million")
    numbers = (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
    return [one for number in numbers for one in expand_ranges(source.replace(match.group(), number, 1))]


@contextmanager
def explaining(source: str) -> Iterator[None]:
    """Turn the many ways in which a place cannot be reached into one clear paragraph."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(source, found="no such table", fix="check table.source in the recipe") from None
    except ImportError as error:
        raise InputError(source, found=f"cannot be opened ({error})", fix="install what it asks for") from None
    except (OSError, ValueError) as error:
        found = f"cannot be opened ({type(error).__name__}: {error})"
        raise InputError(source, found=found, fix="check the address, the network and your rights there") from None


def _list(source: str) -> list[str]:
    if not is_local(source):
        return _list_remote(source)
    path = Path(source)
    # A path that is there is meant as it stands, also when it holds a bracket.
    if path.is_dir():
        found = (one for one in path.rglob("*") if _is_wanted(one.relative_to(path)) and one.is_file())
        return sorted(f"{source.rstrip('/')}/{one.relative_to(path).as_posix()}" for one in found)
    if path.exists():
        return [source]
    return sorted(found for found in glob.glob(source, recursive=True) if Path(found).is_file())  # noqa: PTH207  # keeps the path as written


def _list_remote(source: str) -> list[str]:
    with explaining(source):
        fs, path = fsspec.core.url_to_fs(source)
        protocols = (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
        if protocols[0] in {"http", "https"} or "::" in source:
            return [source]
        if glob.has_magic(path):
            return sorted(fs.unstrip_protocol(found) for found in fs.glob(path))
        if fs.isdir(path):
            root = path.rstrip("/") + "/"
            found = (one for one in fs.find(path) if _is_wanted(PurePosixPath(one.removeprefix(root))))
            return sorted(fs.unstrip_protocol(one) for one in found)
        return [source] if fs.exists(path) else []


def _is_wanted(path: PurePosixPath | Path) -> bool:
    """Hidden files and the leftovers of writers (_SUCCESS, .part.crc) are no part of a table."""
    return not any(part.startswith((".", "_")) for part in path.parts)


def _labels(paths: list[str]) -> list[str]:
    """Paths without the folder that they share."""
    folders = [PurePosixPath(path).parent.parts for path in paths]
    shared = 0
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        shared += 1
    return ["/".join(PurePosixPath(path).parts[shared:]) for path in paths]
