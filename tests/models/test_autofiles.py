"""A saved InternVL is one for transformers' `AutoProcessor`, too, which servers read models with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from nameplate.models.checkpoint import save_native
from nameplate.models.features import vision_features
from nameplate.models.generate import generate
from nameplate.models.internvl.processing import InternVLProcessor
from nameplate.models.load import LoadedModel, load_model
from nameplate.models.processors import load_processor
from nameplate.models.tiling import ImageSize

from .tiny_model import write_tiny_model

PROMPT = "Which brand is this product?"
CHANGES: list[dict[str, Any]] = [
    {},
    {"system": "You are kind.\nAnswer 'briefly'."},
    {"turn_start": "<|im_start|>{role} says:\n", "turn_end": "<|im_end|>"},
    {"max_tiles": 4},
]


def saved(folder: Path, **changes: Any) -> LoadedModel:
    """A tiny model with another contract, as it is read back."""
    loaded = load_model(str(write_tiny_model(folder / "base")))
    assert isinstance(loaded.processor, InternVLProcessor)
    contract = loaded.processor.contract.model_copy(update=changes)
    processor = InternVLProcessor(loaded.processor.tokenizer, contract)
    save_native(loaded._replace(processor=processor), folder / "saved")
    return load_model(str(folder / "saved"))


def picture() -> Image.Image:
    torch.manual_seed(0)
    noise = (torch.rand(5, 10, 3) * 255).byte().numpy()
    return Image.fromarray(noise).resize((90, 45), Image.Resampling.BICUBIC)


def as_transformers_reads(folder: Path, image: Image.Image) -> Any:
    content = [{"type": "image", "image": image}, {"type": "text", "text": PROMPT}]
    reader: Any = AutoProcessor
    processor = reader.from_pretrained(folder, local_files_only=True)
    return processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )


@pytest.mark.parametrize("changes", CHANGES, ids=["plain", "system", "turns", "tiles"])
def test_questions_and_images_are_read_as_we_read_them(tmp_path: Path, changes: dict[str, Any]) -> None:
    loaded, image = saved(tmp_path, **changes), picture()
    theirs = as_transformers_reads(loaded.folder, image)
    ours = loaded.processor.encode(PROMPT, size=ImageSize(*image.size))
    assert theirs["input_ids"][0].tolist() == ours.input_ids
    pixels = loaded.processor.batch([loaded.processor.prepare(image)]).merged()["pixel_values"]
    assert theirs["pixel_values"].shape == pixels.shape
    # Resizing rounds otherwise there, by one level of 255 (0.0175 after division by the smallest deviation).
    assert float((theirs["pixel_values"] - pixels).abs().max()) < 0.02


def test_what_is_saved_is_read_back_as_it_was(tmp_path: Path) -> None:
    loaded = saved(tmp_path)
    before = load_processor(tmp_path / "base")
    assert loaded.processor.fingerprint == before.fingerprint
    assert len(loaded.processor.tokenizer) == len(before.tokenizer)
    assert loaded.processor.plain("a <img> b <video> c") == before.plain("a <img> b <video> c")


def test_transformers_alone_answers_as_we_do(tmp_path: Path) -> None:
    loaded, image = saved(tmp_path), picture()
    inputs = as_transformers_reads(loaded.folder, image)
    model: Any = AutoModelForImageTextToText.from_pretrained(loaded.folder, local_files_only=True)
    written = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    seen = vision_features(loaded.model, loaded.processor.batch([loaded.processor.prepare(image)]))
    assert [loaded.processor.decode(written.tolist())] == generate(loaded, seen, [PROMPT], max_new_tokens=8)
