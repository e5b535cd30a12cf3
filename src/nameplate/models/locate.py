"""Finding a model's folder, without loading anything heavy: the pipeline asks for it before the first fetch."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from nameplate.errors import ModelError
from nameplate.store.fingerprint import folder_fingerprint

STARTER = "starter"
"""Name of the small model that comes with the package."""

_WANTED = ["*.json", "*.safetensors", "*.txt", "*.jinja", "README.md", "LICENSE*"]
"""All that is ever downloaded: no code, no pickle."""

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


_CONFIGURATION = [pattern for pattern in _WANTED if pattern != "*.safetensors"]


def find_model(base: str, *, where: str = "model.base", weights: bool = True) -> Path:
    """The folder of a model: "starter", a local folder, or a Hub id (downloaded if need be).

    Args:
        base: what was given.
        where: it was given, for errors.
        weights: they are needed; where they are not, a folder may lack them, and none are downloaded.

    Raises:
        ModelError: there is no such folder, or the Hub does not give it.
    """
    if base == STARTER:
        # By place, not by import: the starter belongs to the demo, whose code the models must not need.
        return _whole(Path(str(files("nameplate"))) / "demo" / "starter", f"{where} {base}")
    folder = Path(base)
    if folder.is_dir():
        return _whole(folder, f"{where} {base}", weights=weights)
    if folder.is_absolute() or base.startswith(".") or base.count("/") != 1:
        raise ModelError(f"{where} {base}", found="no such folder", expected="a folder, a Hub id or 'starter'")
    return _whole(_download(base, where=where, weights=weights), f"{where} {base}", weights=weights)


def weights_fingerprint(folder: Path) -> str:
    """SHA-256 over names and bytes of a folder's safetensors files."""
    return folder_fingerprint(folder, "*.safetensors")


def _download(base: str, *, where: str, weights: bool) -> Path:
    try:
        return Path(snapshot_download(base, allow_patterns=_WANTED if weights else _CONFIGURATION))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ModelError(
            f"{where} {base}",
            found=f"no such folder, and the Hub does not give it ({first_line(error)})",
            expected="a folder, a Hub id that can be reached, or 'starter'",
        ) from error


def _whole(folder: Path, where: str, *, weights: bool = True) -> Path:
    if not (folder / "config.json").exists():
        raise ModelError(where, found=f"{folder} has no config.json", expected="a model folder")
    if not weights or any(folder.glob("*.safetensors")):
        return folder
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    if pickled:
        raise ModelError(
            where,
            found=f"{folder} has no .safetensors file, only pickled weights ({pickled[0]}), which can run any code",
            fix="convert them where you trust them: load with transformers and call save_pretrained",
        )
    raise ModelError(
        where,
        found=f"{folder} has no .safetensors file (pickled weights are neither read nor downloaded)",
        fix="give a model that is published as safetensors, or convert the weights",
    )


def read_config(folder: Path) -> dict[str, Any]:
    """A folder's `config.json`.

    Raises:
        ModelError: it is missing or malformed.
    """
    path = folder / "config.json"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(str(path), found=f"cannot be read ({first_line(error)})") from None
    if not isinstance(tree, dict):
        raise ModelError(str(path), found="not a mapping", expected="a model's configuration")
    return tree


def first_line(error: BaseException) -> str:
    """First line of an error's text, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
