"""InternVL's original `config.json` as transformers' `InternVLConfig`, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from huggingface_hub.errors import StrictDataclassError
from transformers import InternVLConfig, InternVLVisionConfig, LlamaConfig, PreTrainedConfig, Qwen2Config, Qwen3Config

from nameplate.errors import ModelError
from nameplate.models.internvl.keys import Part, internlm2_parts, plain_parts

ORIGINAL_TYPE: Final = "internvl_chat"
KEPT: Final = "original_config"
"""Attribute of a native configuration that keeps the original one, so that nothing is lost on the way back."""

Tree = Mapping[str, Any]

_VISION_FIELDS: Final[Mapping[str, tuple[str, Any]]] = {
    "hidden_size": ("hidden_size", 3200),
    "num_hidden_layers": ("num_hidden_layers", 48),
    "num_attention_heads": ("num_attention_heads", 25),
    "intermediate_size": ("intermediate_size", 12800),
    "image_size": ("image_size", 224),
    "patch_size": ("patch_size", 14),
    "num_channels": ("num_channels", 3),
    "hidden_act": ("hidden_act", "gelu"),
    "norm_type": ("norm_type", "rms_norm"),
    "layer_norm_eps": ("layer_norm_eps", 1e-6),
    "qkv_bias": ("attention_bias", False),
    "qk_normalization": ("use_qk_norm", True),
    "dropout": ("projection_dropout", 0.0),
    "attention_dropout": ("attention_dropout", 0.0),
    "initializer_range": ("initializer_range", 0.02),
    "initializer_factor": ("layer_scale_init_value", 0.1),
}
"""Original field -> native field, and the original class's default (those of the 6B tower)."""

_LANGUAGES: Final[Mapping[str, type[PreTrainedConfig]]] = {
    "Qwen2ForCausalLM": Qwen2Config,
    "Qwen3ForCausalLM": Qwen3Config,
    "LlamaForCausalLM": LlamaConfig,
    "InternLM2ForCausalLM": LlamaConfig,
}
"""By the architecture that the original configuration names. InternLM2 is Llama under other names."""

_NOT_TEXT: Final = {"architectures", "auto_map", "model_type", "torch_dtype", "dtype", "transformers_version"}


def is_original(tree: Tree) -> bool:
    """Whether a `config.json` is InternVL's own."""
    return tree.get("model_type") == ORIGINAL_TYPE


def check_original(tree: Tree, *, where: str) -> None:
    """Refuse settings that mean something which the native model does not do.

    Raises:
        ModelError: with the setting.
    """
    required = {"ps_version": ("v2", "v1"), "pad2square": (False, False)}
    for name, (wanted, default) in required.items():
        found = tree.get(name, default)
        if found != wanted:
            raise ModelError(
                f"{where}: {name}",
                found=str(found),
                expected=f"{wanted}, as in InternVL 2.5 and 3",
                fix="use a model of these series",
            )
    for name in ("vision_config", "llm_config"):
        if not isinstance(tree.get(name), Mapping):
            raise ModelError(where, found=f"no {name}", expected="the configuration of a whole InternVL")


def language_architecture(tree: Tree, *, where: str) -> str:
    """The language model's class by an original configuration.

    Raises:
        ModelError: it is none that we can load without its own code.
    """
    found = (tree.get("llm_config") or {}).get("architectures") or [None]
    if found[0] not in _LANGUAGES:
        raise ModelError(
            f"{where}: llm_config.architectures",
            found=str(found[0]),
            expected="one of " + ", ".join(_LANGUAGES),
            fix="use the -hf version of the model, if there is one",
        )
    return str(found[0])


def parts_of(tree: Tree, *, where: str) -> Sequence[Part]:
    """How the weights that belong to an original configuration are named."""
    if language_architecture(tree, where=where) != "InternLM2ForCausalLM":
        return plain_parts()
    language = tree["llm_config"]
    heads = int(language["num_attention_heads"])
    return internlm2_parts(heads=heads, groups=int(language.get("num_key_value_heads") or heads))


def to_native_config(tree: Tree, *, image_token_id: int, tied: bool, where: str) -> InternVLConfig:
    """An original configuration as the native one.

    Args:
        tree: the original `config.json`.
        image_token_id: the checkpoint's own id of the image token.
        tied: whether the head is the embedding matrix.
        where: the file, for errors.

    Raises:
        ModelError: a setting means something that the native model does not do.
    """
    try:
        text = _text_config(tree, tied=tied, where=where)
        config = InternVLConfig(
            vision_config=to_vision_config(tree["vision_config"]),
            text_config=text,
            image_token_id=image_token_id,
            image_seq_length=tokens_per_tile(tree),
            downsample_ratio=float(tree.get("downsample_ratio", 0.5)),
            vision_feature_layer=int(tree.get("select_layer", -1)),
            tie_word_embeddings=tied,
        )
    except (KeyError, TypeError, ValueError, StrictDataclassError) as error:
        raise ModelError(where, found=f"malformed ({type(error).__name__}: {' '.join(str(error).split())})") from None
    setattr(config, KEPT, dict(tree))
    return config


def to_vision_config(tree: Tree) -> InternVLVisionConfig:
    """The configuration of an original tower (`vision_config`, or an `InternVisionModel`'s own) as the native one."""
    fields = {native: tree.get(name, default) for name, (native, default) in _VISION_FIELDS.items()}
    return InternVLVisionConfig(**fields)


def tile_side(tree: Tree) -> int:
    """Side of a tile in pixels: `force_image_size`, or what the tower was made for."""
    return int(tree.get("force_image_size") or tree["vision_config"].get("image_size", 224))


def tokens_per_tile(tree: Tree) -> int:
    """Image tokens of one tile, as the original computes them."""
    patches = tile_side(tree) // int(tree["vision_config"].get("patch_size", 14))
    return int(patches**2 * float(tree.get("downsample_ratio", 0.5)) ** 2)


def says_tied(tree: Tree) -> bool | None:
    """What an original configuration says of head and embeddings; none: nothing."""
    for level in (tree, tree.get("llm_config") or {}):
        if "tie_word_embeddings" in level:
            return bool(level["tie_word_embeddings"])
    return None


def to_original_config(config: InternVLConfig, *, dtype: str) -> dict[str, Any]:
    """A native configuration as the original one. What the original says beside is kept from where it came."""
    kept: Tree = getattr(config, KEPT, None) or {}
    vision, text = config.vision_config, config.text_config
    assert isinstance(vision, InternVLVisionConfig) and isinstance(text, PreTrainedConfig)
    before_vision = kept.get("vision_config") or {"architectures": ["InternVisionModel"], "model_type": "intern_vit_6b"}
    fields = {name: _scalar(getattr(vision, native)) for name, (native, _) in _VISION_FIELDS.items()}
    language = kept.get("llm_config") or _language_tree(text)
    return {
        "architectures": ["InternVLChatModel"],
        "select_layer": config.vision_feature_layer,
        "ps_version": "v2",
        **kept,
        "model_type": ORIGINAL_TYPE,
        "downsample_ratio": config.downsample_ratio,
        "force_image_size": kept.get("force_image_size") or fields["image_size"],
        "tie_word_embeddings": config.tie_word_embeddings,
        "torch_dtype": dtype,
        "vision_config": {**before_vision, **fields},
        "llm_config": {**language, "tie_word_embeddings": config.tie_word_embeddings},
    }


def _text_config(tree: Tree, *, tied: bool, where: str) -> PreTrainedConfig:
    architecture = language_architecture(tree, where=where)
    language = tree["llm_config"]
    kind = _LANGUAGES[architecture]
    known = set(kind.__dataclass_fields__) | {"rope_theta", "rope_scaling"}
    fields = {name: value for name, value in language.items() if name in known - _NOT_TEXT and value is not None}
    if architecture == "InternLM2ForCausalLM":
        fields |= {"attention_bias": bool(language.get("bias", True)), "mlp_bias": False}
    return kind(**fields | {"tie_word_embeddings": tied})


def _language_tree(text: PreTrainedConfig) -> dict[str, Any]:
    architectures = {kind: name for name, kind in _LANGUAGES.items() if name != "InternLM2ForCausalLM"}
    if type(text) not in architectures:
        raise ModelError(
            "text_config",
            found=f"a language model of the type {text.model_type}",
            expected="one of " + ", ".join(kind.model_type for kind in architectures),
            fix="save in the native layout",
        )
    tree = text.to_dict()
    # The original was written for transformers 4, which knows rotation only by these two.
    rope = dict(tree.pop("rope_parameters", None) or {})
    tree["rope_theta"] = rope.pop("rope_theta", 10000.0)
    tree["rope_scaling"] = None if rope.get("rope_type", "default") == "default" else rope
    return tree | {"architectures": [architectures[type(text)]]}


def _scalar(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) else value
