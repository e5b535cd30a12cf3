"""A random InternVL of about 60 thousand parameters with its own tokenizer, written as an ordinary folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLVisionConfig,
    PreTrainedConfig,
    Qwen2Config,
)

SIDE, PATCH = 32, 8
NUM_IMAGE_TOKENS = (SIDE // PATCH // 2) ** 2
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]
SENTENCES = [
    "Describe this product in one sentence.",
    "Describe this product in detail.",
    "Which brand is this product?",
    "user assistant a red mug by Acme on a white table, with the logo of Acme in the middle",
    "a blue shoe by Zeta on grey ground. The Zeta mark is small.",
]


def tiny_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def write_tiny_model(
    folder: Path,
    *,
    seed: int = 0,
    tie: bool = True,
    text: type[PreTrainedConfig] = Qwen2Config,
    system: str = "",
    strong: bool = False,
) -> Path:
    """`strong`: tokens depend much on those before them, which they hardly do as the language model comes."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(seed)
    model = InternVLForConditionalGeneration(_config(tokenizer, text, tie=tie))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Native code starts these at zero or one, which would hide mistakes that only show with real weights.
            if "embeddings.cls_token" in name or "position_embeddings" in name or "lambda_" in name:
                parameter.normal_(0.3, 0.3)
            elif strong and "language_model" in name:
                parameter.normal_(float(parameter.ndim == 1), 0.3)
    model.save_pretrained(folder)
    contract = {
        "size": SIDE,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "num_image_tokens": NUM_IMAGE_TOKENS,
        "system_message": system,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(contract))
    return folder


def _config(tokenizer: Tokenizer, kind: type[PreTrainedConfig], *, tie: bool) -> InternVLConfig:
    vision = InternVLVisionConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        image_size=[SIDE, SIDE],
        patch_size=[PATCH, PATCH],
        attention_bias=True,
    )
    text = kind(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=192,
        tie_word_embeddings=tie,
    )
    return InternVLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.token_to_id("<IMG_CONTEXT>"),
        image_seq_length=NUM_IMAGE_TOKENS,
        tie_word_embeddings=tie,
        dtype="float32",
    )
