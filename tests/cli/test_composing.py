"""`nameplate compose`: what it says when it worked, and when it did not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.models.tiny_parts import write_language, write_vision
from typer.testing import CliRunner

from nameplate.cli.app import app


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("parts")
    vision, language = write_vision(folder / "vision", "bare original"), write_language(folder / "language")
    return ["--vision", str(vision), "--language", str(language)]


def test_it_says_what_was_put_together_and_what_to_do_next(tmp_path: Path, parts: list[str]) -> None:
    done = CliRunner().invoke(app, ["compose", *parts, str(tmp_path / "model")])
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.split())
    assert "image tokens: 9 added" in words and "9 more rows" in words and "one matrix" in words
    assert "times the size of the embeddings as drawn" in words and "align the projector first" in words


def test_json_is_the_note_in_the_folder(tmp_path: Path, parts: list[str]) -> None:
    done = CliRunner().invoke(app, ["compose", *parts, str(tmp_path / "model"), "--layout", "original", "--json"])
    assert json.loads(done.stdout) == json.loads((tmp_path / "model" / "composed.json").read_text())
    assert (tmp_path / "model" / "config.json").read_text().count("internvl_chat") == 1


def test_failure_is_one_paragraph(tmp_path: Path, parts: list[str]) -> None:
    done = CliRunner().invoke(app, ["compose", *parts[:3], str(tmp_path), str(tmp_path / "model")])
    assert done.exit_code == 2
    assert done.stderr.startswith("nameplate: --language") and "no config.json" in done.stderr
    assert "Traceback" not in done.stderr
