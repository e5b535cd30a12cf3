"""How far into a model an example can be computed once, by what learns: pure, from the recipe's words alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, get_args

from nameplate.errors import RecipeError
from nameplate.recipe import ComponentPolicy, LanguagePolicy, parse_range
from nameplate.recipe.training import PrefixLevel
from nameplate.records import ComponentName

LEVELS: Final[tuple[PrefixLevel, ...]] = get_args(PrefixLevel)
"""From the image towards the answer; what is valid at one level is valid at those before it."""

MEANINGS: Final[Mapping[PrefixLevel, str]] = {
    "tiles": "images decoded, resized and cut up",
    "vision": "what the projector reads of each image",
    "projected": "what the language model reads of each image",
    "hidden": "hidden states after the frozen lower layers, for each example",
}

Form = Literal["tensor", "rows"]


class Abilities(NamedTuple):
    """What of a family's prefix can be handed back to its model."""

    form: Form | None = None
    """How the model wants projected features: one tensor (tiles, tokens, width), or a list of rows (tokens, width);
    none: it takes none, or something goes with them that has no common form."""
    vision: bool = False
    """Whether its projector reads one tensor and makes the features of it alone."""
    hidden: bool = False
    """Whether its decoder's layers hand on one hidden state, and nothing of the image comes in between."""


_TENSOR: Final = Abilities("tensor", vision=True, hidden=True)
_ROWS: Final = Abilities("rows", vision=True, hidden=True)
_ROWS_JOINED: Final = Abilities("rows", hidden=True)
_HIDDEN: Final = Abilities(hidden=True)
_NONE: Final = Abilities()

ABILITIES: Final[Mapping[str, Abilities]] = {
    "internvl": _TENSOR,
    "aya_vision": _TENSOR,
    "cohere2_vision": _TENSOR,
    "deepseek_vl": _TENSOR,
    "gemma3": _TENSOR,
    "paligemma": _TENSOR,
    "vipllava": _TENSOR,
    "glm4v": _ROWS,
    "idefics3": _ROWS,
    "lfm2_vl": _ROWS,
    "llava": _ROWS,
    "qwen2_vl": _ROWS,
    "qwen2_5_vl": _ROWS,
    "smolvlm": _ROWS,
    "llava_next": _ROWS_JOINED,
    "llava_onevision": _ROWS_JOINED,
    "mistral3": _ROWS_JOINED,
    "llama4": _HIDDEN,
    "ovis2": _HIDDEN,
}
"""By `model_type`, as proven on tiny models. A family that is not here keeps tiles alone: qwen3_vl and mllama because
their features also go into later layers, others because nobody has looked."""


class Verdict(NamedTuple):
    """Whether one level may be kept."""

    level: PrefixLevel
    reason: str
    """Why it would be wrong; empty: it is right."""
    num_layers: int = 0
    """Layers of the language model that are part of it, with `hidden`."""

    @property
    def valid(self) -> bool:
        """Whether what is kept stays true for the whole training."""
        return not self.reason


def abilities_of(model_type: str) -> Abilities:
    """What can be handed back to a family's model."""
    return ABILITIES.get(model_type, _NONE)


def judge_levels(
    policies: Mapping[ComponentName, ComponentPolicy],
    *,
    model_type: str,
    num_layers: int,
    augmented: bool = False,
    by_chance: str | None = None,
) -> dict[PrefixLevel, Verdict]:
    """What may be kept under a recipe's policies, and why not what may not.

    Args:
        policies: one per component.
        model_type: the family.
        num_layers: of the language model.
        augmented: whether images are changed anew in every epoch.
        by_chance: a frozen part that acts otherwise each time, such as a drop-path; none: there is none.
    """
    depth = frozen_depth(policies["language"], num_layers=num_layers)
    reasons: dict[PrefixLevel, str] = {"tiles": "images are augmented anew in every epoch" if augmented else ""}
    for level in LEVELS[1:]:
        reasons[level] = _reason(level, policies, abilities_of(model_type), depth)
        if not reasons[level] and by_chance is not None:
            reasons[level] = f"{by_chance} acts by chance"
    verdicts: dict[PrefixLevel, Verdict] = {}
    inherited = ""
    for level in LEVELS:
        inherited = inherited or (reasons[level] if level == "tiles" else "")
        verdicts[level] = Verdict(level, inherited or reasons[level], depth if level == "hidden" else 0)
    return verdicts


def frozen_depth(policy: ComponentPolicy, *, num_layers: int) -> int:
    """Layers of the language model before the first that learns; 0 where its embeddings learn."""
    if isinstance(policy, LanguagePolicy) and _embeddings_learn(policy):
        return 0
    if policy.mode == "frozen":
        return num_layers
    if policy.mode == "last":
        return max(0, num_layers - (policy.num_layers or 0))
    if policy.mode == "layers":
        return min(parse_range(text)[0] for text in policy.layers or ("0",))
    return 0


def refuse_level(verdict: Verdict) -> None:
    """Refuse a level that was asked for by name and would be wrong.

    Raises:
        RecipeError: says why.
    """
    if not verdict.valid:
        raise RecipeError(
            f"train.memory.prefix: {verdict.level}",
            found=f"{MEANINGS[verdict.level]} cannot be kept: {verdict.reason}",
            fix="set it to auto, or to off",
        )


def _reason(level: PrefixLevel, policies: Mapping[ComponentName, ComponentPolicy], can: Abilities, depth: int) -> str:
    if policies["vision"].learns:
        return "the vision tower learns"
    if level == "vision":
        return "" if can.vision else "this family's projector does not read one tensor for each image"
    if policies["projector"].learns:
        return "the projector learns"
    if level == "projected":
        return "" if can.form else "this family's model does not take features that were computed before"
    if not can.hidden:
        return "this family's language model cannot go on from the middle"
    return _reason_of_language(policies["language"], depth)


def _reason_of_language(policy: ComponentPolicy, depth: int) -> str:
    if depth:
        return ""
    if isinstance(policy, LanguagePolicy) and _embeddings_learn(policy):
        return "the token embeddings learn"
    return "adapters learn from its first layer on" if policy.mode == "lora" else "its first layer learns"


def _embeddings_learn(policy: LanguagePolicy) -> bool:
    return policy.embeddings == "full" or (policy.embeddings == "by_mode" and policy.mode == "full")
