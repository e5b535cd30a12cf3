"""Parts that no answer depends on: towers whose features are taken before their end, halves that make images.

They get no gradient from any example, so they never learn, whatever a policy says, and are no layers to count from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from transformers import PreTrainedModel

from nameplate.models.families import Family

_AFTER_LAYERS: Final = ("post_layernorm", "layernorm", "head")
"""What the towers of transformers hold after their layers; it does not work on the hidden states between them."""


def idle_paths(model: PreTrainedModel, family: Family, *, tower: str, layers: Sequence[str]) -> list[str]:
    """Full paths of modules that take no part.

    Args:
        model: whose configuration may say at which layer the features are taken (`vision_feature_layer`).
        family: says the rest.
        tower: path of the vision tower.
        layers: paths of its layers, in order.
    """
    prefix = f"{model.base_model_prefix}." if model.base_model is not model else ""
    stated = [prefix + path for path in family.idle]
    num_used = min(_num_used(model, len(layers)), len(layers))
    if num_used == len(layers) and not family.takes_hidden_states:
        return stated
    return [*stated, *layers[num_used:], *(f"{tower}.{name}" for name in _AFTER_LAYERS)]


def _num_used(model: PreTrainedModel, num_layers: int) -> int:
    """Hidden state 0 comes before the first layer, state k after k of them."""
    config = model.config
    where = getattr(config, "vision_feature_layer", getattr(config, "vision_feature_layers", -1))
    places = where if isinstance(where, (list, tuple)) else [where]
    return max(place if place >= 0 else num_layers + 1 + place for place in places)
