"""Tiny parts for composing: an InternViT in each of its four forms, and chat models of three families."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    InternVLVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from nameplate.models.load import load_model

from .oracle import OracleVision
from .tiny_model import SENTENCES, write_tiny_model
from .tiny_original import tiny_oracle, write_tiny_original

VisionForm = Literal["whole original", "whole native", "bare original", "bare native"]
Family = Literal["qwen2", "qwen3", "llama"]
Talk = Literal["chatml", "chatml with system", "thinking", "llama3", "zephyr", "instruct", "none"]

WIDTH: Final = 48
SYSTEM: Final = "You are Tiny. You are a helpful assistant."
_CHATML: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEMPLATES: Final[dict[Talk, str | None]] = {
    "chatml": _CHATML,
    "chatml with system": (
        "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n" + SYSTEM + "<|im_end|>\n' }}{% endif %}"
    )
    + _CHATML,
    # As Qwen3: the last answer alone is preceded by an empty thought.
    "thinking": (
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
        "{% if message['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
        "{{ message['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "llama3": (
        "{{ bos_token }}{% for message in messages %}"
        "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
        "{{ message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
    "zephyr": (
        "{% for message in messages %}\n{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token }}\n"
        "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
    ),
    "instruct": (
        "{% for message in messages %}{% if message['role'] == 'user' %}"
        "{{ '[INST] ' + message['content'] + ' [/INST]' }}"
        "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
    ),
    "none": None,
}
_SPECIAL: Final[dict[Talk, list[str]]] = {
    "llama3": ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "zephyr": ["<unk>", "<s>", "</s>"],
}
_ENDS: Final[dict[Talk, str]] = {"llama3": "<|eot_id|>", "zephyr": "</s>"}


def write_vision(folder: Path, form: VisionForm, *, dtype: torch.dtype = torch.float32) -> Path:
    if form == "whole native":
        return write_tiny_model(folder)
    if form == "whole original":
        return write_tiny_original(folder, vision=OracleVision(), dtype=dtype)
    if form == "bare native":
        whole = load_model(str(write_tiny_model(folder.with_name("whole")))).model
        tower = whole.get_encoder("image")
        assert isinstance(tower, InternVLVisionModel)
        tower.save_pretrained(folder)
        return folder
    folder.mkdir(parents=True)
    prefix = "vision_model."
    state = {
        name.removeprefix(prefix): tensor.to(dtype).contiguous()
        for name, tensor in tiny_oracle(vision=OracleVision()).state_dict().items()
        if name.startswith(prefix)
    }
    save_file(state, folder / "model.safetensors")
    tree = {"architectures": ["InternVisionModel"], "model_type": "intern_vit_6b", **OracleVision().config()}
    (folder / "config.json").write_text(json.dumps(tree))
    return folder


def write_language(
    folder: Path,
    family: Family = "qwen2",
    *,
    talk: Talk = "chatml",
    tied: bool = True,
    spare: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Path:
    tokenizer = tiny_chat_tokenizer(talk)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    model = _model(family, rows=len(tokenizer) + spare, tied=tied)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.15 * torch.randn(parameter.shape) + (1.0 if parameter.ndim == 1 else 0.0))
    model.to(dtype).save_pretrained(folder)
    return folder


def tiny_chat_tokenizer(talk: Talk) -> PreTrainedTokenizerFast:
    special = _SPECIAL.get(talk, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    plain.train_from_iterator(SENTENCES, trainer)
    settings: dict[str, Any] = {"eos_token": _ENDS.get(talk, "<|im_end|>")}
    if talk == "llama3":
        bos = "<|begin_of_text|>"
        plain.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, plain.token_to_id(bos))]
        )
        settings["bos_token"] = bos
    return PreTrainedTokenizerFast(tokenizer_object=plain, chat_template=TEMPLATES[talk], **settings)


def _model(family: Family, *, rows: int, tied: bool) -> PreTrainedModel:
    sizes: dict[str, Any] = {
        "vocab_size": rows,
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": tied,
    }
    if family == "llama":
        return LlamaForCausalLM(LlamaConfig(**sizes, head_dim=12))
    if family == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(**sizes, head_dim=16))
    return Qwen2ForCausalLM(Qwen2Config(**sizes))
