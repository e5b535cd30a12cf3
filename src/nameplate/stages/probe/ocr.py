"""Words in images, read by a small program that is installed with `nameplate[ocr]`; it runs on the CPU, offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module, metadata
from typing import Any, Final

from nameplate.errors import InputError
from nameplate.models.images import ImageKey
from nameplate.progress import Advance
from nameplate.stages.probe.texts import is_text
from nameplate.store.fingerprint import fingerprint
from nameplate.store.images import ImageStore
from nameplate.store.journal import Journal

PACKAGE: Final = "rapidocr"


def read_words(
    images: Sequence[ImageKey], *, store: ImageStore, journal: Journal, advance: Advance
) -> dict[ImageKey, str]:
    """What can be read in each image, "" where nothing can; what was read once stands in the journal.

    Raises:
        InputError: the program is not installed, or cannot open an image.
    """
    version = check_installed()
    keys = {image: _key(version, image.sha256) for image in images}
    kept = journal.last_many(list(keys.values()))
    found = {image: str(kept[key]["words"]) for image, key in keys.items() if key in kept}
    advance(len(found))
    missing = [image for image in keys if image not in found]
    engine = _engine() if missing else None
    for image in missing:
        path = store.path(*image)
        if not path.exists():
            raise InputError(str(path), found="missing", fix="run fetch again")
        words = " ".join(engine(str(path)).txts or ()) if engine is not None else ""
        journal.put(keys[image], 0, {"words": words})
        found[image] = words
        advance(1)
    return found


def words_on_record(images: Iterable[str], journal: Journal) -> dict[str, str]:
    """What the program that is installed read before, by the image's SHA-256, "" for no text; nothing is read now.

    Raises:
        InputError: it is not installed.
    """
    version = check_installed()
    keys = {_key(version, image): image for image in images}
    kept = {keys[key]: str(entry["words"]) for key, entry in journal.last_many(list(keys)).items()}
    return {image: words if is_text(words) else "" for image, words in kept.items()}


def check_installed() -> str:
    """The program's version.

    Raises:
        InputError: it is not there.
    """
    try:
        version = metadata.version(PACKAGE)
        metadata.version("onnxruntime")
    except metadata.PackageNotFoundError as error:
        raise InputError(
            "--ocr", found=f"{error.name} is not installed", fix="install nameplate[ocr], or leave --ocr out"
        ) from None
    return version


def _key(version: str, sha256: str) -> str:
    return fingerprint("ocr-1", PACKAGE, version, sha256)


def _engine() -> Any:
    # Not everybody has it, so nothing can be said of its types.
    return import_module(PACKAGE).RapidOCR(params={"Global.log_level": "critical"})
