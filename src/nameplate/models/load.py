"""Loading a model: from the package, a folder or the Hub; safetensors only, never code from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForImageTextToText,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging

from nameplate.errors import ModelError
from nameplate.models.components import check_family
from nameplate.models.internvl.config import is_original
from nameplate.models.internvl.folder import load_original, tied_by_evidence
from nameplate.models.locate import find_model, first_line, read_config, weights_fingerprint
from nameplate.models.processing import Processor
from nameplate.models.processors import load_processor
from nameplate.models.weights import WeightFiles, refuse


class LoadedModel(NamedTuple):
    """A model with everything needed to ask it."""

    model: PreTrainedModel
    processor: Processor
    folder: Path
    fingerprint: str
    """Of its weights: SHA-256 over the safetensors files."""


def load_model(base: str, *, dtype: torch.dtype = torch.float32, max_tiles: int | None = None) -> LoadedModel:
    """Load a model on the CPU, in eval mode: any native one, or InternVL in its original layout.

    Args:
        base: "starter", a local folder, or a Hub id.
        dtype: number format of the weights.
        max_tiles: most image tiles per image; none: as the folder says.

    Raises:
        ModelError: missing, unreachable, of an unknown family, in need of its own code, or with weights that do not
            fit its configuration or are no numbers.
    """
    folder = find_model(base)
    tree = read_config(folder)
    if not is_original(tree):
        _check_native(tree, folder)
    processor = load_processor(folder, max_tiles=max_tiles)
    files = WeightFiles(folder)
    # Quantised weights are no numbers to train or to save; this says so before anything is read.
    files.dtype()
    with _silent_transformers():
        model = _load(files, tree, processor, dtype)
    return LoadedModel(model, processor, folder, weights_fingerprint(folder))


def _load(files: WeightFiles, tree: dict[str, Any], processor: Processor, dtype: torch.dtype) -> PreTrainedModel:
    model: PreTrainedModel
    if is_original(tree):
        model = load_original(files, tree, image_token_id=processor.image_token_id, dtype=dtype)
        # The original's own is empty, and its language model's end of text is not the end of a turn.
        configure: Callable[..., GenerationConfig] = GenerationConfig
        model.generation_config = configure(eos_token_id=processor.end_id, pad_token_id=processor.pad_id)
    else:
        files.check_finite()
        model = _load_native(files, dtype)
    return model


def stored_dtype(folder: Path) -> torch.dtype:
    """Number format that a folder's weights are stored in, by the files themselves."""
    return WeightFiles(folder).dtype()


@contextmanager
def _silent_transformers() -> Iterator[None]:
    """Progress is shown by us alone, and what is wrong with weights is said once, by our error."""
    library: Any = logging
    library.disable_progress_bar()
    before = library.get_verbosity()
    library.set_verbosity_error()
    try:
        yield
    finally:
        library.set_verbosity(before)


def _check_native(tree: dict[str, Any], folder: Path) -> None:
    model_type = tree.get("model_type")
    foreign = str((tree.get("auto_map") or {}).get("AutoConfig", ""))
    if foreign and model_type not in CONFIG_MAPPING:
        raise ModelError(
            str(folder),
            found=f"a model of the type {model_type!r}, which only its own code ({foreign}) can build",
            expected="a type that transformers has, or InternVL's original layout",
            fix="code from checkpoints is never run; use the model's -hf version",
        )
    check_family(model_type, where=str(folder))


def _load_native(files: WeightFiles, dtype: torch.dtype) -> PreTrainedModel:
    folder = files.folder
    # With output_loading_info it returns a pair, which its annotation does not say.
    reader: Any = AutoModelForImageTextToText
    model: PreTrainedModel
    try:
        model, info = reader.from_pretrained(
            folder,
            config=_native_config(files),
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            # Those of another shape are reported by name below.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(str(folder), found=f"cannot be loaded ({first_line(error)})") from error
    refuse(info["missing_keys"], "is missing", where=folder, fix="give a whole checkpoint")
    refuse([key[0] for key in info["mismatched_keys"]], "has another shape than its configuration says", where=folder)
    refuse(info["unexpected_keys"], "is no weight of this model", where=folder)
    model.train(False)
    return model


def read_native_config(folder: Path) -> PreTrainedConfig:
    """A folder's configuration as transformers reads it.

    Raises:
        ModelError: it is malformed.
    """
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        found = f"malformed ({type(error).__name__}: {' '.join(str(error).split())})"
        raise ModelError(str(folder / "config.json"), found=found) from None
    return config


def _native_config(files: WeightFiles) -> PreTrainedConfig:
    """The folder's own, with head and embeddings tied only where the weights are."""
    config = read_native_config(files.folder)
    head = next((name for name in files.shapes if name.endswith("lm_head.weight")), None)
    embeddings = next((name for name in files.shapes if name.endswith("embed_tokens.weight")), None)
    said = getattr(config, "tie_word_embeddings", None)
    if head and embeddings and said and not tied_by_evidence(files, head, embeddings, said=said):
        config.tie_word_embeddings = False
    return config
