"""Fingerprints: two equal ones mean that work need not be done again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel


def fingerprint(*parts: Any) -> str:
    """SHA-256 (hex) over the canonical JSON of the parts; recipe sections count by their values."""
    return hashlib.sha256(_canonical(parts).encode("utf-8")).hexdigest()


def file_fingerprint(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def folder_fingerprint(folder: Path, pattern: str) -> str:
    """SHA-256 (hex) over the names and bytes of the files in `folder` that match `pattern`."""
    return fingerprint([(path.name, file_fingerprint(path)) for path in sorted(folder.glob(pattern))])


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")
