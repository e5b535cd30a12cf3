"""Pictures without a name, to go with a run of the demo: `python make_images.py demo-run/runs/language-lora work`.

    work/learned  60 without a mark, to learn from (`train.examples.unnamed.images`), each with a caption beside it
    work/asked    100 others without one, for the guards to ask about (`score.guards.unnamed`)
    work/rare     listings of the run's rare brands, with their marks: the split left them out

The first two are drawn as the demo's shop draws its products, but for the mark.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES
from nameplate.demo.phrases import item_phrase
from nameplate.demo.render import Scene, compose, encode_jpeg
from nameplate.recipe.loading import load_recipe
from nameplate.store.rundir import RunDirectory

FIRST_SEEDS = {"learned": 1_000_000, "asked": 2_000_000}
"""Far from those of the shop's listings."""
OPENERS = ("This is {item}.", "The picture shows {item}.", "Here is {item}.", "We see {item}.")
SETTINGS = ("It is shown against a {background} background.", "Behind it is a {background} background.")
DENIALS = ("There is no logo on it.", "No brand can be seen.", "It has no mark of any brand.")


def main() -> None:
    """Write the three folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run of the demo")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--learned", type=int, default=60, metavar="N", help="pictures to learn from (60)")
    parser.add_argument("--asked", type=int, default=100, metavar="N", help="pictures to ask about (100)")
    given = parser.parse_args()
    for name, count in (("learned", given.learned), ("asked", given.asked)):
        for number in range(count):
            picture, caption = draw(FIRST_SEEDS[name] + number)
            write(given.folder / name / f"{number:03}.jpg", picture)
            if name == "learned":
                write(given.folder / name / f"{number:03}.txt", caption.encode())
    run = RunDirectory(given.run, store=Path(load_recipe(given.run / "recipe.yaml").store or given.run / "store"))
    for row in run.tables("split").read_rejected().to_pylist():
        if row["reason"] == "rare_name":
            file = given.folder / "rare" / f"{row['image_sha256']}.{row['image_ext']}"
            write(file, run.images.read(row["image_sha256"], row["image_ext"]))


def draw(seed: int) -> tuple[bytes, str]:
    """JPEG of a product of any kind and colour before any background, and what it shows."""
    chance = random.Random(seed)
    kind, colour, background, place = (chance.choice(list(words)) for words in (KINDS, COLOURS, BACKGROUNDS, PLACES))
    picture = encode_jpeg(compose(Scene(kind, colour, background, place), logo=None, seed=seed), seed=seed)
    item = item_phrase(colour, kind)
    sentences = chance.choice(OPENERS), chance.choice(SETTINGS), chance.choice(DENIALS)
    return picture, " ".join(sentences).format(item=item, background=background)


def write(path: Path, data: bytes) -> None:
    """A file, in a folder that need not be there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


if __name__ == "__main__":
    main()
