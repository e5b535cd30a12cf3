"""A folder such as people have: pictures of products, and what lies beside them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from nameplate.demo import render
from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES


def picture(number: int) -> bytes:
    scene = render.Scene(
        KINDS[number * 5 % 12],
        list(COLOURS)[number * 3 % 11],
        BACKGROUNDS[number * 7 % 8],
        list(PLACES)[number % 5],
    )
    logo = render.load_logos()[number % 36]
    return render.encode_jpeg(render.compose(scene, logo=logo, seed=number), seed=number)


def write_shelf(folder: Path) -> Path:
    """Six sound pictures in three kinds of file, five that are not, and two files that are no pictures."""
    (folder / "left").mkdir(parents=True)
    (folder / ".cache").mkdir()
    for number in range(3):
        (folder / f"p{number}.jpg").write_bytes(picture(number))
    (folder / "left" / "p3.JPG").write_bytes(picture(3))
    first, second = Image.open(folder / "p0.jpg"), Image.open(folder / "p1.jpg")
    first.save(folder / "moves.gif", save_all=True, append_images=[second])
    deep = np.asarray(second.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "deep.png")
    (folder / "broken.jpg").write_bytes(picture(0)[:2000])
    (folder / "empty.png").write_bytes(b"")
    (folder / "words.webp").write_text("no image at all")
    Image.new("RGB", (200, 200), "red").save(folder / "blank.png")
    first.resize((20, 20)).save(folder / "small.png")
    (folder / "notes.txt").write_text("beside")
    (folder / "Thumbs.db").write_bytes(b"beside")
    shutil.copy(folder / "p0.jpg", folder / ".cache" / "hidden.jpg")
    return folder


ANSWERED = ("deep.png", "left/p3.JPG", "moves.gif", "p0.jpg", "p1.jpg", "p2.jpg")
REASONS = {
    "blank.png": "blank",
    "broken.jpg": "truncated",
    "empty.png": "not_an_image",
    "small.png": "too_small",
    "words.webp": "not_an_image",
}
