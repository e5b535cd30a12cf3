"""`nameplate audit` as a person meets it: exit codes, one JSON object, and clear words for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.stages.audit_shop import general, recipe_tree, write_shop
from typer.testing import CliRunner, Result

from nameplate.cli.app import app

Audit = Callable[..., Result]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit") / "shop"
    write_shop(folder, general, rows=6, named=False)
    recipe = yaml.safe_dump(recipe_tree(folder, named=False))
    (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
    return folder


@pytest.fixture
def audit(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
    monkeypatch.chdir(shop)
    return lambda *words: CliRunner().invoke(app, ["audit", "recipe.yaml", *words])


def test_a_small_audit_prints_its_tables_and_exits_with_one(audit: Audit, shop: Path) -> None:
    done = audit()
    assert done.exit_code == 1, done.stderr
    for words in ("6 of 6 captions", "claims that it contradicts", "inconclusive", "only 6 rows", "too_few_rows"):
        assert words in " ".join(done.stdout.split()), words
    assert (shop / "runs" / "recipe" / "audit" / "audit.html").exists()


def test_json_is_one_object_with_every_figure_and_no_rows(audit: Audit, shop: Path) -> None:
    done = audit("--json", "--rows", "4")
    assert done.exit_code == 1, done.stderr
    found = json.loads(done.stdout)
    assert (found["verdict"], found["rows"], found["total"]) == ("inconclusive", 4, 6)
    assert found["figures"]["judge"] is None
    assert "pairs" not in found
    saved = json.loads((shop / "runs" / "recipe" / "audit" / "audit.json").read_bytes())
    assert len(saved.pop("pairs")) == 4
    assert saved == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rows", "0"), "--rows"),
        (("--set", "model.base=./nowhere"), "no such folder"),
        (("--set", "table.text=nowhere"), "no column 'nowhere'"),
        (("--judge", "--set", "caption.teacher.base_urls=http://127.0.0.1:9/v1"), "127.0.0.1:9"),
    ],
)
def test_bad_input_is_one_paragraph_and_exit_2(audit: Audit, words: tuple[str, ...], said: str) -> None:
    done = audit("--run-dir", "runs/bad", *words)
    assert done.exit_code == 2, done.stdout
    assert "Traceback" not in done.stderr
    assert said in done.stderr
