"""Folders of the user's pictures that a recipe names: which of them are looked at, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from nameplate.errors import InputError
from nameplate.models.pictures import read_picture
from nameplate.recipe import UnnamedSection
from nameplate.store.fingerprint import file_fingerprint, fingerprint
from nameplate.store.images import ImageStore

LEARNED: Final = "train.examples.unnamed.images"
ASKED: Final = "score.guards.unnamed"
EXTENSIONS: Final = ("jpg", "jpeg", "png", "webp", "gif", "bmp")


class PictureFolder(NamedTuple):
    """Pictures on all levels of a folder, in the order of their names."""

    root: str
    setting: str
    """Of the recipe that names the folder, for what goes wrong."""
    most: int | None = None
    """Look at the first so many; none: at all."""

    def paths(self) -> list[Path]:
        """Where they are.

        Raises:
            InputError: the folder is not there or holds no picture.
        """
        root = Path(self.root)
        if not root.is_dir():
            raise InputError(self.root, found="no such folder", fix=f"check {self.setting} in the recipe")
        files = (path for path in root.rglob("*") if path.is_file())
        paths = sorted(path for path in files if path.suffix.lower().lstrip(".") in EXTENSIONS)
        if not paths:
            raise InputError(self.root, found="no image in it", expected=f"files ending in {', '.join(EXTENSIONS)}")
        return paths[: self.most]

    def digests(self) -> dict[str, str]:
        """SHA-256 (hex) of each file by its name inside the folder.

        Raises:
            InputError: as `paths`.
        """
        return {path.relative_to(self.root).as_posix(): file_fingerprint(path) for path in self.paths()}

    def fingerprint(self) -> str:
        """SHA-256 (hex) over names and bytes.

        Raises:
            InputError: as `paths`.
        """
        return fingerprint(list(self.digests().items()))

    def captions(self) -> dict[str, str]:
        """What stands in text files beside the pictures (`mug.txt` beside `mug.jpg`), by the pictures' names.

        Raises:
            InputError: as `paths`, or a text is empty or not UTF-8.
        """
        beside = [(path, path.with_suffix(".txt")) for path in self.paths()]
        return {path.relative_to(self.root).as_posix(): _text(text) for path, text in beside if text.is_file()}

    def keep(self, store: ImageStore) -> dict[str, tuple[str, str]]:
        """Put them into the store; SHA-256 and extension of each by its name inside the folder.

        Raises:
            InputError: as `paths`, or one cannot be decoded.
        """
        return {path.relative_to(self.root).as_posix(): self._kept(path, store) for path in self.paths()}

    def _kept(self, path: Path, store: ImageStore) -> tuple[str, str]:
        data = path.read_bytes()
        try:
            read_picture(data)
        except InputError as error:
            raise InputError(str(path), found=error.found, fix=f"remove it from {self.setting}") from None
        ext = path.suffix.lower().lstrip(".")
        return store.put(data, ext), ext


def _text(path: Path) -> str:
    fix = "write what the picture shows, or remove the file"
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise InputError(str(path), found="not UTF-8", fix=fix) from None
    if not text:
        raise InputError(str(path), found="empty", fix=fix)
    return text


def example_folder(section: UnnamedSection) -> PictureFolder:
    """Images without a name that are learned from."""
    return PictureFolder(section.images, LEARNED)


def guard_folder(root: str) -> PictureFolder:
    """Images without a name that guards ask about: the first 200, for more would tell little that these do not."""
    return PictureFolder(root, ASKED, most=200)


def check_apart(learned: PictureFolder, asked: PictureFolder) -> None:
    """Refuse to judge a model by pictures that it learned from.

    Raises:
        InputError: a picture is in both folders, or one of them cannot be read.
    """
    known = {sha256: name for name, sha256 in learned.digests().items()}
    shared = [(name, known[sha256]) for name, sha256 in asked.digests().items() if sha256 in known]
    if shared:
        name, twin = shared[0]
        more = f", and {len(shared) - 1} more" if len(shared) > 1 else ""
        raise InputError(
            f"{asked.setting}: {Path(asked.root) / name}",
            found=f"it is learned from as well ({learned.setting}: {twin}){more}",
            fix="put different images into the two folders, or the model is asked what it was told",
        )
