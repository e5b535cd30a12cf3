"""`nameplate predict` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from tests.predict.shelf import picture
from typer.testing import CliRunner

from nameplate.cli.app import app


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a.jpg").write_bytes(picture(0))
    (tmp_path / "empty").mkdir()
    (tmp_path / "theirs.csv").write_text("path,answer\n")
    (tmp_path / "links.csv").write_text("brand,imageurl\nAcme,http://127.0.0.1/1.jpg\nZeta,http://127.0.0.1/2.jpg\n")
    (tmp_path / "two.csv").write_text("front,back\na.jpg,a.jpg\n")
    (tmp_path / "words.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("starter nowhere.jpg", "nowhere.jpg: no such file or folder; check the path"),
        ("starter nowhere.csv", "nowhere.csv: no such table; check the path"),
        ("starter empty", "empty: no image in it; expected files that end in .avif"),
        ("starter a.jpg --prompt nmae", "prompt 'nmae': no question; expected short, detail, name, or one in words"),
        ("starter a.jpg --out x.txt", "x.txt: ending '.txt'; expected one of .csv, .jsonl, .parquet"),
        ("starter a.jpg --out theirs.csv", "theirs.csv: there is something already; give --out another name"),
        ("starter links.csv", "(imageurl holds links, and only files are read here); say which with --column"),
        ("starter two.csv", "several columns of images: front, back; say which with --column (there are front, back)"),
        ("starter two.csv --column side", "two.csv: no column 'side'; expected one of front, back"),
        ("starter a.jpg --registry nowhere.yaml", "nowhere.yaml: no such registry; give a run, or a file"),
        ("starter a.jpg --registry words.json", "words.json: not a registry; expected a run, its registry.json"),
        ("./nowhere a.jpg", "checkpoint ./nowhere: no such folder; expected a run directory, RUN:CHECKPOINT"),
        ("empty a.jpg", "checkpoint empty: empty has no config.json; expected a run directory"),
        ("starter a.jpg --set model.max_tile=2", "model.max_tile: unknown key"),
        ("starter a.jpg --set score.max_new_tokens=0", "score.max_new_tokens: 0 is not accepted"),
    ],
)
def test_bad_arguments_are_one_paragraph_and_exit_2(here: Path, words: str, said: str) -> None:
    before = sorted(here.iterdir())
    done = CliRunner().invoke(app, ["predict", *words.split()])
    assert done.exit_code == 2, done.output
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
    assert done.stdout == "" and sorted(here.iterdir()) == before


def test_an_option_that_is_no_number_of_images_is_refused(here: Path) -> None:
    assert CliRunner().invoke(app, ["predict", "starter", "a.jpg", "--batch", "0"]).exit_code == 2


def test_answers_are_printed_and_the_rest_is_said_beside(here: Path) -> None:
    (here / "names.yaml").write_text("Acme: {}\n")
    done = CliRunner().invoke(app, ["predict", "starter", "a.jpg", "theirs.txt", "--registry", "names.yaml"])
    assert done.exit_code == 2  # what is named must be there
    (here / "theirs.txt").write_text("no image")
    done = CliRunner().invoke(app, ["predict", "starter", "a.jpg", "theirs.txt", "--registry", "names.yaml"])
    assert done.exit_code == 0, done.output
    answered, failed = done.stdout.splitlines()
    assert answered.startswith("a.jpg: ") and "[absent, confidence 0." in answered
    assert failed == "theirs.txt: [not_an_image: bytes of no known image format]"
    assert "starter: 1 of 2 images answered; " in done.stderr
    assert "without an answer: not_an_image 1" in done.stderr
    assert "names (1 are known): absent 1" in done.stderr


def test_json_is_one_object_with_the_rows_or_the_file(here: Path) -> None:
    words = ["predict", "starter", "a.jpg", "--prompt", "What is shown here?", "--json"]
    done = CliRunner().invoke(app, [*words, "--set", "score.max_new_tokens=2"])
    found = json.loads(done.stdout)
    assert (found["prompt"], found["images"], found["cut_off"]) == ("What is shown here?", 1, 1)
    (row,) = found["rows"]
    assert (row["path"], row["finish"]) == ("a.jpg", "length")
    written = json.loads(CliRunner().invoke(app, [*words, "--out", "o.jsonl"]).stdout)
    assert "rows" not in written and written["out"] == "o.jsonl"
    (line,) = (here / "o.jsonl").read_text().splitlines()
    assert json.loads(line).keys() == row.keys()
    # The same call again writes its own file once more.
    assert json.loads(CliRunner().invoke(app, [*words, "--out", "o.jsonl"]).stdout)["computed"] == 0


def test_no_answer_at_all_is_exit_1(here: Path) -> None:
    Image.new("RGB", (99, 99)).save(here / "black.png")
    done = CliRunner().invoke(app, ["predict", "starter", "black.png"])
    assert done.exit_code == 1
    assert done.stdout == "black.png: [blank: 99 x 99 pixels of one colour]\n"
