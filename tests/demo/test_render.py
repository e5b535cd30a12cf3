import io
import json
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from nameplate.demo import render
from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES

SCENE = render.Scene("t-shirt", "blue", "plain grey", "centre")


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.int16)


def test_the_same_arguments_give_the_same_bytes() -> None:
    first = render.encode_jpeg(render.render(SCENE, brand="Nike", seed=3), seed=3)
    assert first == render.encode_jpeg(render.render(SCENE, brand="Nike", seed=3), seed=3)
    assert first != render.encode_jpeg(render.render(SCENE, brand="Nike", seed=4), seed=4)


@pytest.mark.parametrize("logo", render.load_logos(), ids=lambda logo: logo.slug)
def test_every_mark_is_large_and_visible(logo: render.Logo) -> None:
    for seed in range(3):
        bare = pixels(render.compose(SCENE, logo=None, seed=seed))
        marked = pixels(render.compose(SCENE, logo=logo, seed=seed))
        assert (np.abs(marked - bare).max(2) > 40).mean() > 0.04
        assert marked.shape == (render.SIDE, render.SIDE, 3)


def test_two_brands_in_one_scene_look_different() -> None:
    nike, puma = (pixels(render.render(SCENE, brand=brand, seed=5)) for brand in ("Nike", "Puma"))
    assert (np.abs(nike - puma).max(2) > 40).mean() > 0.02


@pytest.mark.parametrize("place", PLACES)
def test_the_mark_lies_where_the_scene_says(place: str) -> None:
    logo = render.logo_titled("Starbucks")
    for seed in range(5):
        scene = replace(SCENE, place=place)
        changed = np.abs(
            pixels(render.compose(scene, logo=logo, seed=seed)) - pixels(render.compose(scene, logo=None, seed=seed))
        )
        y, x = np.nonzero(changed.max(2) > 30)
        centre = x.mean() / render.SIDE, y.mean() / render.SIDE
        nearest = min(PLACES, key=lambda name: (PLACES[name].x - centre[0]) ** 2 + (PLACES[name].y - centre[1]) ** 2)
        assert nearest == place


def test_the_product_wears_its_colour() -> None:
    for colour, rgb in COLOURS.items():
        image = pixels(render.compose(render.Scene("suitcase", colour, "plain grey", "centre"), logo=None, seed=1))
        middle = np.median(image[70:120, 70:120].reshape(-1, 3), axis=0)
        nearest = min(COLOURS, key=lambda name: np.abs(middle - np.array(COLOURS[name])).sum())
        assert nearest == colour, rgb


def test_backgrounds_can_be_told_apart() -> None:
    corners = {
        name: pixels(render.compose(render.Scene("dress", "red", name, "centre"), logo=None, seed=2))[:, :30]
        for name in BACKGROUNDS
    }
    for name, strip in corners.items():
        others = [np.abs(strip - other).mean() for key, other in corners.items() if key != name]
        assert min(others) > 5


def test_jpeg_quality_varies_with_the_seed() -> None:
    image = render.render(SCENE, brand="Apple", seed=0)
    sizes = {len(render.encode_jpeg(image, seed=seed)) for seed in range(12)}
    assert len(sizes) > 4
    decoded = Image.open(io.BytesIO(render.encode_jpeg(image, seed=0)))
    assert decoded.size == (render.SIDE, render.SIDE)


def test_vendored_files_are_small_and_say_where_they_come_from() -> None:
    folder = files("nameplate.demo").joinpath("assets")
    for name, key, count, licence in (
        ("logos.json", "logos", 36, "CC0-1.0"),
        ("drawings.json", "drawings", len(KINDS), "Apache-2.0"),
    ):
        text = folder.joinpath(name).read_text(encoding="utf-8")
        content = json.loads(text)
        assert len(text) < 150_000
        assert len(content[key]) == count
        assert content["source"]["licence"] == licence and content["source"]["version"]


def test_drawings_are_the_kinds_of_the_palette() -> None:
    content = json.loads(files("nameplate.demo").joinpath("assets", "drawings.json").read_text(encoding="utf-8"))
    assert tuple(entry["kind"] for entry in content["drawings"]) == KINDS
