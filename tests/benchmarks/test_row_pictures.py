from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from row_pictures import HEIGHT, MAX_ROWS, WIDTH, PictureBook, book, row_of

rows = st.integers(0, MAX_ROWS - 1)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def encoded_again(image: Image.Image, size: tuple[int, int], quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.resize(size).save(buffer, "JPEG", quality=quality)
    return opened(buffer.getvalue())


@settings(max_examples=50, deadline=None)
@given(row=rows)
def test_a_number_survives_being_made_smaller_and_encoded_again(row: int) -> None:
    image = opened(book(4).jpeg(row))
    assert image.size == (WIDTH, HEIGHT)
    assert row_of(image) == row
    assert row_of(encoded_again(image, (336, 448), 95)) == row
    assert row_of(encoded_again(image, (168, 224), 60)) == row


@settings(max_examples=50, deadline=None)
@given(one=rows, other=rows)
def test_no_two_rows_have_one_picture(one: int, other: int) -> None:
    assert (book(4).jpeg(one) == book(4).jpeg(other)) == (one == other)


def test_pictures_are_as_heavy_as_the_benchmark_says() -> None:
    sizes = [len(book(4).jpeg(row)) for row in range(8)]
    assert 75_000 < min(sizes) <= max(sizes) < 90_000


def test_other_pictures_have_no_number() -> None:
    image = opened(book(4).jpeg(77))
    for other in (image.rotate(180), image.crop((0, 100, WIDTH, HEIGHT)), Image.new("RGB", (WIDTH, HEIGHT), "white")):
        assert row_of(other) is None


@pytest.mark.parametrize("seed", [0, 1])
def test_a_book_is_the_same_every_time(seed: int) -> None:
    assert PictureBook(1, seed=seed).jpeg(5) == PictureBook(1, seed=seed).jpeg(5)
    assert PictureBook(1, seed=seed).jpeg(5) != PictureBook(1, seed=seed + 1).jpeg(5)
