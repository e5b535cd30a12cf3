"""The eighteen data sets of the experiment, each in its own layout, from `init` to images, names and captions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nameplate.cli.app import app
from nameplate.pipeline import Pipeline
from nameplate.recipe import Recipe, load_recipe
from nameplate.stages.ingest import PRESETS
from nameplate.store.rundir import RunDirectory

from .eighteen import EIGHTEEN, Expected, Shop, Table, open_shop

# What these say of themselves is in common columns only: nobody can tell them from other tables.
TOLD_BY_COLUMNS = {
    "dbq-bottega-us": "dbq-bottega-us",
    "dbq-burberry-uae": "dbq-burberry-uae",
    "dbq-gucci-au": "dbq-gucci-au",
    "dbq-matches-fr": "dbq",
    "dbq-mytheresa-fr": "dbq",
    "coyo-hd": "coyo-hd",
    "humancaption-hq": "humancaption-hq",
    "pixmo-cap": "pixmo-cap",
    "pokemon-cards": "pokemon-cards",
    "groundcap": "groundcap",
    "amazon-vlm": "amazon-vlm",
}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop() as opened:
        yield opened


def propose(table: Table, folder: Path, *options: str) -> Recipe:
    out = folder / "recipe.yaml"
    done = CliRunner().invoke(app, ["init", table.source, "--out", str(out), "--json", *options])
    assert done.exit_code == 0, done.output
    seen = json.loads(done.stdout)
    assert seen["counted_all"]
    return load_recipe(out)


def run(recipe: Recipe, folder: Path, until: str) -> RunDirectory:
    directory = RunDirectory(folder / "run", store=None)
    Pipeline(recipe, directory).run(until=until)  # type: ignore[arg-type]  # the tests name stages
    return directory


def rows_after_fetch(directory: RunDirectory, *, with_code: bool) -> list[Expected]:
    rows = directory.tables("fetch").read_kept().to_pylist()
    for row in rows:
        kept = directory.images.read(row["image_sha256"], row["image_ext"])
        assert len(kept) == row["image_bytes"]
    return [
        # The registry may write BOTTEGA VENETA as a name is written; here only its letters count.
        Expected(
            row["image_source_sha256"], row["name"].upper(), row["text"], row["product_code"] if with_code else None
        )
        for row in rows
    ]


def assert_right(table: Table, recipe: Recipe, folder: Path) -> None:
    directory = run(recipe, folder, "fetch")
    found = rows_after_fetch(directory, with_code=table.kept[0].code is not None)
    assert Counter(found) == Counter(table.kept)
    assert directory.tables("ingest").reasons() == table.rejected
    if table.kept[0].text is not None:
        directory = run(recipe, folder, "split")
        rows = directory.tables("split").read_kept().to_pylist()
        taught = {(row["image_source_sha256"], row["caption"], row["finish_reason"]) for row in rows}
        assert taught == {(row.picture, row.text, "table") for row in table.kept}
        assert {row["split"] for row in rows} == {"train", "validation", "test"}


@pytest.mark.parametrize("name", EIGHTEEN)
def test_init_writes_a_recipe_that_runs_without_edits(name: str, shop: Shop, tmp_path: Path) -> None:
    table = EIGHTEEN[name](tmp_path, shop)
    recipe = propose(table, tmp_path)
    assert recipe.table.preset == TOLD_BY_COLUMNS.get(name)
    assert_right(table, recipe, tmp_path)


@pytest.mark.parametrize("name", EIGHTEEN)
def test_each_preset_reads_its_data_set(name: str, shop: Shop, tmp_path: Path) -> None:
    table = EIGHTEEN[name](tmp_path, shop)
    recipe = propose(table, tmp_path, "--preset", name)
    assert recipe.table.preset == name
    assert recipe.split.code_prefix == PRESETS[name].code_prefix
    assert_right(table, recipe, tmp_path)
