"""`nameplate fetch`: the check before it, the tables after it, and asking again."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from nameplate.cli.app import app


def _load_shop() -> ModuleType:
    path = Path(__file__).parents[1] / "stages" / "fetch_shop.py"
    spec = importlib.util.spec_from_file_location("fetch_shop_for_cli", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def shop() -> Iterator[Any]:
    with _load_shop().Shop() as server:
        yield server


class Desk:
    """A folder with a table and a recipe, and the command over them."""

    def __init__(self, root: Path, links: list[str]) -> None:
        self.root = root
        rows = [f"Nike,{link},P{place}" for place, link in enumerate(links)]
        (root / "feed.csv").write_text("\n".join(["brand,imageurl,productcode", *rows]) + "\n", encoding="utf-8")
        self.recipe = root / "r.yaml"
        self.recipe.write_text(
            f"table: {{source: {root / 'feed.csv'}, image: imageurl, code: productcode}}\n"
            "fetch: {allow_networks: [127.0.0.0/8], max_attempts: 1}\n",
            encoding="utf-8",
        )

    def fetch(self, *words: str) -> tuple[int, str]:
        done = CliRunner().invoke(
            app, ["fetch", str(self.recipe), "--run-dir", str(self.root / "run"), *words], env={"COLUMNS": "160"}
        )
        return done.exit_code, done.stdout

    def fetch_json(self, *words: str) -> dict[str, Any]:
        code, text = self.fetch(*words, "--json")
        assert code == 0, text
        value: dict[str, Any] = json.loads(text)
        return value

    def manifest(self) -> dict[str, Any]:
        stages: dict[str, Any] = json.loads((self.root / "run" / "manifest.json").read_text(encoding="utf-8"))["stages"]
        return stages


def test_a_dead_table_is_exit_1_and_says_so_last(shop: Any, tmp_path: Path) -> None:
    desk = Desk(tmp_path, [f"{shop.url}/status/404?row={row}" for row in range(50)])
    code, text = desk.fetch("--sample", "30")
    assert code == 1
    assert text.strip().splitlines()[-1] == "0 of 30 links are live: do not use this table"
    assert "the image is gone" in text
    assert set(desk.manifest()) == {"ingest"}, "a check is no fetch"


def test_a_good_table_is_exit_0_and_one_json_object(shop: Any, tmp_path: Path) -> None:
    desk = Desk(tmp_path, [f"{shop.url}/good/{row * 5}" for row in range(40)])
    found = desk.fetch_json("--sample", "500")
    assert (found["verdict"], found["rows"], found["table_rows"]) == ("good", 40, 40)
    asked = shop.asked.total()
    assert desk.fetch_json()["stages"]["fetch"]["kept"] == 40
    assert shop.asked.total() == asked, "what the check had settled is not asked again"


def test_after_a_fetch_failures_are_explained(shop: Any, tmp_path: Path) -> None:
    links = [f"{shop.url}/good/1", f"{shop.url}/status/429", f"{shop.url}/noai", f"{shop.url}/status/404"]
    code, text = Desk(tmp_path, links).fetch()
    words = " ".join(text.replace("\u2502", " ").split())
    assert code == 0
    assert "the host wants fewer requests" in words and "raise nothing" in words
    assert "127.0.0.1 refuses us (opted_out 1)" in words and "fetch.permitted_hosts" in words


def test_asking_again_says_what_came_back_and_drops_only_what_follows(shop: Any, tmp_path: Path) -> None:
    desk = Desk(tmp_path, [f"{shop.url}/good/{row * 9}" for row in range(6)] + [f"{shop.url}/flaky/250"])
    assert desk.fetch_json("--again")["again"] is None, "a fetch that was not done is done"
    first = desk.manifest()["fetch"]
    assert first["rejected"] == {"http_5xx": 1}
    checkpoint = tmp_path / "run" / "checkpoints" / "epoch-01"
    checkpoint.mkdir(parents=True)
    (tmp_path / "run" / "manifest.json").write_text(
        json.dumps({"version": 1, "stages": {**desk.manifest(), "caption": first, "train": first}}), encoding="utf-8"
    )
    nothing = desk.fetch_json("--again")
    assert nothing["again"] == {"failed_rows": 1, "links": 1, "came_back": 0}
    assert set(desk.manifest()) == {"ingest", "fetch", "caption", "train"} and checkpoint.exists()
    back = desk.fetch_json("--again")
    assert back["again"] == {"failed_rows": 1, "links": 1, "came_back": 1}
    stages = desk.manifest()
    assert set(stages) == {"ingest", "fetch"} and stages["fetch"]["status"] == "done"
    assert (stages["fetch"]["kept"], stages["fetch"]["rejected"]) == (7, {})
    assert (tmp_path / "run" / "superseded" / "001-checkpoints" / "epoch-01").exists(), "set aside, not deleted"
    asked = shop.asked.total()
    assert desk.fetch_json("--again")["again"] == {"failed_rows": 0, "links": 0, "came_back": 0}
    assert shop.asked.total() == asked


def test_a_table_that_had_a_bad_day_is_fetched_by_the_same_command(shop: Any, tmp_path: Path) -> None:
    desk = Desk(tmp_path, [f"{shop.url}/good/{row * 9}" for row in range(4)])
    shop.down = True
    assert desk.fetch()[0] == 2
    shop.down = False
    assert desk.fetch_json()["stages"]["fetch"]["kept"] == 4


def test_a_sample_and_again_do_not_go_together(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ["http://127.0.0.1:9/1.jpg"])
    assert desk.fetch("--sample", "3", "--again")[0] == 2
    assert desk.fetch("--sample", "0")[0] == 2
