"""`nameplate leaks` as a person meets it: a table, one JSON object, exit codes, and clear words for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tests.stages.audit_shop import recipe_tree, truthful, write_shop
from typer.testing import CliRunner, Result

from nameplate.cli.app import app

Leaks = Callable[..., Result]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leaks") / "shop"
    write_shop(folder, truthful, rows=36, named=True)
    tree = recipe_tree(folder, named=True) | {
        "split": {"min_per_name": 3, "validation": 8, "test": 4, "near_bits": None}
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    return folder


@pytest.fixture
def leaks(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Leaks:
    monkeypatch.chdir(shop)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, ["leaks", "recipe.yaml", *words])


def _plant(folder: Path) -> tuple[str, str]:
    """Give a test row the image of a training row, in the split's own table."""
    path = next((folder / "split").glob("part-*.parquet"))
    rows = pq.read_table(path).to_pylist()
    train, test = (next(row for row in rows if row["split"] == split) for split in ("train", "test"))
    for column in ("image_sha256", "image_ext", "image_phash", "image_source_sha256"):
        test[column] = train[column]
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(path)), path)
    return test["row_id"], train["row_id"]


def test_without_a_split_it_says_which_command_makes_one(leaks: Leaks) -> None:
    done = leaks("--run-dir", "nothing-yet")
    assert done.exit_code == 2
    assert "no split; run nameplate split with the same recipe and options first" in done.stderr


def test_exit_code_and_table_say_whether_there_is_a_leak(leaks: Leaks, shop: Path) -> None:
    assert CliRunner().invoke(app, ["split", "recipe.yaml", "--run-dir", "clean"]).exit_code == 0
    done = leaks("--run-dir", "clean")
    assert done.exit_code == 0, done.stderr
    assert "No leak: none of 14 held-out rows is known from 22 training rows." in done.stdout
    held, train = _plant(shop / "clean")
    done = leaks("--run-dir", "clean")
    assert done.exit_code == 1, done.stderr
    printed = " ".join(done.stdout.split())
    assert f"leak: same image: test {held}" in printed
    assert f"train {train} " in printed
    assert "test rows are known from training" in printed
    assert str(Path("clean") / "leaks" / "leaks.json") in done.stdout
    again = leaks("--run-dir", "clean", "--json")
    assert again.exit_code == 1
    found = json.loads(again.stdout)
    assert found == json.loads((shop / "clean" / "leaks" / "leaks.json").read_bytes())
    assert found["leaked"]["test"]["count"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--bits", "9"), "--bits"),
        (("--set", "split.seed=9"), "a split of another table or recipe"),
        (("--set", "split.sead=9"), "sead"),
    ],
)
def test_what_a_stranger_does_wrong_is_said(leaks: Leaks, words: tuple[str, ...], said: str) -> None:
    assert CliRunner().invoke(app, ["split", "recipe.yaml"]).exit_code == 0
    done = leaks(*words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
