"""Loading a model: from the package, a folder or the Hub; safetensors only, never code from a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError
from transformers import AutoModelForImageTextToText, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from nameplate.errors import ModelError
from nameplate.models.components import check_family
from nameplate.models.processing import Processor
from nameplate.store.fingerprint import folder_fingerprint

STARTER = "starter"
"""Name of the small model that comes with the package."""

_WANTED = ["*.json", "*.safetensors", "*.txt"]


class LoadedModel(NamedTuple):
    """A model with everything needed to ask it."""

    model: PreTrainedModel
    processor: Processor
    folder: Path
    fingerprint: str
    """Of its weights: SHA-256 over the safetensors files."""


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


def load_model(base: str, *, dtype: torch.dtype = torch.float32, max_tiles: int = 1) -> LoadedModel:
    """Load a model on the CPU, in eval mode.

    Args:
        base: "starter", a local folder, or a Hub id.
        dtype: number format of the weights.
        max_tiles: most image tiles per image.

    Raises:
        ModelError: missing, unreachable, of an unknown family, or with weights that do not fit its configuration.
    """
    folder = find_model(base)
    check_family(_config_of(folder).get("model_type"), where=str(folder))
    processor = Processor.from_folder(folder, max_tiles=max_tiles)
    # With output_loading_info it returns a pair, which its annotation does not say.
    reader: Any = AutoModelForImageTextToText
    # Progress is shown by us alone.
    quiet: Callable[[], None] = disable_progress_bar
    quiet()
    model: PreTrainedModel
    try:
        model, info = reader.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(str(folder), found=f"cannot be loaded ({_first_line(error)})") from error
    if info["missing_keys"] or info["mismatched_keys"]:
        lacking = sorted(str(key) for key in (info["missing_keys"] or info["mismatched_keys"]))
        raise ModelError(
            str(folder),
            found=f"{len(lacking)} weights are missing or of the wrong shape, first {lacking[0]}",
            fix="give a whole checkpoint",
        )
    model.train(False)
    return LoadedModel(model, processor, folder, weights_fingerprint(folder))


def stored_dtype(folder: Path) -> torch.dtype:
    """Number format that a folder's weights are written in, from its configuration."""
    tree = _config_of(folder)
    name = str(tree.get("dtype") or tree.get("torch_dtype") or "float32")
    known = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
    if name not in known:
        raise ModelError(f"{folder / 'config.json'}: dtype", found=name, expected="one of " + ", ".join(known))
    return known[name]


def _config_of(folder: Path) -> dict[str, object]:
    path = folder / "config.json"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(str(path), found=f"cannot be read ({_first_line(error)})") from None
    if not isinstance(tree, dict):
        raise ModelError(str(path), found="not a mapping", expected="a model's configuration")
    return tree


def _download(base: str) -> Path:
    try:
        return Path(snapshot_download(base, allow_patterns=_WANTED))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ModelError(
            f"model.base {base}",
            found=f"no such folder, and the Hub does not give it ({_first_line(error)})",
            expected="a folder, a Hub id that can be reached, or 'starter'",
        ) from error


def _whole(folder: Path, base: str) -> Path:
    if not (folder / "config.json").exists():
        raise ModelError(f"model.base {base}", found=f"{folder} has no config.json", expected="a model folder")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"model.base {base}", found=f"{folder} has no .safetensors file", fix="convert the weights")
    return folder


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
