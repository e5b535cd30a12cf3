"""The teacher: how often its first answer could not be used, what became of those rows, and what was mended."""

from __future__ import annotations

from dataclasses import dataclass

from nameplate.report.reading import count_values, kept_paths, rejected_paths
from nameplate.store.rundir import RunDirectory


@dataclass(frozen=True)
class Problem:
    """One thing that was wrong with first answers."""

    code: str
    count: int
    share: float
    """Of all rows that the teacher was asked about."""
    kept: int
    """Rows that ended with a clean caption all the same."""


@dataclass(frozen=True)
class Mended:
    """One kind of repair."""

    code: str
    count: int
    share: float
    """Of all clean captions."""


@dataclass(frozen=True)
class Teacher:
    """The teacher's record in this run."""

    model: str
    asked: int
    questions: int
    """Questions over all rows, second and later tries included."""
    abnormal: int
    problems: tuple[Problem, ...]
    repairs: tuple[Mended, ...]
    clean: int

    @property
    def abnormal_share(self) -> float:
        """Share of first answers with something wrong."""
        return self.abnormal / max(self.asked, 1)


def build_teacher(run: RunDirectory) -> Teacher:
    """Count from the caption and clean shards."""
    captioned = kept_paths(run, "caption") + rejected_paths(run, "caption")
    first = count_values(captioned, "first_problem")
    asked = sum(first.values())
    saved = count_values(kept_paths(run, "clean"), "first_problem")
    models = count_values(captioned, "teacher_model")
    attempts = count_values(captioned, "teacher_attempts")
    clean = sum(saved.values())
    problems = {code: number for code, number in first.items() if code}
    repairs = count_values(kept_paths(run, "clean"), "repairs")
    return Teacher(
        model=", ".join(sorted(str(model) for model in models if model)),
        asked=asked,
        questions=sum(tries * number for tries, number in attempts.items() if tries),
        abnormal=sum(problems.values()),
        problems=tuple(
            Problem(str(code), number, number / asked, saved[code])
            for code, number in sorted(problems.items(), key=lambda pair: (-pair[1], pair[0]))
        ),
        repairs=tuple(
            Mended(str(code), number, number / max(clean, 1))
            for code, number in sorted(repairs.items(), key=lambda pair: (-pair[1], str(pair[0])))
            if code
        ),
        clean=clean,
    )
