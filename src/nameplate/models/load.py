"""Loading a model: from the package, a folder or the Hub; safetensors only, never code from a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from transformers import AutoModelForImageTextToText, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from nameplate.errors import ModelError
from nameplate.models.components import check_family
from nameplate.models.locate import find_model, first_line, weights_fingerprint
from nameplate.models.processing import Processor


class LoadedModel(NamedTuple):
    """A model with everything needed to ask it."""

    model: PreTrainedModel
    processor: Processor
    folder: Path
    fingerprint: str
    """Of its weights: SHA-256 over the safetensors files."""


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
        raise ModelError(str(folder), found=f"cannot be loaded ({first_line(error)})") from error
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
        raise ModelError(str(path), found=f"cannot be read ({first_line(error)})") from None
    if not isinstance(tree, dict):
        raise ModelError(str(path), found="not a mapping", expected="a model's configuration")
    return tree
