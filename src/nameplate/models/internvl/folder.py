"""An InternVL in the original layout: weights checked by name, loaded into transformers' class, and written back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from transformers import InternVLConfig, InternVLForConditionalGeneration

from nameplate.errors import ModelError
from nameplate.models.internvl.config import KEPT, parts_of, says_tied, to_native_config, to_original_config
from nameplate.models.internvl.keys import EMBEDDINGS, HEAD, Part, State, to_native, to_original
from nameplate.models.weights import Shape, WeightFiles, check_shapes, write_weights
from nameplate.store.files import write_json

NOT_WEIGHTS: Final = re.compile(r"rotary_emb\.inv_freq$")
"""Buffers that older code wrote and newer computes."""


def load_original(
    files: WeightFiles, tree: Mapping[str, Any], *, image_token_id: int, dtype: torch.dtype
) -> InternVLForConditionalGeneration:
    """The model of an original folder in transformers' own class, on the CPU.

    Args:
        files: its weights.
        tree: its `config.json`.
        image_token_id: by its own tokenizer.
        dtype: number format of the weights.

    Raises:
        ModelError: a weight is missing, too many, of the wrong shape or no number, by its original name.
    """
    where = str(files.folder / "config.json")
    parts = parts_of(tree, where=where)
    head, embeddings = _original_name(HEAD, parts), _original_name(EMBEDDINGS, parts)
    tied = tied_by_evidence(files, head, embeddings, said=says_tied(tree))
    config = to_native_config(tree, image_token_id=image_token_id, tied=tied, where=where)
    _check_image_token(config, where=where)
    expected = _expected_shapes(config, parts)
    surplus = {name for name in files.shapes if NOT_WEIGHTS.search(name) or (tied and name == head)}
    found = {name: shape for name, shape in files.shapes.items() if name not in surplus}
    check_shapes(found, expected, where=files.folder)
    files.check_finite()
    state = to_native({name: files.tensor(name) for name in expected}, parts)
    return build(config, state, dtype=dtype)


def save_original(
    state: Mapping[str, torch.Tensor], config: InternVLConfig, folder: Path, *, settings: Mapping[str, Any]
) -> None:
    """Write weights and `config.json` in the original layout.

    Args:
        state: native weights.
        config: of the model.
        folder: exists.
        settings: of images and conversation, by their original names.

    Raises:
        ModelError: the language model has no name in the original layout.
    """
    dtype = str(state[EMBEDDINGS].dtype).removeprefix("torch.")
    tree = to_original_config(config, dtype=dtype) | dict(settings)
    original = to_original(_without_tied_head(state, config), parts_of(tree, where=str(folder)))
    write_weights({name: tensor.contiguous() for name, tensor in original.items()}, folder)
    write_json(folder / "config.json", tree)


def build(config: InternVLConfig, state: State, *, dtype: torch.dtype) -> InternVLForConditionalGeneration:
    """A model in eval mode with exactly these native weights."""
    reader: Any = InternVLForConditionalGeneration
    model: InternVLForConditionalGeneration
    model, info = reader.from_pretrained(
        None, config=config, state_dict=state, dtype=dtype, output_loading_info=True, local_files_only=True
    )
    strange = [*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"]]
    assert not strange, f"the key map and transformers disagree on {strange[:3]}"
    model.train(False)
    return model


def tied_by_evidence(files: WeightFiles, head: str, embeddings: str, *, said: bool | None) -> bool:
    """Whether head and embeddings are one matrix: what is stored decides, then what the configuration says.

    A head of its own is never thrown away, whatever the configuration says: the default there is "tied".
    """
    if head not in files.shapes:
        return said is not False
    if embeddings not in files.shapes or not files.equal(head, embeddings):
        return False
    return said is True


def original_config(config: InternVLConfig) -> Mapping[str, Any]:
    """The original `config.json` that a native configuration came from; empty: none."""
    kept: Mapping[str, Any] = getattr(config, KEPT, None) or {}
    return kept


def _original_name(native: str, parts: Sequence[Part]) -> str:
    return next(part.to_original(native) for part in parts if native.startswith(part.prefix[1]))


def _expected_shapes(config: InternVLConfig, parts: Sequence[Part]) -> dict[str, Shape]:
    # Neither memory nor time: a model without values says which names and shapes belong to a configuration.
    with torch.device("meta"):
        state = InternVLForConditionalGeneration(config).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in to_original(_without_tied_head(state, config), parts).items()}


def _without_tied_head(state: Mapping[str, torch.Tensor], config: InternVLConfig) -> State:
    return {name: tensor for name, tensor in state.items() if not (config.tie_word_embeddings and name == HEAD)}


def _check_image_token(config: InternVLConfig, *, where: str) -> None:
    rows = int(config.get_text_config().vocab_size)
    if config.image_token_id >= rows:
        raise ModelError(
            f"{where}: llm_config.vocab_size",
            found=f"{rows} rows, but the tokenizer's image token is number {config.image_token_id}",
            fix="give the tokenizer that belongs to the weights",
        )
