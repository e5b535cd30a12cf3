"""Confusions: counted exactly, with an image of each, and names that are said too often."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nameplate.report.confusions import SHOWN, build_confusions, said_names, said_too_often
from nameplate.report.thumbnails import EXAMPLE_SIDE, encode
from nameplate.store.images import ImageStore

from .made_answers import Line, answered

LINES = [
    *[Line("Zorbix", "", "Brand: Quvell.")] * 3,
    *[Line("Zorbix", "", "Zorbix")] * 5,
    Line("Quvell", "", "A bag by Morvane, not by Quvell."),
    *[Line("Quvell", "", "Quvell")] * 2,
    Line("Morvane", "", "I cannot say."),
    Line("Morvane", "", "Tannik Blue or Zorbix or Morvane"),
    Line("Tannik Blue", "", "Tannik Blue, or Zorbix"),
]


def test_pairs_are_counted_with_their_share_of_the_true_name(tmp_path: Path) -> None:
    found = build_confusions(answered(LINES), ImageStore(tmp_path))
    assert found is not None
    counted = [(pair.true, pair.said, pair.count, pair.of) for pair in found.pairs]
    assert counted == [
        ("Zorbix", "Quvell", 3, 8),
        ("Tannik Blue", "Zorbix", 1, 1),
        ("Morvane", "Tannik Blue", 1, 2),
        ("Quvell", "Morvane", 1, 3),
    ]
    assert found.pairs[0].share == 3 / 8
    assert (found.num_confused, found.num_pairs, found.num_rows) == (6, 4, len(LINES))


def test_the_first_wrong_name_counts_and_no_name_is_no_confusion() -> None:
    said = said_names(answered(LINES))
    assert said["r000"] == "Quvell"
    assert said["r003"] == "Zorbix"
    assert said["r008"] == "Morvane"
    assert said["r011"] is None
    assert said["r012"] == "Tannik Blue"
    assert said["r013"] == "Zorbix"


def test_each_pair_shows_a_mistaken_image_and_a_right_one_of_the_name_that_was_said(tmp_path: Path) -> None:
    store, shots = ImageStore(tmp_path), []
    for red in range(3):
        buffer = io.BytesIO()
        Image.new("RGB", (200, 100), (80 * red, 10, 10)).save(buffer, "PNG")
        shots.append({"image_sha256": store.put(buffer.getvalue(), "png"), "image_ext": "png"})
    lines = [
        Line("Zorbix", "", "Quvell", shots[0]),
        Line("Quvell", "", "Zorbix", shots[1]),
        Line("Quvell", "", "Quvell", shots[2]),
    ]
    found = build_confusions(answered(lines), store)
    assert found is not None
    pair = next(pair for pair in found.pairs if pair.said == "Quvell")
    assert (pair.mistaken.row_id, pair.mistaken.said) == ("r000", "Quvell")
    assert pair.model is not None
    assert pair.model.row_id == "r002"
    assert pair.mistaken.picture is not None
    assert pair.model.picture is not None
    assert max(pair.model.picture.width, pair.model.picture.height) <= 112
    other = next(pair for pair in found.pairs if pair.said == "Zorbix")
    # Zorbix was never right, so its only image stands for it.
    assert other.model is not None
    assert other.model.row_id == "r000"


def test_a_name_without_test_images_has_no_image(tmp_path: Path) -> None:
    found = build_confusions(answered([Line("Zorbix", "", "Morvane")]), ImageStore(tmp_path))
    assert found is not None
    assert found.pairs[0].model is None
    assert found.pairs[0].mistaken.picture is None


def test_at_most_twenty_pairs_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    names = [f"Brand{letter}x" for letter in "abcdefgh"]
    lines = [Line(true, "", said) for true in names for said in names if true != said]
    found = build_confusions(answered(lines, names=names), ImageStore(tmp_path))
    assert found is not None
    assert len(found.pairs) == SHOWN == 20
    assert found.num_pairs == found.num_confused == 56


def test_all_thumbnails_together_are_small_even_if_every_picture_is_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (EXAMPLE_SIDE, EXAMPLE_SIDE, 3), dtype=np.uint8)
    assert 2 * SHOWN * len(encode(Image.fromarray(noise))) * 4 / 3 < 1_000_000


def test_said_too_often_is_answers_against_images() -> None:
    truth = {str(row): "Zorbix" if row < 10 else "Quvell" for row in range(20)} | {"20": "Morvane"}
    said: dict[str, str | None] = dict.fromkeys(truth, "Zorbix") | {"19": "Quvell", "18": None, "20": "Morvane"}
    [found] = said_too_often(truth, said)
    assert (found.name, found.said, found.true, found.wrongly, found.missed) == ("Zorbix", 18, 10, 8, 0)
    # Exact: 2 / 2^8 for Zorbix, 2 / 2^9 for Quvell, 1 for Morvane; Holm multiplies the second smallest of three by 2.
    assert found.p_value == pytest.approx(2 * 2 / 2**8)
    assert found.is_sure


def test_swapped_names_are_confused_and_not_said_too_often() -> None:
    truth = {"a": "Zorbix", "b": "Quvell"}
    assert said_too_often(truth, {"a": "Quvell", "b": "Zorbix"}) == ()


@pytest.mark.parametrize("answer", ["Zorbix", "nothing to see"])
def test_one_class_only_has_no_pairs(tmp_path: Path, answer: str) -> None:
    found = build_confusions(answered([Line("Zorbix", "", answer)] * 3, names=["Zorbix"]), ImageStore(tmp_path))
    assert found is not None
    assert (found.pairs, found.too_often, found.num_confused) == ((), (), 0)


def test_without_the_names_nothing_is_claimed(tmp_path: Path) -> None:
    assert build_confusions(replace(answered(LINES), matcher=None), ImageStore(tmp_path)) is None
