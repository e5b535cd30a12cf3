"""A random InternVL in its original layout, as OpenGVLab publishes it: written by the oracle, not by our code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from .oracle import InternLM2, Oracle, OracleVision
from .tiny_model import tiny_tokenizer

Language = Literal["Qwen2ForCausalLM", "LlamaForCausalLM", "InternLM2ForCausalLM"]
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
}


def tiny_oracle(
    *, vision: OracleVision | None = None, language: Language = "Qwen2ForCausalLM", tied: bool = False, seed: int = 0
) -> Oracle:
    tokenizer = tiny_tokenizer()
    torch.manual_seed(seed)
    text = _language_model(language, tokenizer.get_vocab_size(), tied=tied)
    image_token = tokenizer.token_to_id("<IMG_CONTEXT>")
    oracle = Oracle(vision or OracleVision(), text, width=SIZES["hidden_size"], image_token_id=image_token)
    with torch.no_grad():
        for parameter in oracle.parameters():
            # Nothing at zero or one, which would hide what only shows with real weights.
            parameter.copy_(0.15 * torch.randn(parameter.shape) + (1.0 if parameter.ndim == 1 else 0.0))
    return oracle.eval()


def write_tiny_original(
    folder: Path,
    oracle: Oracle | None = None,
    *,
    vision: OracleVision | None = None,
    language: Language = "Qwen2ForCausalLM",
    tied: bool = False,
    shards: int = 1,
    dtype: torch.dtype = torch.float32,
    **settings: object,
) -> Path:
    """Weights, `config.json` and tokenizer; `settings` replace fields of the configuration."""
    vision = vision or OracleVision()
    oracle = oracle or tiny_oracle(vision=vision, language=language, tied=tied)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.to(dtype).contiguous() for name, tensor in oracle.state_dict().items()}
    if tied:
        del tensors["language_model.lm_head.weight"]
    _write_shards(folder, tensors, shards)
    tree = original_config(vision, language, tied=tied, dtype=dtype) | settings
    (folder / "config.json").write_text(json.dumps(tree))
    _write_tokenizer(folder)
    return folder


def original_config(vision: OracleVision, language: Language, *, tied: bool, dtype: torch.dtype) -> dict[str, Any]:
    text = SIZES | {"architectures": [language], "vocab_size": tiny_tokenizer().get_vocab_size(), "hidden_act": "silu"}
    return {
        "architectures": ["InternVLChatModel"],
        "auto_map": {"AutoConfig": "configuration_internvl_chat.InternVLChatConfig"},
        "downsample_ratio": 0.5,
        "dynamic_image_size": True,
        "force_image_size": vision.side,
        "llm_config": text | {"tie_word_embeddings": tied, "bias": False, "top_k": 50, "rope_scaling": None},
        "max_dynamic_patch": 4,
        "min_dynamic_patch": 1,
        "model_type": "internvl_chat",
        "pad2square": False,
        "ps_version": "v2",
        "select_layer": -1,
        "template": "internvl2_5",
        "tie_word_embeddings": tied,
        "torch_dtype": str(dtype).removeprefix("torch."),
        "use_thumbnail": True,
        "vision_config": vision.config(),
    }


def _language_model(language: Language, vocabulary: int, *, tied: bool) -> nn.Module:
    if language == "InternLM2ForCausalLM":
        return InternLM2(vocabulary)
    sizes = SIZES | {"vocab_size": vocabulary, "tie_word_embeddings": tied, "attn_implementation": "eager"}
    if language == "LlamaForCausalLM":
        return LlamaForCausalLM(LlamaConfig(**sizes))
    return Qwen2ForCausalLM(Qwen2Config(**sizes))


def _write_shards(folder: Path, tensors: dict[str, torch.Tensor], shards: int) -> None:
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(tensors)
    weight_map = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        mine = names[shard::shards]
        save_file({name: tensors[name] for name in mine}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(mine, file)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _write_tokenizer(folder: Path) -> None:
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    tree = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tree))
