"""The language model of a new model: any Qwen2, Qwen3 or Llama that answers in turns."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from transformers import (
    AddedToken,
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen3Config,
)

from nameplate.errors import ModelError
from nameplate.models.compose.sizes import LANGUAGE_SIZES, require_sizes
from nameplate.models.compose.turns import Turns, turns_of
from nameplate.models.internvl.folder import NOT_WEIGHTS, tied_by_evidence
from nameplate.models.internvl.keys import HEAD, State
from nameplate.models.locate import find_model, first_line, read_config
from nameplate.models.tokenizer import load_tokenizer
from nameplate.models.weights import WeightFiles, check_shapes

OPTION: Final = "--language"
EMBEDDINGS: Final = "model.embed_tokens.weight"
IMAGE_TOKENS: Final = (
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "<quad>",
    "</quad>",
    "<ref>",
    "</ref>",
    "<box>",
    "</box>",
)
"""InternVL 2.5's own tokens, in the order in which its training adds them (`internvl_chat_finetune.py`)."""

_CONFIGS: Final = {each.model_type: each for each in (Qwen2Config, Qwen3Config, LlamaConfig)}
_PADS: Final = ("<|endoftext|>", "<|finetune_right_pad_id|>", "<pad>", "<unk>")


class LanguagePart(NamedTuple):
    """A causal language model with its tokenizer, its weights not yet read."""

    files: WeightFiles
    config: PreTrainedConfig
    tied: bool
    """Whether head and embeddings are one matrix, by what is stored."""
    tokenizer: PreTrainedTokenizerBase
    """Has the image tokens."""
    num_trained: int
    """Rows of the embeddings that belong to tokens which the model has seen."""
    added: tuple[str, ...]
    """Image tokens that the tokenizer lacked."""
    turns: Turns

    @property
    def num_rows(self) -> int:
        """Of the embeddings as they are stored."""
        return self.files.shapes[EMBEDDINGS][0]

    def names(self) -> Iterator[str]:
        """Tensors that the new model takes, as they are called in the files."""
        for name in self.files.shapes:
            if not NOT_WEIGHTS.search(name) and not (self.tied and name == HEAD):
                yield name

    def pieces(self) -> Iterator[State]:
        """The weights, one by one, under their own names.

        Raises:
            ModelError: one is no number.
        """
        for name in self.names():
            yield {name: self.files.sound_tensor(name)}


def read_language(base: str) -> LanguagePart:
    """Find a language model, check its tensors' names and shapes, and give its tokenizer the image tokens.

    Raises:
        ModelError: there is none, it is of another family, it has no tokenizer or chat template, or its tensors are not
            those of its configuration.
    """
    folder, where = find_model(base, where=OPTION), f"{OPTION} {base}"
    tree = read_config(folder)
    kind = tree.get("model_type")
    if kind not in _CONFIGS:
        raise ModelError(where, found=f"a model of the type {kind!r}", expected="one of " + ", ".join(_CONFIGS))
    require_sizes(tree, LANGUAGE_SIZES, where=str(folder / "config.json"))
    if "quantization_config" in tree:
        raise ModelError(where, found="quantised weights", fix="give the checkpoint that is not quantised")
    config = _config(folder)
    files = WeightFiles(folder)
    tied = tied_by_evidence(files, HEAD, EMBEDDINGS, said=config.tie_word_embeddings)
    config.tie_word_embeddings = tied
    tokenizer = load_tokenizer(folder)
    turns = turns_of(tokenizer, where=where)
    num_trained = num_ids(tokenizer)
    part = LanguagePart(files, config, tied, tokenizer, num_trained, _add_image_tokens(tokenizer), turns)
    check_shapes({name: files.shapes[name] for name in part.names()}, _expected(config), where=folder)
    if num_trained > part.num_rows:
        raise ModelError(
            where,
            found=f"a tokenizer with ids up to {num_trained - 1:,}, but embeddings of {part.num_rows:,} rows",
            fix="give the tokenizer that belongs to the weights",
        )
    return part


def num_ids(tokenizer: PreTrainedTokenizerBase) -> int:
    """Rows that a tokenizer asks for: one more than its largest id, since there may be ids that no token has."""
    return max(tokenizer.get_vocab().values()) + 1


def _config(folder: Path) -> PreTrainedConfig:
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(str(folder / "config.json"), found=f"malformed ({first_line(error)})") from None
    return config


def _expected(config: PreTrainedConfig) -> dict[str, tuple[int, ...]]:
    builder: Any = AutoModelForCausalLM
    with torch.device("meta"):
        state = builder.from_config(config).state_dict()
    skipped = {HEAD} if config.tie_word_embeddings else set()
    return {name: tuple(tensor.shape) for name, tensor in state.items() if name not in skipped}


def _add_image_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    vocabulary = tokenizer.get_vocab()
    lacking = [token for token in IMAGE_TOKENS if token not in vocabulary]
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in lacking], special_tokens=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = _pad(tokenizer, vocabulary)
    return tuple(lacking)


def _pad(tokenizer: PreTrainedTokenizerBase, vocabulary: Collection[str]) -> str:
    # What fills a batch is masked, so any token will do that no text has.
    return next((token for token in _PADS if token in vocabulary), str(tokenizer.eos_token))
