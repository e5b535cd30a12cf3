"""Which model families are known, and where their parts differ from what transformers' own accessors say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nameplate.errors import ModelError


@dataclass(frozen=True)
class Family:
    """Where a family keeps its parts: exact paths from its base model, each of which must be there unless optional.

    The vision tower and the language model are found by `get_encoder("image")`, `get_decoder()` and
    `get_output_embeddings()`. A path here outranks the accessor's, and a longer path outranks a shorter one, so that a
    projector inside the tower is named by its own path.
    """

    projector: tuple[str, ...] = ("multi_modal_projector",)
    """Everything between vision tower and language model."""
    vision: tuple[str, ...] = ()
    """What belongs to vision beside the tower."""
    language: tuple[str, ...] = ()
    """What belongs to the language model beside decoder and head."""
    optional: tuple[str, ...] = ()
    """Paths above that a configuration may leave out."""
    layers: tuple[str, ...] = ()
    """Lists of layers that transformers does not mark as layers (they are no `GradientCheckpointingLayer`)."""
    takes_hidden_states: bool = False
    """Image features are a hidden state between layers, never the tower's output, which has passed a norm or head."""
    idle: tuple[str, ...] = ()
    """What takes no part in answering a question about an image: it gets no gradient, and never learns."""


_PLAIN: Final = Family()
_LLAVA: Final = Family(takes_hidden_states=True)
_NEWLINE: Final = Family(
    projector=("multi_modal_projector", "image_newline"), optional=("image_newline",), takes_hidden_states=True
)
_MERGER: Final = Family(projector=("visual.merger",))
_DEEPSTACK: Final = Family(projector=("visual.merger", "visual.deepstack_merger_list"))
_GLM: Final = Family(projector=("visual.merger", "visual.downsample"))
_CONNECTOR: Final = Family(projector=("connector",))
_ALIGNER: Final = Family(projector=("aligner",))
_QFORMER: Final = Family(projector=("qformer", "language_projection", "query_tokens"), language=("language_model",))

FAMILIES: Final[Mapping[str, Family]] = {
    "internvl": _PLAIN,
    "aria": _PLAIN,
    "aya_vision": _LLAVA,
    "cohere2_vision": Family(idle=("vision_tower.head",)),
    "got_ocr2": _PLAIN,
    "gemma3": _PLAIN,
    "lfm2_vl": _PLAIN,
    "llama4": Family(projector=("multi_modal_projector", "vision_model.vision_adapter")),
    "llava": _LLAVA,
    "mistral3": _PLAIN,
    "molmo2": _PLAIN,
    "paligemma": _PLAIN,
    "qianfan_ocr": _PLAIN,
    "vipllava": _LLAVA,
    "florence2": Family(layers=("vision_tower.blocks",)),
    "mllama": Family(layers=("vision_model.transformer.layers", "vision_model.global_transformer.layers")),
    "llava_next": _NEWLINE,
    "llava_next_video": _NEWLINE,
    "llava_onevision": _NEWLINE,
    "qwen2_vl": _MERGER,
    "qwen2_5_vl": _MERGER,
    "qwen3_5": _MERGER,
    "qwen3_vl": _DEEPSTACK,
    "qwen3_vl_moe": _DEEPSTACK,
    "glm4v": _GLM,
    "glm46v": _GLM,
    "glm_ocr": _GLM,
    "idefics2": _CONNECTOR,
    "idefics3": _CONNECTOR,
    "smolvlm": _CONNECTOR,
    "deepseek_vl": _ALIGNER,
    "janus": Family(
        projector=("aligner", "generation_embeddings", "generation_aligner", "generation_head"),
        vision=("vqmodel",),
        idle=("vqmodel", "generation_embeddings", "generation_aligner", "generation_head"),
    ),
    "blip-2": _QFORMER,
    "instructblip": _QFORMER,
    "gemma4": Family(projector=("embed_vision",), optional=("embed_vision",)),
    "kimi_k25": Family(projector=("mm_projector",)),
    "lighton_ocr": Family(projector=("vision_projection",)),
    "minicpmv4_6": Family(projector=("merger",)),
    "ovis2": Family(projector=("visual_embeddings_table",)),
    "video_llama_3": Family(projector=("projector",)),
}
"""By `model_type`."""


def family_of(model_type: object, *, where: str) -> Family:
    """The family of a model type.

    Raises:
        ModelError: it is not known; says how to make it known.
    """
    family = FAMILIES.get(str(model_type))
    if family is None:
        raise ModelError(
            where,
            found=f"a model of the family {model_type!r}, whose parts are not known",
            expected="one of " + ", ".join(FAMILIES),
            fix="choose another base, or add an entry to FAMILIES in nameplate/models/families.py that names where its "
            "projector is (docs/policies.md, 'A new family')",
        )
    return family


def check_family(model_type: object, *, where: str) -> None:
    """Refuse a model whose parts are not known.

    Raises:
        ModelError: with the families that are.
    """
    family_of(model_type, where=where)
