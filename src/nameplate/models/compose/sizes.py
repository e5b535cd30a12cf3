"""What a part's `config.json` must say: a size that is left out would silently become transformers' default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nameplate.errors import ModelError

_SIZES: Final = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
VISION_SIZES: Final = (*_SIZES, "image_size", "patch_size")
LANGUAGE_SIZES: Final = (*_SIZES, "vocab_size")


def require_sizes(tree: object, names: tuple[str, ...], *, where: str) -> Mapping[str, Any]:
    """The configuration, which says all of these.

    Raises:
        ModelError: one is missing.
    """
    if not isinstance(tree, Mapping):
        raise ModelError(where, found="missing or not a mapping", fix="give a whole model folder")
    absent = [name for name in names if tree.get(name) is None]
    if absent:
        raise ModelError(where, found=f"no {', '.join(absent)}", fix="give the config.json that belongs to the weights")
    return tree
