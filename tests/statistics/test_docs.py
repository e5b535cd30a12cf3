"""The examples of docs/statistics.md are what the code says."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nameplate.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_experiments_numbers_give_its_conclusions() -> None:
    examples = "\n".join(blocks("python"))
    found = doctest.DocTestParser().get_doctest(examples, {}, "docs/statistics.md", "docs/statistics.md", 0)
    assert len(found.examples) >= 14
    said: list[str] = []
    results = doctest.DocTestRunner().run(found, out=said.append)
    assert results.failed == 0, "".join(said)


@pytest.mark.parametrize("block", blocks("console"))
def test_the_commands_print_what_the_page_shows(block: str) -> None:
    command, _, output = block.partition("\n")
    words = shlex.split(command.removeprefix("$ nameplate "))
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == output.splitlines()
