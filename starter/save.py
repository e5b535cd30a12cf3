"""Writes the starter as an ordinary Hugging Face folder, and reads it back."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import GenerationConfig, InternVLForConditionalGeneration, PreTrainedTokenizerFast

from starter import settings as s


def save_starter(model: InternVLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """config, bfloat16 weights, tokenizer, generation and preprocessor settings; the model card stays as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False, max_new_tokens=96
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    preprocessor = {
        "size": s.IMAGE_SIDE,
        "image_mean": list(s.IMAGE_MEAN),
        "image_std": list(s.IMAGE_STD),
        "num_image_tokens": s.NUM_IMAGE_TOKENS,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n", encoding="utf-8")
