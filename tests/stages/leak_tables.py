"""Split tables with real pictures in a store, to plant leaks in."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image, ImageDraw

from nameplate.progress import SilentProgress
from nameplate.records import SCHEMAS, rejected_schema
from nameplate.stages.fetch.pixels.phash import perceptual_hash
from nameplate.stages.leaks import LeakChoices, LeakSummary, run_leaks
from nameplate.store.rundir import RunDirectory

Row = dict[str, Any]

_TEXT = """
small large round square soft hard bright dark plain striped woven printed leather cotton wool linen silver golden
button zip strap handle pocket collar sleeve sole heel logo label seam lining front back left right corner centre
"""
WORDS = _TEXT.split()


def picture(seed: int) -> Image.Image:
    """Shapes in colours, nothing like those of another seed."""
    rng = random.Random(seed)
    image = Image.new("RGB", (160, 140), _colour(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(7):
        x, y = rng.randrange(120), rng.randrange(100)
        draw.rectangle((x, y, x + rng.randrange(15, 80), y + rng.randrange(15, 80)), fill=_colour(rng))
    return image


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def caption(seed: int, words: int = 30) -> str:
    """A sentence that shares its words, not their order, with those of other seeds."""
    rng = random.Random(seed)
    return "A " + " ".join(rng.choice(WORDS) for _ in range(words)) + "."


class Shop:
    """Rows of a split: nothing of validation and test is in training until somebody plants it."""

    def __init__(self, root: Path, *, train: int = 30, held: int = 8) -> None:
        self.run = RunDirectory(root)
        splits = ["train"] * train + ["validation"] * held + ["test"] * held
        self.rows = [self._row(place, split) for place, split in enumerate(splits)]

    def of(self, split: str) -> list[Row]:
        return [row for row in self.rows if row["split"] == split]

    def show(self, row: Row, data: bytes, ext: str = "jpg") -> None:
        """Give a row an image."""
        with Image.open(io.BytesIO(data)) as image:
            phash = perceptual_hash(image.convert("RGB"))
        sha256 = self.run.images.put(data, ext)
        row |= {"image_sha256": sha256, "image_ext": ext, "image_phash": phash, "image_source_sha256": f"raw {sha256}"}

    def write(self, rows: Iterable[Row] | None = None) -> None:
        kept = pa.Table.from_pylist(list(rows or self.rows), schema=SCHEMAS["split"])
        half = kept.num_rows // 2
        for index, part in enumerate((kept.slice(0, half), kept.slice(half))):
            self.run.tables("split").write(index, part, rejected_schema("split").empty_table())

    def audit(self, bits: int = 6) -> LeakSummary:
        self.write()
        return run_leaks(LeakChoices(bits=bits), run=self.run, split="of this test", progress=SilentProgress())

    def _row(self, place: int, split: str) -> Row:
        row: Row = {
            "row_id": f"r{place:03}",
            "name": ("Acme", "Zeta", "Noor")[place % 3],
            "title": f"Thing {place}",
            "caption": caption(place),
            "product_code": f"C{place}",
            "page_url": f"http://shop.example/items/{place}",
            "split": split,
            "group_id": f"g{place}",
        }
        self.show(row, encoded(picture(place), quality=90))
        return row


def _colour(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)
