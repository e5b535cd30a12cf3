"""`nameplate power` as a person meets it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from nameplate.cli.app import app
from nameplate.statistics import paired_detectable, paired_sample_size


def power(*words: str) -> dict[str, object]:
    done = CliRunner().invoke(app, ["power", *words, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_what_images_can_show_is_what_the_statistics_say() -> None:
    found = power("--images", "400", "--changed", "0.2", "--power", "0.9")
    assert found["shown"][0]["paired"] == [  # type: ignore[index]
        {"changed": 0.2, "difference": paired_detectable(400, changed=0.2, power=0.9)}
    ]
    assert [row["images"] for row in power()["shown"]] == [200, 400, 600, 1000, 2000]  # type: ignore[index,attr-defined]


def test_how_many_images_an_effect_takes() -> None:
    found = power("--effect", "3")
    assert [each["images"] for each in found["paired"]] == [  # type: ignore[attr-defined]
        paired_sample_size(0.03, changed=changed) for changed in (0.10, 0.15, 0.20, 0.30)
    ]
    assert power("--effect", "15")["paired"][0] == {"changed": 0.1, "images": None}  # type: ignore[index]
    text = CliRunner().invoke(app, ["power", "--effect", "15"]).stdout
    assert "if 10% of the images are right in one model only: cannot be: the difference is larger" in text


def test_too_few_images_show_nothing_and_that_is_said() -> None:
    done = CliRunner().invoke(app, ["power", "--images", "3"])
    assert done.exit_code == 0 and done.stdout.splitlines()[-1].split()[-5:] == ["none"] * 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--images 100 --effect 3", "give one of them"),
        ("--effect 60", "from 50% there is no gain of 60 points: lower --accuracy"),
        ("--images 0", "Invalid value for '--images'"),
        ("--accuracy 2", "Invalid value for '--accuracy'"),
    ],
)
def test_what_makes_no_sense_is_refused(words: str, said: str) -> None:
    done = CliRunner().invoke(app, ["power", *words.split()])
    assert done.exit_code == 2 and said in done.output
