"""Copies of a picture are one picture, and different products with near hashes are not: on the demo's products."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nameplate.demo import render
from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES
from nameplate.stages.fetch.pixels.phash import perceptual_hash
from nameplate.stages.leaks.pixels import ONE_PICTURE, Likeness, StoredImage
from nameplate.store.images import ImageStore

from .leak_tables import encoded

PRODUCTS = 160
NEAR_BITS = 14
"""Wider than any audit looks, so that there are pairs to look at."""


@pytest.fixture(scope="module")
def products() -> list[Image.Image]:
    rng, logos = random.Random(5), render.load_logos()
    made = []
    for number in range(PRODUCTS):
        scene = render.Scene(
            rng.choice(KINDS), rng.choice(list(COLOURS)), rng.choice(BACKGROUNDS), rng.choice(list(PLACES))
        )
        made.append(render.compose(scene, logo=logos[number % 6], seed=number))
    return made


@pytest.fixture
def likeness(tmp_path: Path) -> tuple[ImageStore, Likeness]:
    store = ImageStore(tmp_path)
    return store, Likeness(store)


def _put(store: ImageStore, data: bytes, ext: str) -> StoredImage:
    return StoredImage(store.put(data, ext), ext)


def _resized(factor: float, how: Image.Resampling) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.resize((round(image.width * factor), round(image.height * factor)), how)


@pytest.mark.parametrize(
    ("change", "kind", "options", "worst"),
    [
        (None, "JPEG", {"quality": 30}, 0.05),
        (None, "WEBP", {"quality": 50}, 0.05),
        (_resized(0.5, Image.Resampling.LANCZOS), "PNG", {}, 0.03),
        (_resized(1.7, Image.Resampling.BICUBIC), "PNG", {}, 0.04),
        (_resized(0.63, Image.Resampling.NEAREST), "PNG", {}, 0.12),
        (_resized(0.5, Image.Resampling.BICUBIC), "JPEG", {"quality": 40}, 0.12),
    ],
)
def test_copies_are_one_picture(
    products: list[Image.Image],
    likeness: tuple[ImageStore, Likeness],
    change: Callable[[Image.Image], Image.Image] | None,
    kind: str,
    options: dict[str, int],
    worst: float,
) -> None:
    store, compare = likeness
    differences = []
    for image in products[:30]:
        copy = change(image) if change is not None else image
        pair = _put(store, encoded(image, quality=90), "jpg"), _put(store, encoded(copy, kind, **options), kind.lower())
        differences.append(compare.difference(*pair))
    found = max(each for each in differences if each is not None)
    assert None not in differences
    # Measured: 0.043, 0.039, 0.020, 0.031, 0.102 and 0.090.
    assert found <= worst <= ONE_PICTURE, found


def test_different_products_with_near_hashes_are_not(
    products: list[Image.Image], likeness: tuple[ImageStore, Likeness]
) -> None:
    store, compare = likeness
    hashes = np.array([int(perceptual_hash(image), 16) for image in products], dtype=np.uint64)
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    pairs = np.argwhere(np.triu(apart <= NEAR_BITS, 1))
    stored = [_put(store, encoded(image, quality=90), "jpg") for image in products]
    found = [compare.difference(stored[one], stored[other]) for one, other in pairs]
    assert len(found) >= 10
    # Measured: 0.50 at least.
    assert min(each for each in found if each is not None) > 2 * ONE_PICTURE


def test_another_colour_or_a_small_mark_is_another_picture(likeness: tuple[ImageStore, Likeness]) -> None:
    """What a perceptual hash does not see."""
    store, compare = likeness
    plain = Image.new("RGB", (320, 320), (235, 235, 235))
    plain.paste((30, 60, 160), (80, 60, 240, 280))
    marked, red = plain.copy(), plain.copy()
    marked.paste((250, 240, 60), (150, 100, 166, 116))
    red.paste((160, 60, 30), (80, 60, 240, 280))
    one, other, third = (_put(store, encoded(image, "PNG"), "png") for image in (plain, marked, red))
    assert (compare.difference(one, other) or 0) > ONE_PICTURE
    assert (compare.difference(one, third) or 0) > ONE_PICTURE
    assert compare.difference(one, one) == 0.0


def test_what_cannot_be_read_has_no_likeness(likeness: tuple[ImageStore, Likeness]) -> None:
    store, compare = likeness
    good, broken = _put(store, encoded(Image.new("RGB", (9, 9)), "PNG"), "png"), _put(store, b"no image", "png")
    assert compare.difference(good, broken) is None
    assert compare.difference(good, StoredImage("0" * 64, "jpg")) is None
    assert compare.unreadable == 2
