"""The folder of images without a name: its content, as far as it is looked at, is part of what scores depend on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from nameplate.errors import InputError
from nameplate.pipeline import Pipeline
from nameplate.recipe import build_recipe
from nameplate.records import StageName
from nameplate.store.rundir import RunDirectory

Build = Callable[..., Pipeline]
Wanted = Callable[..., dict[StageName, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    (folder / "deeper").mkdir(parents=True)
    paint(folder / "a.bmp", shade=1)
    paint(folder / "deeper" / "b.bmp", shade=2)
    return folder


@pytest.fixture
def build(tmp_path: Path, base: Path, folder: Path) -> Build:
    """A run with these guards."""
    (tmp_path / "feed.csv").write_text("id,brand,image\n1,Acme,http://127.0.0.1/1.jpg\n", encoding="utf-8")

    def build(**guards: object) -> Pipeline:
        tree = {
            "table": {"source": str(tmp_path / "feed.csv"), "id": "id", "image": "image"},
            "name": {"column": "brand"},
            "model": {"base": str(base)},
            "score": {"guards": {"unnamed": str(folder)} | guards},
        }
        return Pipeline(build_recipe(tree, where="test"), RunDirectory(tmp_path / "run"))

    return build


@pytest.fixture
def wanted(build: Build) -> Wanted:
    """What each stage would be made from, with these guards."""
    return lambda **guards: build(**guards).fingerprints(until="report")


def paint(path: Path, *, shade: int) -> None:
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(path)


@pytest.mark.parametrize("name", ["a.bmp", "deeper/b.bmp"])
def test_another_image_of_the_same_name_and_size_makes_scores_stale(wanted: Wanted, folder: Path, name: str) -> None:
    before, size = wanted(), (folder / name).stat().st_size
    paint(folder / name, shade=9)
    assert (folder / name).stat().st_size == size
    after = wanted()
    assert [stage for stage in after if after[stage] != before[stage]] == ["score", "report"]


def test_one_more_image_and_one_less_make_scores_stale(wanted: Wanted, folder: Path) -> None:
    before = wanted()["score"]
    paint(folder / "c.bmp", shade=3)
    more = wanted()["score"]
    (folder / "a.bmp").unlink()
    assert len({before, more, wanted()["score"]}) == 3


def test_what_is_not_looked_at_makes_nothing_stale(wanted: Wanted, folder: Path) -> None:
    for place in range(200):
        paint(folder / f"a{place:03}.bmp", shade=place)
    before = wanted()
    os.utime(folder / "a.bmp", (0, 0))
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    (folder / "a.png").mkdir()
    # Of 202 images the last two by name are not looked at.
    paint(folder / "deeper" / "b.bmp", shade=9)
    assert wanted() == before
    paint(folder / "a198.bmp", shade=9)
    assert wanted() != before


def test_a_folder_that_nobody_looks_into_need_not_be_there(wanted: Wanted, folder: Path) -> None:
    off = wanted(rows=0)
    drawn = wanted(unnamed=None)
    folder.rename(folder.with_name("elsewhere"))
    assert wanted(rows=0) == off
    assert wanted(unnamed=None) == drawn
    with pytest.raises(InputError, match=r"plain: no such folder; check score\.guards\.unnamed in the recipe"):
        wanted()


def test_a_folder_that_is_not_there_stops_the_run_before_anything_is_fetched(build: Build, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"elsewhere: no such folder; check score\.guards\.unnamed"):
        build(unnamed=str(tmp_path / "elsewhere")).run()
    assert not (tmp_path / "run" / "fetch").exists()
