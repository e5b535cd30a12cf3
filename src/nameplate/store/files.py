"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nameplate.errors import RunDirectoryError

_OUT_OF_SPACE = {errno.ENOSPC, errno.EDQUOT}


def _read_umask() -> int:
    """The process's umask; it can only be read by setting it, so this happens once, before threads start."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _read_umask()


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, rename it into place.

    Args:
        path: the file to replace.
        durable: whether to wait until the disk has it, so that even a power cut cannot take it back.

    Raises:
        RunDirectoryError: the disk is full or the folder cannot be written.
    """
    with explaining_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            # mkstemp makes a file for its owner alone; what we keep has the mode of any other new file.
            temporary.chmod(0o666 & ~_UMASK)
            if durable:
                _sync(temporary)
            temporary.replace(path)
            if durable:
                _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def explaining_disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden folder into one clear paragraph."""
    try:
        yield
    except OSError as error:
        if error.errno in _OUT_OF_SPACE:
            raise RunDirectoryError(
                str(path), found="no space left on the disk", fix="free some space and run the same command again"
            ) from error
        if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
            raise RunDirectoryError(str(path), found="may not be written", fix="check its owner and mode") from error
        raise


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace `path` by `data` in one step; see `replacing`."""
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` (UTF-8) in one step."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as indented JSON in one step."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False) + "\n")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
