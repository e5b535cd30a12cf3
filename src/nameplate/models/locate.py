"""Finding a model's folder, without loading anything heavy: the pipeline asks for it before the first fetch."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from nameplate.errors import ModelError
from nameplate.store.fingerprint import folder_fingerprint

STARTER = "starter"
"""Name of the small model that comes with the package."""

_WANTED = ["*.json", "*.safetensors", "*.txt"]


def find_model(base: str) -> Path:
    """The folder of a model: "starter", a local folder, or a Hub id (downloaded if need be).

    Raises:
        ModelError: there is no such folder, or the Hub does not give it.
    """
    if base == STARTER:
        # By place, not by import: the starter belongs to the demo, whose code the models must not need.
        return _whole(Path(str(files("nameplate"))) / "demo" / "starter", base)
    folder = Path(base)
    if folder.is_dir():
        return _whole(folder, base)
    if folder.is_absolute() or base.startswith(".") or base.count("/") != 1:
        raise ModelError(f"model.base {base}", found="no such folder", expected="a folder, a Hub id or 'starter'")
    return _whole(_download(base), base)


def weights_fingerprint(folder: Path) -> str:
    """SHA-256 over names and bytes of a folder's safetensors files."""
    return folder_fingerprint(folder, "*.safetensors")


def _download(base: str) -> Path:
    try:
        return Path(snapshot_download(base, allow_patterns=_WANTED))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ModelError(
            f"model.base {base}",
            found=f"no such folder, and the Hub does not give it ({first_line(error)})",
            expected="a folder, a Hub id that can be reached, or 'starter'",
        ) from error


def _whole(folder: Path, base: str) -> Path:
    if not (folder / "config.json").exists():
        raise ModelError(f"model.base {base}", found=f"{folder} has no config.json", expected="a model folder")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"model.base {base}", found=f"{folder} has no .safetensors file", fix="convert the weights")
    return folder


def first_line(error: BaseException) -> str:
    """First line of an error's text, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
