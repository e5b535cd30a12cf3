"""Writing a model as an ordinary Hugging Face folder, whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nameplate.errors import ModelError
from nameplate.models.adapters import plain_state_dict, save_adapter
from nameplate.models.diskerrors import system_errors
from nameplate.models.load import LoadedModel, stored_dtype
from nameplate.models.policy import AppliedPolicies
from nameplate.store.files import explaining_disk_errors, write_json

NOTES_FILE = "nameplate.json"


def save_checkpoint(
    loaded: LoadedModel, applied: AppliedPolicies, folder: Path, *, base: str, notes: Mapping[str, Any]
) -> None:
    """Write model (adapters merged), tokenizer, preprocessing and notes; adapters alone go to `adapter/`.

    The weights keep the number format of the base folder. An earlier folder of that name is replaced.

    Raises:
        RunDirectoryError: the disk is full or the folder cannot be written.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    dtype = stored_dtype(loaded.folder)
    with explaining_disk_errors(folder), system_errors():
        remove_folder(temporary)
        temporary.mkdir(parents=True)
        _save_weights(loaded, temporary, dtype)
        loaded.processor.save(temporary)
        if applied.lora is not None:
            save_adapter(loaded.model, applied.lora, temporary / "adapter", base=base)
        write_json(temporary / NOTES_FILE, dict(notes))
        remove_folder(folder)
        temporary.rename(folder)


def read_notes(folder: Path) -> dict[str, Any]:
    """What training wrote down beside a checkpoint.

    Raises:
        ModelError: there is nothing, or not what training writes.
    """
    path = folder / NOTES_FILE
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(str(path), found=f"cannot be read ({error})", fix="run train again") from None
    if not isinstance(notes, dict):
        raise ModelError(str(path), found="not a mapping", fix="run train again")
    return notes


def remove_folder(folder: Path) -> None:
    """Remove a folder if it is there."""
    if folder.exists():
        shutil.rmtree(folder)


def _save_weights(loaded: LoadedModel, folder: Path, dtype: torch.dtype) -> None:
    plain = plain_state_dict(loaded.model)
    # One copy per storage: tied weights must stay one tensor, or the head would be written twice.
    converted = {tensor.data_ptr(): tensor.to(dtype).contiguous() for tensor in plain.values()}
    state = {name: converted[tensor.data_ptr()] for name, tensor in plain.items()}
    config = loaded.model.config
    before = config.dtype
    config.dtype = dtype
    try:
        loaded.model.save_pretrained(folder, state_dict=state)
    finally:
        config.dtype = before
