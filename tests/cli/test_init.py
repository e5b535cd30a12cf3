"""`init` and `presets` as a person meets them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nameplate.cli.app import app
from nameplate.stages.ingest import PRESETS
from nameplate.stages.ingest.presets import Preset

DOCS = Path(__file__).parents[2] / "docs" / "tables.md"


def feed(folder: Path, *, brands: tuple[str, ...] = ("Acme", "Zephyr")) -> Path:
    path = folder / "feed.csv"
    rows = (f"{brands[n % len(brands)]},Nice shoe number {n},https://cdn.example/{n}.jpg" for n in range(60))
    path.write_text("brand,title,imageurl\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def nameplate(*words: str, width: int = 80) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": str(width)})
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("width", [80, 120])
def test_what_was_seen_fits_the_terminal(width: int, tmp_path: Path) -> None:
    code, out, _ = nameplate("init", str(feed(tmp_path)), "--out", str(tmp_path / "r.yaml"), width=width)
    assert code == 0
    lines = out.splitlines()
    assert all(len(line) <= width for line in lines if "r.yaml" not in line and "feed.csv" not in line)
    (brand,) = [line for line in lines if line.split()[:2] == ["brand", "name"]]
    assert "Acme | Zephyr" in brand
    assert f"next: nameplate fetch {tmp_path / 'r.yaml'}" in out


def test_with_json_one_object_says_all(tmp_path: Path) -> None:
    code, out, _ = nameplate("init", str(feed(tmp_path)), "--out", str(tmp_path / "r.yaml"), "--json")
    seen = json.loads(out)
    assert code == 0
    assert seen["mapping"]["name"]["column"] == "brand"
    assert {column["column"]: column["looks_like"] for column in seen["columns"]} == {
        "brand": "name",
        "title": "title",
        "imageurl": "image link",
    }
    assert seen["rows"] == 60


def test_a_recipe_that_is_there_stays(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("mine", encoding="utf-8")
    code, _, err = nameplate("init", str(feed(tmp_path)), "--out", str(recipe))
    assert code == 2
    assert "there is a recipe already; give --out another name, or --force" in err
    assert recipe.read_text(encoding="utf-8") == "mine"
    assert nameplate("init", str(feed(tmp_path)), "--out", str(recipe), "--force")[0] == 0
    assert recipe.read_text(encoding="utf-8") != "mine"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["none.csv"], "no such table"),
        (["feed.csv", "--preset", "dbk"], "did you mean dbq"),
        (["feed.csv", "--preset", "pokemon-cards"], "no column 'id'"),
        (["plain.csv"], "no column with images"),
        (["bare.csv"], "no row that can be read"),
    ],
)
def test_what_cannot_be_proposed_is_one_paragraph_and_no_file(
    words: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    feed(tmp_path)
    (tmp_path / "plain.csv").write_text("brand,title\nAcme,Shoe\n", encoding="utf-8")
    (tmp_path / "bare.csv").write_text("brand,imageurl\n", encoding="utf-8")
    code, _, err = nameplate("init", *words)
    assert code == 2
    assert expected in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "recipe.yaml").exists()


def test_control_codes_of_a_table_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = feed(tmp_path, brands=("\x1b[31mAcme[bold]", "Zephyr"))
    code, out, _ = nameplate("init", str(path), "--out", str(tmp_path / "r.yaml"))
    assert code == 0
    assert "\x1b[31m" not in out
    assert "Acme[bold]" in out


@pytest.mark.parametrize("width", [80, 120])
def test_presets_are_listed_with_what_their_licences_ask(width: int) -> None:
    code, out, _ = nameplate("presets", width=width)
    assert code == 0
    assert all(len(line) <= width for line in out.splitlines())
    assert [line.split()[0] for line in out.splitlines() if line.strip() and line.split()[0] in PRESETS] == list(
        PRESETS
    )
    assert "non-commercial use only (pokemon-cards, amazon-vlm)" in out
    listed = json.loads(nameplate("presets", "--json")[1])["presets"]
    assert [preset["name"] for preset in listed] == list(PRESETS)
    assert all(bool(preset["warning"]) == bool(preset["concerns"]) for preset in listed)


def test_the_commands_load_nothing_slow() -> None:
    script = (
        "import sys\nfrom nameplate.cli import app\nsys.argv = ['nameplate', 'presets', '--json']\n"
        "try:\n    app.main()\nexcept SystemExit:\n    pass\nprint('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_the_docs_have_every_preset_as_it_is() -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    for preset in PRESETS.values():
        assert documented(preset) in lines, documented(preset)


def documented(preset: Preset) -> str:
    sure = ", ".join(f"{meaning} `{column}`" for meaning, column in preset.columns.items())
    inferred = ", ".join(f"{meaning} `{column}`" for meaning, column in preset.inferred.items())
    product = f"product: first {preset.code_prefix} of the code" if preset.code_prefix else ""
    text = "text: " + ", ".join(f"`{rule.value}`" for rule in preset.text_rules) if preset.text_rules else ""
    licence = preset.licence + (f": {preset.warning}" if preset.warning else "")
    rules = "; ".join(filter(None, (product, text)))
    cells = (
        f"`{preset.name}`", preset.dataset or "any DBQ table", preset.size, preset.image.value,
        sure or "-", inferred or "-", licence, rules or "-",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"
