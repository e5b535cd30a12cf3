"""A recipe that is real from table to report and small enough to train in a moment: 24 pictures, a tiny model."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import yaml
from PIL import Image
from tests.models.tiny_model import write_tiny_model

NAMES = {"Acme": (200, 30, 30), "Zeta": (30, 30, 200)}
RECIPE = {
    "table": {"source": "t.csv", "image_root": ".", "id": "id", "image": "image", "text": "caption", "code": "id"},
    "name": {"column": "brand"},
    "caption": {"source": "table"},
    "clean": {"require_name": False, "shared_by": None, "min_words": 4},
    "split": {"min_per_name": 2, "validation": 6, "test": 6, "near_bits": None},
    "fetch": {"image": {"min_side": 16}},
    "model": {"base": "model"},
    "train": {
        "epochs": 1,
        "checkpoint_every_epochs": 1,
        "batch_size": 4,
        "memory": {"micro_batch_size": 4},
        "vision": {"mode": "full", "lr": 1e-3},
        "projector": {"mode": "full", "lr": 1e-3},
    },
    "score": {"prompts": ["name"], "max_new_tokens": 4},
    "report": {"gallery": 2},
}
MEMBERS = {
    "eye": {},
    "projector": {"train.vision": "frozen"},
    "adapters": {"train": {"vision": "frozen", "language": {"mode": "lora", "lr": 0.01, "rank": 2, "alpha": 4}}},
}


def write_sweep(folder: Path, **page: object) -> Path:
    """Model, pictures, table and recipe, and a sweep's page that leads to them."""
    write_tiny_model(folder / "model")
    rows = [_picture(folder, number) for number in range(24)]
    with (folder / "t.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    return write_page(folder, **page)


def write_page(folder: Path, **page: object) -> Path:
    path = folder / "sweep.yaml"
    tree = {"recipe": "recipe.yaml", **({"members": MEMBERS} if "matrix" not in page else {}), **page}
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


def _picture(folder: Path, number: int) -> dict[str, str]:
    name = list(NAMES)[number % 2]
    picture = Image.new("RGB", (48, 48), NAMES[name])
    picture.paste((0, number * 9, 90), (number, number, number + 20, number + 20))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    (folder / f"{number}.png").write_bytes(stream.getvalue())
    return {
        "id": f"p{number}",
        "image": f"{number}.png",
        "brand": name,
        "caption": f"a red mug by {name} number {number}",
    }
