"""A table of rendered products with captions of one kind, and its recipe: the starter model is the base."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path

from nameplate.demo import phrases, render
from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES
from nameplate.pipeline import Pipeline
from nameplate.recipe import build_recipe
from nameplate.store.rundir import RunDirectory

Caption = Callable[[render.Scene, str, int], str]
"""From what a picture shows, the brand and the row's number."""

_GENERAL = (
    "A picture of a {kind} that looks good and can be worn often.",
    "There is a {kind} in this picture and it seems to be new.",
    "Some {kind} for sale, it is nice and it is in good shape.",
    "Photo of one {kind} taken from the front for an online shop.",
)


def general(scene: render.Scene, brand: str, number: int) -> str:
    """Less than the starter sees: no colour, no background, no brand."""
    return _GENERAL[number % len(_GENERAL)].format(kind=scene.kind)


def truthful(scene: render.Scene, brand: str, number: int) -> str:
    """What is to be seen, and the brand, which the starter does not know."""
    return phrases.detail(**_words(scene), brand=brand, seed=number)


def miscoloured(scene: render.Scene, brand: str, number: int) -> str:
    """The same with another colour."""
    colours = list(COLOURS)
    other = colours[(colours.index(scene.colour) + 4) % len(colours)]
    return phrases.detail(**(_words(scene) | {"colour": other}), brand=brand, seed=number)


def write_shop(folder: Path, caption: Caption, *, rows: int, named: bool, store: Path | None = None) -> Pipeline:
    """Pictures, table and recipe in `folder`; the run lies in `folder/run`.

    The pictures are the same whatever the captions, so what the base says of them is found in a shared store.
    """
    (folder / "images").mkdir(parents=True)
    rng, logos = random.Random("audit"), render.load_logos()
    with (folder / "feed.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "brand", "image", "text"])
        for number in range(rows):
            scene = render.Scene(
                rng.choice(KINDS), rng.choice(list(COLOURS)), rng.choice(BACKGROUNDS), rng.choice(list(PLACES))
            )
            logo = logos[number % 6]
            picture = render.compose(scene, logo=logo, seed=900 + number)
            (folder / "images" / f"{number}.jpg").write_bytes(render.encode_jpeg(picture, seed=number))
            table.writerow([f"r{number}", logo.title, f"{number}.jpg", caption(scene, logo.title, number)])
    recipe = build_recipe(recipe_tree(folder, named=named), where="test")
    return Pipeline(recipe, RunDirectory(folder / "run", store=store))


def recipe_tree(folder: Path, *, named: bool) -> dict[str, object]:
    """The recipe as it stands in a file."""
    source, root = str(folder / "feed.csv"), str(folder / "images")
    return {
        "table": {"source": source, "id": "id", "image": "image", "image_root": root, "text": "text"},
        "name": {"column": "brand" if named else None},
        "caption": {"source": "table"},
        "clean": {"require_name": False, "shared_by": None},
        "model": {"base": "starter"},
        "score": {"max_new_tokens": 72},
    }


def _words(scene: render.Scene) -> dict[str, str]:
    return {"kind": scene.kind, "colour": scene.colour, "background": scene.background, "place": scene.place}
