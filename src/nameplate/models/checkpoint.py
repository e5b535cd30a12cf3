"""Writing a model as an ordinary Hugging Face folder, whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import InternVLConfig

from nameplate.errors import ModelError
from nameplate.models.adapters import plain_state_dict, save_adapter
from nameplate.models.diskerrors import system_errors
from nameplate.models.internvl.conversation import settings_of, write_original_preprocessor
from nameplate.models.internvl.folder import original_config
from nameplate.models.internvl.folder import save_original as write_original
from nameplate.models.internvl.processing import InternVLProcessor
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
    with replacing_folder(folder) as temporary:
        _write_native(loaded, temporary)
        if applied.lora is not None:
            save_adapter(loaded.model, applied.lora, temporary / "adapter", base=base)
        write_json(temporary / NOTES_FILE, dict(notes))


def save_native(loaded: LoadedModel, folder: Path) -> None:
    """Write a model as an ordinary Hugging Face folder; one of that name is replaced.

    Raises:
        RunDirectoryError: the disk is full or the folder cannot be written.
    """
    with replacing_folder(folder) as temporary:
        _write_native(loaded, temporary)


def save_original(loaded: LoadedModel, folder: Path) -> None:
    """Write an InternVL in its original layout, with tokenizer and settings; a folder of that name is replaced.

    Code that comes with an original checkpoint is not part of it: who wants to run it copies its files beside.

    Raises:
        ModelError: another family, or a language model that the original layout has no names for.
        RunDirectoryError: the disk is full or the folder cannot be written.
    """
    processor, config = loaded.processor, loaded.model.config
    if not isinstance(processor, InternVLProcessor) or not isinstance(config, InternVLConfig):
        raise ModelError(
            str(loaded.folder),
            found=f"a model of the family {config.model_type!r}",
            expected="InternVL, the only one with an original layout",
            fix="save it in the native layout",
        )
    settings = settings_of(processor.contract, kept=original_config(config))
    with replacing_folder(folder) as temporary:
        write_original(_stored_state(loaded), config, temporary, settings=settings)
        processor.tokenizer.save_pretrained(temporary)
        write_original_preprocessor(processor.contract, temporary)
        _write_generation(loaded, temporary)


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


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; when the block ends well, it takes the name.

    Raises:
        RunDirectoryError: the disk is full or the folder cannot be written.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    with explaining_disk_errors(folder), system_errors():
        remove_folder(temporary)
        temporary.mkdir(parents=True)
        try:
            yield temporary
        except BaseException:
            # Half a model is of no use to anyone, and it is large.
            remove_folder(temporary)
            raise
        remove_folder(folder)
        temporary.rename(folder)


def _write_native(loaded: LoadedModel, folder: Path) -> None:
    state = _stored_state(loaded)
    config = loaded.model.config
    before = config.dtype
    config.dtype = stored_dtype(loaded.folder)
    try:
        loaded.model.save_pretrained(folder, state_dict=state)
    finally:
        config.dtype = before
    loaded.processor.save(folder)


def _write_generation(loaded: LoadedModel, folder: Path) -> None:
    generation: Any = loaded.model.generation_config
    generation.save_pretrained(folder)


def _stored_state(loaded: LoadedModel) -> dict[str, torch.Tensor]:
    """The weights in the number format of the base folder."""
    dtype = stored_dtype(loaded.folder)
    plain = plain_state_dict(loaded.model)
    # One copy per storage: tied weights must stay one tensor, or the head would be written twice.
    converted = {tensor.data_ptr(): tensor.to(dtype).contiguous() for tensor in plain.values()}
    return {name: converted[tensor.data_ptr()] for name, tensor in plain.items()}
