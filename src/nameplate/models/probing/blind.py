"""What a model says when it sees nothing: a blank image, and a question without any image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from transformers import GenerationConfig

from nameplate.models.batches import pad_kinds
from nameplate.models.features import vision_features
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel
from nameplate.models.processing import Encoded, Processor
from nameplate.models.respondent import BLANK_GREY
from nameplate.models.tiling import ImageSize


def see_blank(loaded: LoadedModel, size: ImageSize) -> ImageBatch:
    """What the model sees of an image of one grey."""
    blank = loaded.processor.prepare(Image.new("RGB", size, BLANK_GREY))
    return vision_features(loaded.model, loaded.processor.batch([blank]))


def answer_without_image(loaded: LoadedModel, prompt: str, *, size: ImageSize, max_new_tokens: int) -> str:
    """The model's greedy answer to a question with nothing in the image's place.

    Args:
        loaded: the model.
        prompt: the question.
        size: of any image; what stands for it is taken out of the question.
        max_new_tokens: longest answer.
    """
    processor, model = loaded.processor, loaded.model
    question = without_image(processor, processor.encode(prompt, size=size))
    ids = torch.tensor([question.input_ids], device=model.device)
    kinds = {name: kind.to(model.device) for name, kind in pad_kinds([question], ids.shape[1]).items()}
    configure: Callable[..., GenerationConfig] = GenerationConfig
    config = configure(
        do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=processor.end_id, pad_token_id=processor.pad_id
    )
    writer: Any = model
    with torch.inference_mode():
        output = writer.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config, **kinds)
    return processor.decode(output[0, ids.shape[1] :].tolist())


def without_image(processor: Processor, encoded: Encoded) -> Encoded:
    """A question less the tokens that stand for its image, and less the special tokens around them."""
    ids = encoded.input_ids
    marks = set(processor.tokenizer.all_special_ids) | set(processor.tokenizer.added_tokens_decoder)
    places = [place for place, token in enumerate(ids) if token == processor.image_token_id]
    assert places, "the question has no image"
    first, last = places[0], places[-1]
    if first > 0 and ids[first - 1] in marks and ids[first - 1] != processor.end_id:
        first -= 1
    if last + 1 < len(ids) and ids[last + 1] in marks and ids[last + 1] != processor.end_id:
        last += 1
    left, right = slice(0, first), slice(last + 1, None)
    return Encoded(
        ids[left] + ids[right],
        encoded.labels[left] + encoded.labels[right],
        {name: [*values[left], *values[right]] for name, values in encoded.kinds.items()},
    )
