"""Tiny models of many families, random, with one image and one question each: real classes, real forward passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import transformers as hf
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel

WORDS, WIDTH, IMAGE = 64, 16, 5
"""Size of the vocabulary, hidden size, and id of the image token."""

Inputs = dict[str, torch.Tensor]


class TinyFamily(NamedTuple):
    """A configuration, what an image is to it, and how many tokens that image takes."""

    config: Callable[[], PretrainedConfig]
    image: Callable[[], Inputs]
    num_tokens: int


def build(name: str, *, seed: int = 0) -> PreTrainedModel:
    """A random model of the family, in eval mode."""
    torch.manual_seed(seed)
    model: PreTrainedModel = hf.AutoModelForImageTextToText.from_config(TINY_FAMILIES[name].config())
    return model.eval()


def loss_of(model: PreTrainedModel, name: str) -> torch.Tensor:
    """Next-token loss of one question about one image."""
    family = TINY_FAMILIES[name]
    ids = torch.tensor([[20, 21] + [IMAGE] * family.num_tokens + [22, 23, 24, 25]])
    inputs: dict[str, Any] = {"input_ids": ids, "use_cache": False, **family.image()}
    if name in ("gemma3", "paligemma"):
        inputs["token_type_ids"] = (ids == IMAGE).long()
    if name.startswith(("qwen", "glm4v")):
        inputs["mm_token_type_ids"] = (ids == IMAGE).long()
    logits = model(**inputs).logits
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())


def _text(kind: type[PretrainedConfig] = hf.Qwen2Config, **changes: Any) -> PretrainedConfig:
    values: dict[str, Any] = {
        "vocab_size": WORDS,
        "hidden_size": WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "max_position_embeddings": 128,
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return kind(**(values | changes))


def _vision(kind: type[PretrainedConfig], **changes: Any) -> Any:
    values = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 4,
    }
    return kind(**(values | changes))


def _mrope_text(**changes: Any) -> dict[str, Any]:
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}
    return {**_text().to_dict(), "rope_parameters": rope, **changes}


def _pixels(*shape: int) -> Callable[[], Inputs]:
    def make() -> Inputs:
        return {"pixel_values": torch.randn(*shape, generator=torch.Generator().manual_seed(1))}

    return make


def _sized(*shape: int) -> Callable[[], Inputs]:
    return lambda: {**_pixels(*shape)(), "image_sizes": torch.tensor([[16, 16]])}


def _patches() -> Inputs:
    return {**_pixels(16, 3 * 2 * 4 * 4)(), "image_grid_thw": torch.tensor([[1, 4, 4]])}


def _lfm2_image() -> Inputs:
    mask = torch.ones(1, 16, dtype=torch.long)
    return {**_pixels(1, 16, 48)(), "spatial_shapes": torch.tensor([[4, 4]]), "pixel_attention_mask": mask}


def _mllama_image() -> Inputs:
    mask = torch.ones(1, 1, 1, dtype=torch.long)
    return {
        **_pixels(1, 1, 1, 3, 16, 16)(),
        "aspect_ratio_ids": torch.tensor([[1]]),
        "aspect_ratio_mask": mask,
        "cross_attention_mask": torch.ones(1, 7, 1, 1, dtype=torch.long),
    }


_QWEN_VISION: dict[str, Any] = {
    "depth": 3,
    "hidden_size": 16,
    "out_hidden_size": WIDTH,
    "num_heads": 2,
    "intermediate_size": 32,
    "patch_size": 4,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}
_QWEN_IDS = {"image_token_id": IMAGE, "video_token_id": 6, "vision_start_token_id": 7}
_CLIP = {"patch_size": 8, "projection_dim": 8}
_PINPOINTS = {"image_token_index": IMAGE, "image_grid_pinpoints": [[16, 16]]}


def _internvl() -> PretrainedConfig:
    sizes: dict[str, Any] = {"image_size": [16, 16], "patch_size": [4, 4], "attention_bias": True}
    vision = _vision(hf.InternVLVisionConfig, **sizes)
    return hf.InternVLConfig(
        vision_config=vision, text_config=_text(), image_token_id=IMAGE, image_seq_length=4, tie_word_embeddings=False
    )


def _qwen2_vl() -> PretrainedConfig:
    vision = {**_QWEN_VISION, "embed_dim": 16, "hidden_size": WIDTH, "mlp_ratio": 2, "in_channels": 3}
    return hf.Qwen2VLConfig(vision_config=vision, text_config=_mrope_text(), **_QWEN_IDS)


def _qwen2_5_vl() -> PretrainedConfig:
    vision = {**_QWEN_VISION, "fullatt_block_indexes": [1], "window_size": 16}
    return hf.Qwen2_5_VLConfig(vision_config=vision, text_config=_mrope_text(), **_QWEN_IDS)


def _qwen3_vl() -> PretrainedConfig:
    vision = {**_QWEN_VISION, "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 16}
    return hf.Qwen3VLConfig(vision_config=vision, text_config=_mrope_text(), **_QWEN_IDS)


def _glm4v() -> PretrainedConfig:
    text = _mrope_text(model_type="glm4v_text")
    text["rope_parameters"] = {**text["rope_parameters"], "partial_rotary_factor": 1.0}
    vision = {**_QWEN_VISION, "image_size": 16}
    ids = {"image_token_id": IMAGE, "video_token_id": 6, "image_start_token_id": 7, "image_end_token_id": 8}
    return hf.Glm4vConfig(vision_config=vision, text_config=text, **ids)


def _siglip_and(kind: type[PretrainedConfig], text: type[PretrainedConfig], **changes: Any) -> PretrainedConfig:
    extra = {"projection_dim": WIDTH} if kind is hf.PaliGemmaConfig else {}
    vision = _vision(hf.SiglipVisionConfig, patch_size=8, vision_use_head=False, **extra)
    layers = {"layer_types": ["full_attention"] * 3} if kind is hf.Gemma3Config else {}
    return kind(vision_config=vision.to_dict(), text_config=_text(text, **layers).to_dict(), **changes)


def _cohere(kind: type[PretrainedConfig], **changes: Any) -> PretrainedConfig:
    text = _text(hf.Cohere2Config, layer_types=["full_attention"] * 3)
    vision = _vision(hf.SiglipVisionConfig, patch_size=8)
    return kind(vision_config=vision, text_config=text, downsample_factor=2, image_token_id=IMAGE, **changes)


def _llava_like(kind: type[PretrainedConfig], vision: Any, **changes: Any) -> PretrainedConfig:
    return kind(vision_config=vision, text_config=_text(hf.LlamaConfig), **changes)


def _lfm2_vl() -> PretrainedConfig:
    vision = _vision(hf.Siglip2VisionConfig, num_patches=16, vision_use_head=False)
    text = _text(hf.Lfm2Config, layer_types=["conv", "full_attention", "conv"])
    return hf.Lfm2VlConfig(vision_config=vision, text_config=text, image_token_id=IMAGE, downsample_factor=2)


def _blip2() -> PretrainedConfig:
    layers = {"intermediate_size": 32, "num_attention_heads": 2}
    qformer = hf.Blip2QFormerConfig(
        hidden_size=16, num_hidden_layers=2, encoder_hidden_size=16, vocab_size=WORDS, **layers
    )
    text = hf.OPTConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        ffn_dim=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        word_embed_proj_dim=16,
    )
    vision = _vision(hf.Blip2VisionConfig, patch_size=8)
    return hf.Blip2Config(
        vision_config=vision, qformer_config=qformer, text_config=text, num_query_tokens=4, image_token_index=IMAGE
    )


def _ovis2() -> PretrainedConfig:
    vision = _vision(hf.Ovis2VisionConfig, hidden_stride=2, vocab_size=32, num_visual_indicator_tokens=5)
    return hf.Ovis2Config(
        vision_config=vision,
        text_config=_text(),
        image_token_id=IMAGE,
        hidden_size=WIDTH,
        vocab_size=WORDS,
        visual_indicator_token_ids=[7, 8, 9, 10, 11],
    )


def _llama4() -> PretrainedConfig:
    sizes = {"vision_output_dim": 16, "projector_input_dim": 16, "projector_output_dim": 16, "pixel_shuffle_ratio": 0.5}
    vision = _vision(hf.Llama4VisionConfig, **{**sizes, "intermediate_size": 64})
    text = _text(
        hf.Llama4TextConfig, intermediate_size=16, intermediate_size_mlp=32, num_hidden_layers=4, num_local_experts=2
    )
    return hf.Llama4Config(
        vision_config=vision, text_config=text, image_token_index=IMAGE, boi_token_index=7, eoi_token_index=8
    )


def _mllama() -> PretrainedConfig:
    vision = _vision(
        hf.MllamaVisionConfig,
        patch_size=8,
        attention_heads=2,
        num_global_layers=2,
        vision_output_dim=48,
        intermediate_layers_indices=[0, 1],
        max_num_tiles=1,
        supported_aspect_ratios=[[1, 1]],
    )
    text = _text(hf.MllamaTextConfig, num_hidden_layers=4, cross_attention_layers=[1])
    return hf.MllamaConfig(vision_config=vision, text_config=text, image_token_index=IMAGE)


TINY_FAMILIES: dict[str, TinyFamily] = {
    "internvl": TinyFamily(_internvl, _pixels(1, 3, 16, 16), 4),
    "llava": TinyFamily(
        lambda: _llava_like(
            hf.LlavaConfig, _vision(hf.CLIPVisionConfig, **_CLIP), image_token_index=IMAGE, image_seq_length=4
        ),
        _pixels(1, 3, 16, 16),
        4,
    ),
    "llava_next": TinyFamily(
        lambda: _llava_like(hf.LlavaNextConfig, _vision(hf.CLIPVisionConfig, **_CLIP), **_PINPOINTS),
        _sized(1, 2, 3, 16, 16),
        10,
    ),
    "llava_onevision": TinyFamily(
        lambda: hf.LlavaOnevisionConfig(
            vision_config=_vision(hf.SiglipVisionConfig, patch_size=8), text_config=_text(), **_PINPOINTS
        ),
        _sized(1, 2, 3, 16, 16),
        10,
    ),
    "vipllava": TinyFamily(
        lambda: _llava_like(
            hf.VipLlavaConfig,
            _vision(hf.CLIPVisionConfig, **_CLIP),
            image_token_index=IMAGE,
            image_seq_length=4,
            vision_feature_layers=[-2, -3],
        ),
        _pixels(1, 3, 16, 16),
        4,
    ),
    "qwen2_vl": TinyFamily(_qwen2_vl, _patches, 4),
    "qwen2_5_vl": TinyFamily(_qwen2_5_vl, _patches, 4),
    "qwen3_vl": TinyFamily(_qwen3_vl, _patches, 4),
    "glm4v": TinyFamily(_glm4v, _patches, 4),
    "paligemma": TinyFamily(
        lambda: _siglip_and(hf.PaliGemmaConfig, hf.GemmaConfig, image_token_index=IMAGE, projection_dim=WIDTH),
        _pixels(1, 3, 16, 16),
        4,
    ),
    "gemma3": TinyFamily(
        lambda: _siglip_and(
            hf.Gemma3Config,
            hf.Gemma3TextConfig,
            image_token_index=IMAGE,
            mm_tokens_per_image=4,
            boi_token_index=7,
            eoi_token_index=8,
        ),
        _pixels(1, 3, 16, 16),
        4,
    ),
    "deepseek_vl": TinyFamily(
        lambda: _siglip_and(hf.DeepseekVLConfig, hf.LlamaConfig, image_token_id=IMAGE), _pixels(1, 3, 16, 16), 4
    ),
    "idefics3": TinyFamily(
        lambda: _llava_like(hf.Idefics3Config, _vision(hf.Idefics3VisionConfig), image_token_id=IMAGE, scale_factor=2),
        _pixels(1, 1, 3, 16, 16),
        4,
    ),
    "smolvlm": TinyFamily(
        lambda: _llava_like(hf.SmolVLMConfig, _vision(hf.SmolVLMVisionConfig), image_token_id=IMAGE, scale_factor=2),
        _pixels(1, 1, 3, 16, 16),
        4,
    ),
    "mistral3": TinyFamily(
        lambda: hf.Mistral3Config(
            vision_config=_vision(hf.PixtralVisionConfig),
            text_config=_text(hf.MistralConfig),
            image_token_index=IMAGE,
            spatial_merge_size=2,
            tie_word_embeddings=False,
        ),
        _sized(1, 3, 16, 16),
        4,
    ),
    "aya_vision": TinyFamily(lambda: _cohere(hf.AyaVisionConfig, image_token_index=IMAGE), _pixels(1, 3, 16, 16), 1),
    "cohere2_vision": TinyFamily(
        lambda: _cohere(hf.Cohere2VisionConfig, alignment_intermediate_size=32), _pixels(1, 3, 16, 16), 1
    ),
    "lfm2_vl": TinyFamily(_lfm2_vl, _lfm2_image, 4),
    "blip-2": TinyFamily(_blip2, _pixels(1, 3, 16, 16), 4),
    "ovis2": TinyFamily(_ovis2, _pixels(1, 3, 16, 16), 4),
    "llama4": TinyFamily(_llama4, _pixels(1, 3, 16, 16), 4),
    "mllama": TinyFamily(_mllama, _mllama_image, 1),
}
"""By `model_type`. Each runs forward and backward in a few milliseconds."""
