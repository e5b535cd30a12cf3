"""A file system `counted://` over local files that counts the bytes that are read."""

from __future__ import annotations

from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem


class CountedFileSystem(LocalFileSystem):
    protocol = "counted"
    read_bytes_so_far = 0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(LocalFileSystem._strip_protocol(str(path).removeprefix("counted://")))

    def unstrip_protocol(self, name: str) -> str:
        return f"counted://{self._strip_protocol(name)}"

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        return _Counted(super()._open(path, mode=mode, **options))


class _Counted:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size)
        CountedFileSystem.read_bytes_so_far += len(data)
        return data


fsspec.register_implementation("counted", CountedFileSystem, clobber=True)
