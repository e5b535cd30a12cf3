"""The command line as a person meets it: quick, clear, and with the exit codes it promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nameplate.cli.threads import RESTING

COMMANDS = [
    "run",
    "ingest",
    "fetch",
    "caption",
    "clean",
    "split",
    "audit",
    "probe",
    "leaks",
    "train",
    "score",
    "report",
    "sweep",
    "demo",
    "init",
    "presets",
    "predict",
    "compare",
    "rescore",
    "power",
    "recipe",
]


def nameplate(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nameplate", *words], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_help_names_every_command() -> None:
    done = nameplate("--help")
    assert done.returncode == 0
    assert [word for word in COMMANDS if f"  {word} " in done.stdout] == COMMANDS


def test_help_imports_neither_torch_nor_anything_else_that_is_slow() -> None:
    script = (
        "import sys\nfrom nameplate.cli import app\nsys.argv = ['nameplate', '--help']\n"
        "try:\n    app.main()\nexcept SystemExit:\n    pass\n"
        "slow = {'torch', 'transformers', 'pyarrow', 'numpy', 'pydantic', 'altair', 'rich'}\n"
        "print(sorted(slow & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, RESTING),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
    ],
)
def test_idle_threads_spin_for_a_moment_unless_the_user_says_otherwise(
    said: dict[str, str], expected: dict[str, str]
) -> None:
    script = (
        "import json, os, sys\nfrom nameplate.cli import app\nsys.argv = ['nameplate', '--help']\n"
        "try:\n    app.main()\nexcept SystemExit:\n    pass\n"
        "print(json.dumps({name: os.environ[name] for name in sorted(os.environ) if 'OMP_' in name}))\n"
    )
    calm = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=calm | said)
    assert json.loads(done.stdout.splitlines()[-1]) == expected


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (None, "no such recipe"),
        ("table: {source: none.csv, preset: dbq}", "no such table"),
        ("table: {source: feed.csv, preset: dbq, imagee: x}", "did you mean 'image'"),
        ("table: {source: feed.csv, image: nowhere}", "no column 'nowhere'"),
        ("table: {source: feed.csv, image: imageurl}\nname: {registry: none.yaml}", "no such registry"),
        ("table: {source: feed.csv, image: imageurl}\nmodel: {base: ./nowhere}", "no such folder"),
        ("table: {source: bare.csv, image: imageurl}", "a header and no rows"),
    ],
)
def test_bad_input_is_one_paragraph_and_exit_2(tmp_path: Path, recipe: str | None, words: str) -> None:
    (tmp_path / "feed.csv").write_text("brand,imageurl\nNike,http://127.0.0.1:9/1.jpg\n", encoding="utf-8")
    (tmp_path / "bare.csv").write_text("brand,imageurl\n", encoding="utf-8")
    if recipe is not None:
        (tmp_path / "r.yaml").write_text(recipe, encoding="utf-8")
    done = nameplate("run", "r.yaml", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert words in done.stderr.strip().splitlines()[-1]


def test_an_unknown_option_is_exit_2() -> None:
    assert nameplate("run", "--nonsense").returncode == 2


def test_the_schema_of_recipes_is_json_with_explained_fields() -> None:
    schema = json.loads(nameplate("recipe", "schema").stdout)
    assert schema["properties"]["train"]["description"]


def test_one_stage_with_json_prints_one_object(tmp_path: Path) -> None:
    (tmp_path / "feed.csv").write_text("brand,imageurl\nNike,http://127.0.0.1:9/1.jpg\n", encoding="utf-8")
    (tmp_path / "r.yaml").write_text("table: {source: feed.csv, image: imageurl}", encoding="utf-8")
    done = nameplate("ingest", "r.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stages"]["ingest"]["kept"] == 1
    assert (tmp_path / "runs" / "r" / "ingest" / "part-00000.parquet").exists()
