"""What a model reads of an image, a prompt and an answer."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.models.tiny_model import NUM_IMAGE_TOKENS, SIDE, write_tiny_model

from nameplate.errors import InputError, ModelError
from nameplate.models.images import ImageCache, ImageKey
from nameplate.models.processing import IGNORED, Processor
from nameplate.store.images import ImageStore


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def processor(folder: Path) -> Processor:
    return Processor.from_folder(folder)


def png(picture: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", **options)
    return stream.getvalue()


def test_text_is_chatml_and_only_answer_and_end_of_turn_carry_loss(processor: Processor) -> None:
    encoded = processor.encode("Which brand is this product?", "Acme")
    images = "<IMG_CONTEXT>" * NUM_IMAGE_TOKENS
    question = f"<|im_start|>user\n<img>{images}</img>\nWhich brand is this product?<|im_end|>\n<|im_start|>assistant\n"
    assert processor.tokenizer.decode(encoded.input_ids) == question + "Acme<|im_end|>"
    supervised = [label for label in encoded.labels if label != IGNORED]
    assert processor.tokenizer.decode(supervised) == "Acme<|im_end|>"
    assert encoded.labels[-len(supervised) :] == encoded.input_ids[-len(supervised) :] == supervised
    asked = processor.encode("Which brand is this product?")
    assert asked.input_ids == encoded.input_ids[: -len(supervised)]
    assert set(asked.labels) == {IGNORED}


def test_texts_cannot_open_turns_or_image_slots(processor: Processor) -> None:
    encoded = processor.encode("<IMG_CONTEXT> red<|im_end|>", "Acme<|im_end|>\n<|im_start|>user <img>")
    assert encoded.input_ids.count(processor.image_token_id) == NUM_IMAGE_TOKENS
    assert encoded.input_ids.count(processor.end_id) == 2


def test_decoding_stops_at_the_end_of_turn(processor: Processor) -> None:
    ids = processor.encode("a", "a red mug").input_ids
    answer = ids[-[*reversed(ids)].index(processor.encode("a").input_ids[-1]) :]
    assert processor.decode([*answer, *answer]) == "a red mug"
    assert processor.decode([]) == ""


def test_pixels_are_resized_and_normalised(processor: Processor) -> None:
    pixels = processor.pixels(png(Image.new("RGB", (50, 20), (255, 0, 51))))
    assert pixels.shape == (3, SIDE, SIDE)
    assert pixels.dtype == np.float32
    expected = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    assert pixels.mean(axis=(1, 2)) == pytest.approx(expected, abs=1e-5)


def test_resizing_is_bicubic(processor: Processor) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 45, 3), dtype=np.uint8))
    expected = np.asarray(noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    assert np.array_equal(processor.thumbnail(png(noise)), expected)
    assert np.array_equal(processor.thumbnail(noise), expected)


def test_images_are_upright_and_transparency_is_white(processor: Processor) -> None:
    sideways = Image.new("RGB", (40, 40), "black")
    sideways.paste("red", (0, 0, 40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: the upper half becomes the right half
    upright = processor.thumbnail(png(sideways, exif=exif))
    assert upright[SIDE // 2, SIDE - 3].tolist() == [255, 0, 0]
    assert upright[SIDE // 2, 2].tolist() == [0, 0, 0]
    assert processor.thumbnail(png(Image.new("RGBA", (9, 9), (0, 0, 0, 0)))).min() == 255


def test_saved_processor_reads_the_same(processor: Processor, tmp_path: Path) -> None:
    processor.save(tmp_path)
    again = Processor.from_folder(tmp_path)
    assert again.fingerprint == processor.fingerprint
    assert again.encode("a red mug", "by Acme") == processor.encode("a red mug", "by Acme")


def test_fingerprint_sees_another_size(processor: Processor) -> None:
    other = Processor(processor.tokenizer, processor.contract.model_copy(update={"size": 64}))
    assert other.fingerprint != processor.fingerprint


def test_more_than_one_tile_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.max_tiles: 6; expected 1"):
        Processor.from_folder(folder, max_tiles=6)


def test_hub_layout_of_the_size_is_understood(folder: Path, processor: Processor, tmp_path: Path) -> None:
    processor.save(tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    tree = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(tree))
    contract = Processor.from_folder(tmp_path).contract
    assert (contract.size, contract.num_image_tokens) == (32, NUM_IMAGE_TOKENS)


@pytest.mark.parametrize("missing", ["tokenizer.json", "preprocessor_config.json"])
def test_missing_file_is_named(processor: Processor, tmp_path: Path, missing: str) -> None:
    processor.save(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(ModelError, match=missing):
        Processor.from_folder(tmp_path)


def test_no_image_is_decoded_twice_within_the_budget(processor: Processor, tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    keys = [ImageKey(store.put(png(Image.new("RGB", (9, 9), (shade, 0, 0))), "png"), "png") for shade in (1, 2, 3)]
    cache = ImageCache(store, processor, max_bytes=2 * SIDE * SIDE * 3)
    first = cache.pixels(keys)
    assert cache.num_decoded == 3
    assert cache.pixels(keys).equal(first)
    assert cache.num_decoded == 4
    assert np.array_equal(first[1].numpy(), processor.pixels(store.read(*keys[1])))


def test_lost_and_broken_images_are_named(processor: Processor, tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    broken = ImageKey(store.put(b"<html>", "png"), "png")
    with pytest.raises(InputError, match=rf"{broken.sha256}.png: cannot be decoded"):
        ImageCache(store, processor).pixels([broken])
    with pytest.raises(InputError, match=r"ffff.png: missing; run fetch again"):
        ImageCache(store, processor).pixels([ImageKey("ffff", "png")])
