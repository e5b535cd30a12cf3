"""`nameplate sweep` as a person meets it: its plan, its tables, its refusals and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.sweep.made_up import made_up
from tests.sweep.tiny_sweep import write_sweep
from typer.testing import CliRunner, Result

from nameplate.cli.app import app
from nameplate.sweep import run
from nameplate.sweep.results import SweepSummary


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write_sweep(tmp_path)


def sweep(*words: object) -> Result:
    return CliRunner().invoke(app, ["sweep", *map(str, words)])


def test_a_plan_lists_members_and_runs_nothing(page: Path) -> None:
    done = sweep(page, "--plan", "--seeds", "0,1", "--folder", page.parent / "swept")
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.output.splitlines() if line.split()[:1] == ["adapters"]]
    assert line.split()[1:] == ["frozen", "full", "LoRA", "2", "0.01", "M"]
    assert "6 trainings (seed 0, 1); compared with eye. Nothing was run." in done.output
    assert not (page.parent / "swept").exists()


def test_a_plan_as_json_has_every_part(page: Path) -> None:
    found = json.loads(sweep(page, "--plan", "--json").output)
    assert [each["member"] for each in found["members"]] == ["eye", "projector", "adapters"]
    assert found["reference"] == "eye"
    assert found["members"][1]["changes"] == {"train": {"vision": "frozen"}}
    assert [part["trainable"] > 0 for part in found["members"][1]["parts"]] == [False, True, False]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give a SWEEP, or --demo without one"),
        (("PAGE", "--demo"), "give a SWEEP, or --demo without one"),
        (("PAGE", "--seeds", "0;1"), "whole numbers"),
        (("PAGE", "--jobs", "0"), "--jobs"),
        (("nowhere.yaml", "--plan"), "no such sweep"),
        (("PAGE", "--plan", "--set", "train.visoin=full"), "did you mean 'vision'"),
        (("PAGE", "--plan", "--set", "train.vision.mode=last"), "3 of 3 members cannot be run"),
    ],
)
def test_what_cannot_be_is_exit_2_and_one_paragraph(page: Path, words: tuple[str, ...], message: str) -> None:
    done = sweep(*(page if word == "PAGE" else word for word in words))
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output


def test_tables_say_everything_and_a_failed_training_is_exit_1(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def pretend(*args: object, **options: Any) -> SweepSummary:
        told.update(options)
        return made_up()

    monkeypatch.setattr(run, "run_sweep", pretend)
    done = sweep(page, "--folder", page.parent / "s", "--jobs", "2", "--set", "train.epochs=2")
    assert done.exit_code == 1
    assert told["jobs"] == 2
    assert told["command"] == f"nameplate sweep {page} --folder {page.parent / 's'} --jobs 2 --set train.epochs=2"
    found = made_up()
    for row in found.rows:
        assert row.member in done.output
    assert "everything, seed 0, failed (error): the loss is nan on rows r1" in done.output
    assert found.choice in done.output
    assert "tie" in done.output
    tables = [line for line in done.output.splitlines() if line.startswith(" ")]
    assert max(map(len, tables)) <= 80
    again = json.loads(sweep(page, "--folder", page.parent / "s", "--json").output)
    assert SweepSummary.model_validate(again) == found
