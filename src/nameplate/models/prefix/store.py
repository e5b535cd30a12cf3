"""Tensors that were computed once, on disk: write-once files, checked before use, mapped, under a budget."""

from __future__ import annotations

import json
import os
import shutil
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from nameplate.models.diskerrors import system_errors
from nameplate.store.files import explaining_disk_errors, replacing, write_json

Entry = Mapping[str, torch.Tensor]
"""What is kept under one key: tensors by name."""

_SUFFIX: Final = ".safetensors"
_CHECKS: Final = "checks"


class _Place(NamedTuple):
    """Where an entry lies."""

    segment: Path
    check: int
    names: tuple[str, ...]


class PrefixSpace:
    """All entries that were computed in one and the same way.

    A segment is a safetensors file that appears whole under its final name and is never changed; it holds a checksum
    for every entry. Several processes may write, each its own segments, and any number may read. An entry whose bytes
    are not those that were written does not exist.

    Args:
        folder: of this space alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.num_damaged = 0
        """Entries and files found that are not as they were written."""
        self._readers: dict[Path, Any] = {}
        self._places: dict[str, _Place] = {}
        self._sound: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Take in what other processes have written since."""
        for path in sorted(self.folder.glob(f"[!.]*{_SUFFIX}")):
            if path not in self._readers:
                self._open(path)

    def num_bytes(self) -> int:
        """What it takes on disk."""
        return _size(self.folder)

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Keys without a sound entry, each once, in order. The first look at an entry reads all of it."""
        return [key for key in dict.fromkeys(keys) if not self._is_sound(key)]

    def read(self, key: str) -> Entry:
        """One entry that is not missing, mapped from disk: not to be written to."""
        assert key in self._sound, f"{key} was not asked for by missing()"
        return self._tensors(key, self._places[key])

    def put(self, entries: Mapping[str, Entry]) -> Path:
        """Keep entries as one segment.

        Raises:
            RunDirectoryError: the disk is full or the folder cannot be written.
        """
        tensors = {
            f"{key}/{name}": tensor.detach().cpu().contiguous()
            for key, entry in entries.items()
            for name, tensor in entry.items()
        }
        checks = {key: _checksum({name: tensors[f"{key}/{name}"] for name in entries[key]}) for key in entries}
        path = self.folder / f"{uuid.uuid4().hex}{_SUFFIX}"
        # Not synced: a kill takes nothing back, and what a power cut leaves half is found by its checksum.
        with replacing(path, durable=False) as temporary, system_errors():
            save_file(tensors, temporary, metadata={_CHECKS: json.dumps(checks)})
        self._open(path)
        self._sound.update(entries)
        return path

    @contextmanager
    def filling(self, part: str = "") -> Iterator[None]:
        """Hold this space, or a part of it, for one process that fills it; others wait and then find it filled."""
        with explaining_disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f".lock{part}"):
            self.refresh()
            yield

    def _open(self, path: Path) -> None:
        try:
            reader: Any = safe_open(path, framework="pt")
            checks = json.loads((reader.metadata() or {})[_CHECKS])
            names: dict[str, list[str]] = {key: [] for key in checks}
            for full in reader.keys():  # noqa: SIM118  # safe_open is no mapping
                key, _, name = full.rpartition("/")
                names[key].append(name)
        except FileNotFoundError:
            # Another process has made room.
            return
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            self.num_damaged += 1
            path.unlink(missing_ok=True)
            return
        self._readers[path] = reader
        for key, check in checks.items():
            self._places.setdefault(key, _Place(path, check, tuple(sorted(names[key]))))

    def _is_sound(self, key: str) -> bool:
        if key in self._sound:
            return True
        place = self._places.get(key)
        if place is None:
            return False
        if _checksum(self._tensors(key, place)) != place.check:
            self.num_damaged += 1
            del self._places[key]
            return False
        self._sound.add(key)
        return True

    def _tensors(self, key: str, place: _Place) -> dict[str, torch.Tensor]:
        reader = self._readers[place.segment]
        return {name: reader.get_tensor(f"{key}/{name}") for name in place.names}


class PrefixStore:
    """The spaces of a store folder, under one budget.

    Args:
        root: the folder; shared by all runs of a store.
        max_bytes: most bytes of all spaces together.
    """

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        self.root = root
        self.max_bytes = max_bytes

    def space(self, identity: str, *, about: Mapping[str, str]) -> PrefixSpace:
        """The space of one way to compute, and what that is in words beside it, for a person who looks."""
        folder = self._folder(identity)
        if not (folder / "about.json").exists():
            write_json(folder / "about.json", dict(about))
        os.utime(folder / "about.json")
        return PrefixSpace(folder)

    def num_bytes(self) -> int:
        """What all spaces take."""
        return sum(_size(folder) for folder in self._folders())

    def room_for(self, identity: str) -> int:
        """Bytes that one space may still take, if all others went."""
        return max(0, self.max_bytes - _size(self._folder(identity)))

    def make_room(self, num_bytes: int, *, keep: str) -> int:
        """Remove spaces that were not used for longest until so much more fits; bytes that this has freed.

        Whoever reads a space that is removed goes on reading: its files are mapped.

        Args:
            num_bytes: wanted.
            keep: identity of the space that stays.
        """
        held = {folder: _size(folder) for folder in self._folders()}
        too_much = sum(held.values()) + num_bytes - self.max_bytes
        freed = 0
        for folder in sorted(held, key=_last_use):
            if freed < too_much and folder != self._folder(keep):
                shutil.rmtree(folder, ignore_errors=True)
                freed += held[folder]
        return freed

    def _folder(self, identity: str) -> Path:
        return self.root / identity[:40]

    def _folders(self) -> list[Path]:
        return [path for path in self.root.iterdir() if path.is_dir()] if self.root.exists() else []


def num_bytes(entry: Entry) -> int:
    """Of its tensors."""
    return sum(tensor.nbytes for tensor in entry.values())


def _checksum(entry: Entry) -> int:
    """CRC-32 over names, shapes, kinds and bytes."""
    check = 0
    for name in sorted(entry):
        tensor = entry[name]
        check = zlib.crc32(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode(), check)
        check = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, check)
    return check


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"[!.]*{_SUFFIX}"))


def _last_use(folder: Path) -> float:
    about = folder / "about.json"
    return about.stat().st_mtime if about.exists() else 0.0
