"""Answers: greedy, batched, bounded, ending at the end of turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from nameplate.models.batches import image_inputs
from nameplate.models.load import LoadedModel


def generate(loaded: LoadedModel, features: torch.Tensor, prompts: Sequence[str], *, max_new_tokens: int) -> list[str]:
    """Answer one prompt per image.

    Args:
        loaded: the model.
        features: from `vision_features`, (num_images, num_image_tokens, hidden); may be used for several prompts.
        prompts: as many as images; different lengths are padded on the left.
        max_new_tokens: longest answer.
    """
    processor, model = loaded.processor, loaded.model
    questions = [processor.encode(prompt).input_ids for prompt in prompts]
    longest = max(map(len, questions))
    input_ids = torch.tensor([[processor.pad_id] * (longest - len(ids)) + ids for ids in questions])
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in questions])
    configure: Callable[..., GenerationConfig] = GenerationConfig
    config = configure(
        do_sample=False,
        num_beams=1,
        max_new_tokens=max_new_tokens,
        eos_token_id=processor.end_id,
        pad_token_id=processor.pad_id,
    )
    writer: Any = model
    with torch.inference_mode():
        output = writer.generate(
            input_ids=input_ids.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=config,
            **image_inputs({"image_features": features}),
        )
    return [processor.decode(row[longest:].tolist()) for row in output]
