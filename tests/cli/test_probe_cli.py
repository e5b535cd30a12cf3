"""`nameplate probe` as a person meets it: tables, one JSON object, and clear words for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.models.tiny_model import write_tiny_model
from tests.stages.audit_shop import recipe_tree, truthful, write_shop
from typer.testing import CliRunner, Result

from nameplate.cli.app import app

Probe = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probe") / "shop"
    write_shop(folder, truthful, rows=36, named=True)
    base = write_tiny_model(folder / "base")
    tree = recipe_tree(folder, named=True) | {
        "model": {"base": str(base)},
        "split": {"min_per_name": 3, "validation": 8, "test": 4, "near_bits": None},
        "score": {"max_new_tokens": 4},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    return folder


@pytest.fixture
def probe(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Probe:
    monkeypatch.chdir(shop)
    return lambda *words: CliRunner().invoke(app, ["probe", "recipe.yaml", *words])


def test_without_a_split_it_says_which_command_makes_one(probe: Probe) -> None:
    done = probe("--run-dir", "nothing-yet")
    assert done.exit_code == 2
    assert "no split; run nameplate split with the same recipe and options first" in done.stderr


def test_it_prints_its_tables_and_the_same_as_json(probe: Probe, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert CliRunner().invoke(app, ["split", "recipe.yaml"]).exit_code == 0
    done = probe()
    assert done.exit_code == 0, done.stderr
    printed = " ".join(done.stdout.split())
    for words in (
        "8 validation rows, 6 names",
        "vision tower, mean of patches",
        "last token of the question",
        "always the commonest name",
        "test was not touched",
        "cannot_tell: the eye separates",
        "only 8 rows were read",
    ):
        assert words in printed, words
    assert str(Path("runs") / "recipe" / "probe" / "probe.json") in done.stdout
    again = probe("--json")
    assert again.exit_code == 0, again.stderr
    found = json.loads(again.stdout)
    assert found == json.loads((shop / "runs" / "recipe" / "probe" / "probe.json").read_bytes())
    assert (found["advice"], found["read"], found["counts"]["tried"]) == ("cannot_tell", "validation", 8)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rows", "0"), "--rows"),
        (("--set", "model.base=./nowhere"), "no such folder"),
        (("--set", "split.seed=9"), "a split of another table or recipe"),
    ],
)
def test_what_a_stranger_does_wrong_is_said(probe: Probe, shop: Path, words: tuple[str, ...], said: str) -> None:
    assert CliRunner().invoke(app, ["split", "recipe.yaml"]).exit_code == 0
    done = probe(*words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
