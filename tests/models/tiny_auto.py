"""Tiny models of other families with their own processors, written as ordinary folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf

from .tiny_model import tiny_tokenizer

TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}{% if c['type'] == 'image' %}IMAGE"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_llava(folder: Path) -> Path:
    """Every image is a square of sixteen tokens."""
    tokenizer = _tokenizer("<image>")
    tower = hf.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=16,
    )
    config = hf.LlavaConfig(
        vision_config=tower,
        text_config=hf.Qwen2Config(vocab_size=len(tokenizer), **TEXT),
        image_token_index=tokenizer.get_vocab()["<image>"],
        image_seq_length=16,
    )
    images = hf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor = hf.LlavaProcessor(
        images,
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE.replace("IMAGE", "<image>\n"),
    )
    return _write(folder, hf.LlavaForConditionalGeneration, config, processor)


def write_qwen2_vl(folder: Path) -> Path:
    """The number of tokens follows the image's size."""
    tokenizer = _tokenizer("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    ids = tokenizer.get_vocab()
    rotation = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    tower = {"embed_dim": 32, "depth": 2, "num_heads": 2, "hidden_size": 32, "patch_size": 8, "mlp_ratio": 2}
    config = hf.Qwen2VLConfig(
        text_config=TEXT | {"vocab_size": len(tokenizer), "rope_parameters": rotation},
        vision_config=tower | {"spatial_merge_size": 2, "temporal_patch_size": 2},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    sizes: dict[str, Any] = {"patch_size": 8, "merge_size": 2, "temporal_patch_size": 2}
    processor = hf.Qwen2VLProcessor(
        hf.Qwen2VLImageProcessor(**sizes, min_pixels=256, max_pixels=4096),
        tokenizer,
        hf.Qwen2VLVideoProcessor(**sizes),
        chat_template=TEMPLATE.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    )
    return _write(folder, hf.Qwen2VLForConditionalGeneration, config, processor)


WRITERS: dict[str, Callable[[Path], Path]] = {"llava": write_llava, "qwen2_vl": write_qwen2_vl}


def _tokenizer(*extra: str) -> Any:
    build: Any = hf.PreTrainedTokenizerFast
    tokenizer = build(tokenizer_object=tiny_tokenizer(), pad_token="<|endoftext|>", eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", *extra]})
    return tokenizer


def _write(folder: Path, kind: Any, config: Any, processor: Any) -> Path:
    torch.manual_seed(0)
    model = kind(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(4)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
