"""Teachers that play a script, for as long as a test lasts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .scripted import Play, Script, Teacher


@pytest.fixture
def play() -> Iterator[Play]:
    teachers: list[Teacher] = []

    def start(*steps: Any, owner: str = "someone", models: tuple[str, ...] | None = ("m",)) -> Script:
        teachers.append(Teacher(Script(list(steps), owner, models)))
        return teachers[-1].script

    yield start
    for teacher in teachers:
        teacher.end()
