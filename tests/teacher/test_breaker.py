"""When answers that go bad together stop a run, and when they do not."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from nameplate.errors import TeacherError
from nameplate.teacher.breaker import Breaker, grave_cause

from .scripted import Play, ask, client, entries, question, reply

LOOP = "very very very very"


def opened_after(breaker: Breaker, causes: list[str]) -> int | None:
    for number, cause in enumerate(causes, 1):
        breaker.add(cause, LOOP)
        if breaker.is_open():
            return number
    return None


@pytest.mark.parametrize(
    ("causes", "opened"),
    [
        (["loop"] * 5, None),
        (["loop"] * 50, 6),
        (["", *["loop"] * 50], 11),
        (["loop", ""] * 40, None),
        (["loop", "", "loop"] * 40, 50),
        ([""] * 50 + ["loop"] * 50, 80),
        ([""] * 500, None),
    ],
)
def test_breaker_opens_at_the_first_moment_that_is_beyond_chance(causes: list[str], opened: int | None) -> None:
    assert opened_after(Breaker(0.6), causes) == opened


def test_breaker_that_is_off_stays_shut() -> None:
    assert opened_after(Breaker(None), ["loop"] * 200) is None


def test_a_teacher_as_bad_as_the_experiment_s_is_let_go_on() -> None:
    """A quarter of its captions were bad; the ladder and the rules are there for that."""
    rng = random.Random(0)
    for _ in range(30):
        causes = ["loop" if rng.random() < 0.25 else "" for _ in range(1000)]
        assert opened_after(Breaker(0.6), causes) is None


@pytest.mark.parametrize(
    ("problems", "cause"),
    [
        ([], ""),
        (["name_absent"], ""),
        (["cut_off"], ""),
        (["tail_loop", "name_absent"], "loop"),
        (["garbled"], "garbled"),
        (["empty"], "refusal"),
    ],
)
def test_only_grave_causes_count(problems: list[str], cause: str) -> None:
    assert grave_cause(problems) == cause


def by_length(text: str, finish_reason: str) -> list[str]:
    return ["tail_loop"] if LOOP in text else []


def test_a_run_stops_when_answers_go_bad_together_and_shows_them(play: Play, tmp_path: Path) -> None:
    script = play(*[reply("A good cap by Puma.")] * 3, reply(f"A cap {LOOP}\n<b>"))
    teacher = client(script.url, tmp_path, concurrency=1, max_attempts=2)
    with pytest.raises(TeacherError) as caught:
        ask(teacher, *(question(sha256=f"{number}") for number in range(200)), judge=by_length)
    said = str(caught.value)
    assert "first answers are bad, most often for 'loop'" in said and said.count(f"A cap {LOOP} <b>") == 3
    assert "stop_bad_share: null" in caught.value.fix and "\n" not in said
    assert len(script.bodies) < 60 and len(entries(tmp_path)) == len(script.bodies)


@pytest.mark.parametrize(("rows", "more"), [(4, {}), (40, {"stop_bad_share": None})])
def test_a_tiny_run_and_one_without_a_breaker_go_on_to_their_end(
    play: Play, tmp_path: Path, rows: int, more: dict[str, Any]
) -> None:
    script = play(reply(LOOP))
    teacher = client(script.url, tmp_path, max_attempts=2, **more)
    answers = ask(teacher, *(question(sha256=f"{number}") for number in range(rows)), judge=by_length)
    assert len(answers) == rows and all(found.first_problem == "tail_loop" for found in answers)
