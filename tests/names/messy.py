"""A small catalogue whose names are as untidy as real ones; docs/names.md shows what `nameplate names` says of it."""

from __future__ import annotations

import csv
import random
from pathlib import Path

ROWS = {
    "GUCCI": 61, "Gucci": 9, "Guccii": 2, "PRADA": 40, "Dolce & Gabbana": 31, "DOLCE&GABBANA": 12, "D&G": 6,
    "Saint Laurent": 44, "Saint Laurent Paris": 8, "Yves Saint Laurent": 5, "YSL": 4, "Marc Jacobs": 28,
    "Marc by Marc Jacobs": 11, "Chloé": 21, "CHLOE": 3, "A.P.C.": 18, "APC": 2, "H&amp;M": 7, "H&M": 15, "VELVET": 14,
    "FRAME": 19, "Coach": 26, "Theory": 12, "COS": 9, "Salvatore Ferragamo": 22, "Salvatore Feragammo": 1, "1017": 3,
    "Unknown": 8, "N.A.": 5, "\N{EM DASH}": 2, "Max Mara": 17, "MaxMara": 4, "Net-a-Porter.com": 1, "Net-a-Porter": 6,
}  # fmt: skip
KINDS = ("shoulder bag", "midi dress", "leather belt", "wool coat", "silk scarf", "ankle boots")
MATERIALS = ("black leather", "soft velvet", "white cotton", "brown suede", "dark green velvet")


def write_catalogue(path: Path) -> Path:
    """Write the catalogue as CSV: brand, title, description, imageurl."""
    chance = random.Random(4)
    rows = [name for name, count in ROWS.items() for _ in range(count)]
    chance.shuffle(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["brand", "title", "description", "imageurl"])
        for number, name in enumerate(rows):
            kind, material = chance.choice(KINDS), chance.choice(MATERIALS)
            bag = "The frame of the bag is gold-tone metal." if kind == "shoulder bag" else "It closes with a zip."
            text = f"This {kind} by {name} is made of {material}. {bag} It was photographed on a plain background."
            table.writerow(
                [name, f"{material.title()} {kind} no. {number}", text, f"https://shop.example/{number}.jpg"]
            )
    return path
