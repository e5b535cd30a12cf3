"""The README's commands work as they stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import yaml
from tests.conftest import QuickDemo

from nameplate.recipe import build_recipe

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    assert len(README.splitlines()) < 150
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_two_commands_are_all_the_set_up() -> None:
    assert blocks("")[0] == "make demo\nmake test\n"
    for target in ("demo", "test"):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_the_recipe_in_the_readme_is_accepted() -> None:
    (recipe,) = blocks("yaml")
    assert build_recipe(yaml.safe_load(recipe), where="README.md").train.language.rank == 64


def test_every_command_in_the_readme_runs(quick_demo: QuickDemo, tmp_path: Path) -> None:
    """The commands run on the quick demo's finished run, so that none of them costs a training."""
    (console,) = blocks("console")
    commands = [shlex.split(line.removeprefix("$ ")) for line in console.splitlines()]
    assert len(commands) >= 6
    # `init` writes a recipe of its own; all other commands get the one that the quick demo ran with.
    done = quick_demo.folder / "runs" / "language-lora"
    feed = (quick_demo.folder / "shop" / "feed.csv").read_bytes()
    (tmp_path / "products.csv").write_bytes(feed)
    subprocess.run(["cp", "-r", str(done), str(tmp_path / "finished")], check=True)
    (tmp_path / "runs").mkdir()
    (tmp_path / "finished").rename(tmp_path / "runs" / "recipe")
    for words in commands:
        assert words[0] == "nameplate"
        if "recipe.yaml" in words:
            (tmp_path / "recipe.yaml").write_text((done / "recipe.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        result = subprocess.run(
            [sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, (words, result.stderr)
