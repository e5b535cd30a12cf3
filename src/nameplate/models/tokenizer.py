"""A model folder's own tokenizer, and the ids that matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from nameplate.errors import ModelError

TOKENIZER_FILE: Final = "tokenizer.json"
CONFIG_FILE: Final = "tokenizer_config.json"
BYTE_PAIRS: Final = ("vocab.json", "merges.txt")
END_OF_TURN: Final = "<|im_end|>"


def load_tokenizer(folder: Path, *, config: PreTrainedConfig | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, from `tokenizer.json` or from vocabulary and merges; never from code.

    Args:
        folder: of the model.
        config: stands for a `config.json` that transformers does not know; none: it does.

    Raises:
        ModelError: there is none, or it needs code that comes with the checkpoint.
    """
    path = folder / TOKENIZER_FILE
    needed = (*BYTE_PAIRS, CONFIG_FILE)
    if not path.exists() and not all((folder / name).exists() for name in needed):
        raise ModelError(str(path), found="missing", expected="a fast tokenizer", fix=_fix(folder))
    if not (folder / CONFIG_FILE).exists():
        return _bare(path)
    # The class that a configuration names may exist in the checkpoint only; its tokens are in the file all the same.
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, config=config, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        if not path.exists():
            raise ModelError(str(folder / CONFIG_FILE), found=f"cannot be loaded ({error})", fix=_fix(folder)) from None
        built: PreTrainedTokenizerBase = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        return built
    return tokenizer


def token_id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    """The id of a token.

    Raises:
        ModelError: the tokenizer has none.
    """
    found = tokenizer.get_vocab().get(token)
    if found is None:
        raise ModelError(
            "tokenizer", found=f"it has no token {token}", expected="a ChatML tokenizer of an InternVL model"
        )
    return found


def end_of_turn_id(tokenizer: PreTrainedTokenizerBase, turn_end: str) -> int:
    """The id of the token that begins what ends a turn.

    Raises:
        ModelError: the tokenizer has none such.
    """
    added = (token.content for token in tokenizer.added_tokens_decoder.values())
    starts = [token for token in {*added, *tokenizer.all_special_tokens} if token and turn_end.startswith(token)]
    return token_id(tokenizer, max(starts, key=len, default=turn_end.strip()))


def pad_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that fills batches: the tokenizer's own, or that of the end of text."""
    pad = tokenizer.pad_token_id
    return pad if isinstance(pad, int) else token_id(tokenizer, "<|endoftext|>")


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """All tokens that mean something besides their text, longest first."""
    added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return tuple(sorted({*added, *tokenizer.all_special_tokens}, key=lambda token: (-len(token), token)))


def leading_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """What the tokenizer puts before every text: the beginning-of-sequence token, or nothing."""
    plain = list(tokenizer("a", add_special_tokens=False)["input_ids"])
    whole = list(tokenizer("a")["input_ids"])
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start]
    return []


def _bare(path: Path) -> PreTrainedTokenizerBase:
    build: Callable[..., PreTrainedTokenizerBase] = PreTrainedTokenizerFast
    return build(tokenizer_file=str(path), pad_token="<|endoftext|>", eos_token=END_OF_TURN)


def _fix(folder: Path) -> str:
    if (folder / "tokenizer.model").exists():
        return (
            "this one has only tokenizer.model, which its own code reads; put the tokenizer.json of the same model's "
            "-hf version beside it"
        )
    return "give a whole model folder"
