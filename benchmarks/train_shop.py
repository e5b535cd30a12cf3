"""A random InternVL of about 50 million parameters and a split table to train it on, as a run directory holds it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from PIL import Image, ImageFilter
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLVisionConfig, Qwen2Config

from nameplate.records import SCHEMAS
from nameplate.store.rundir import RunDirectory

PATCH, VOCABULARY, NUM_WORDS = 14, 8192, 6000
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>"]
PROMPT = "Describe this product in detail."
MAX_TOKENS = 4096
PICTURE = (448, 448)


class Size(NamedTuple):
    """How large the model is."""

    vision_layers: int = 12
    vision_width: int = 384
    language_layers: int = 8
    language_width: int = 512
    side: int = 224

    @property
    def tokens_per_tile(self) -> int:
        """Image tokens of one tile."""
        return (self.side // PATCH // 2) ** 2


QUICK = Size(2, 64, 2, 64, 112)
FULL = Size()


def words(seed: int = 0) -> list[str]:
    """Made-up words of two to four syllables."""
    random = np.random.default_rng(seed)
    consonants, vowels = list("bcdfghklmnprstvz"), list("aeiou")
    made: dict[str, None] = {}
    while len(made) < NUM_WORDS:
        syllables = random.integers(2, 5)
        made["".join(random.choice(consonants) + random.choice(vowels) for _ in range(syllables))] = None
    return list(made)


def captions(count: int, *, fewest: int, most: int, seed: int = 1) -> list[str]:
    """Texts of so many words, some words frequent as in a language."""
    random, vocabulary = np.random.default_rng(seed), words()
    frequency = 1.0 / (10 + np.arange(NUM_WORDS))
    lengths = random.integers(fewest, most + 1, count)
    chosen = [random.choice(NUM_WORDS, length, p=frequency / frequency.sum()) for length in lengths]
    return [" ".join(vocabulary[place] for place in places) + "." for places in chosen]


def write_model(folder: Path, size: Size, *, system: str = "") -> int:
    """Write an ordinary folder with bfloat16 weights and a system text, or none; the number of parameters."""
    folder.mkdir(parents=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    model = InternVLForConditionalGeneration(_config(tokenizer, size)).to(torch.bfloat16)
    model.save_pretrained(folder)
    contract = {
        "size": size.side,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "num_image_tokens": size.tokens_per_tile,
        "system_message": system,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(contract))
    return sum(parameter.numel() for parameter in model.parameters())


def write_run(
    root: Path, texts: Sequence[str], *, picture: tuple[int, int] = PICTURE, num_images: int | None = None
) -> RunDirectory:
    """A run directory whose split table trains on these texts, each with a JPEG of its own or one of `num_images`."""
    run = RunDirectory(root)
    random = np.random.default_rng(2)
    count = len(texts) if num_images is None else num_images
    images = [run.images.put(_picture(random, picture), "jpg") for _ in range(count)]
    rows = [_row(place, text, images[place % count]) for place, text in enumerate(texts)]
    table = pa.Table.from_pylist(rows, schema=SCHEMAS["split"])
    nothing = pa.array([], pa.string())
    rejects = table.slice(0, 0).append_column("reason", nothing).append_column("detail", nothing)
    run.tables("split").write(0, table, rejects)
    return run


def _row(place: int, text: str, image: str) -> dict[str, Any]:
    return {
        "row_id": f"row-{place}",
        "name": "Acme",
        "image_sha256": image,
        "image_ext": "jpg",
        "caption": text,
        "split": "train",
        "group_id": f"row-{place}",
    }


def _picture(random: np.random.Generator, size: tuple[int, int]) -> bytes:
    """Smooth colours with some grain, about as large a file as a photo of that size."""
    coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    mixed = Image.blend(coarse, grain.filter(ImageFilter.GaussianBlur(1)), 0.2)
    stream = io.BytesIO()
    mixed.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*captions(2000, fewest=30, most=110), PROMPT, "user assistant"], trainer)
    return tokenizer


def _config(tokenizer: Tokenizer, size: Size) -> InternVLConfig:
    vision = InternVLVisionConfig(
        hidden_size=size.vision_width,
        num_hidden_layers=size.vision_layers,
        num_attention_heads=size.vision_width // 64,
        intermediate_size=4 * size.vision_width,
        image_size=[size.side, size.side],
        patch_size=[PATCH, PATCH],
        attention_bias=True,
    )
    text = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=size.language_width,
        intermediate_size=size.language_width * 11 // 4,
        num_hidden_layers=size.language_layers,
        num_attention_heads=size.language_width // 64,
        num_key_value_heads=max(1, size.language_width // 256),
        max_position_embeddings=MAX_TOKENS,
        tie_word_embeddings=True,
    )
    return InternVLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.token_to_id("<IMG_CONTEXT>"),
        image_seq_length=size.tokens_per_tile,
        tie_word_embeddings=True,
        dtype="bfloat16",
    )
