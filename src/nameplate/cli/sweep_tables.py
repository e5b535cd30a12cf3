"""A sweep as tables for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nameplate.report.formats import memory
from nameplate.sweep.words import policy_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nameplate.summary import ComponentRow, Proportion
    from nameplate.sweep.members import SweepPlan
    from nameplate.sweep.results import MemberRow, SweepSummary, TrialResult

_PARTS = ("vision", "projector", "language")


def print_plan(plan: SweepPlan, parts: Mapping[str, list[ComponentRow]]) -> None:
    """The members, what each has learn, and how many trainings that makes."""
    table = _table("member", *_PARTS, "learn")
    for name, rows in parts.items():
        policies = plan.of(name)[0].recipe.train.policies()
        words = (policy_words(policies[row.component]) for row in rows)
        _add(table, name, *words, _millions(sum(row.trainable for row in rows)))
    console = Console()
    console.print(Text(plan.sweep.title), soft_wrap=True)
    console.print(table)
    seeds = ", ".join(map(str, dict.fromkeys(trial.seed for trial in plan.trials)))
    console.print(
        Text(f"{len(plan.trials)} trainings (seed {seeds}); compared with {plan.reference}. Nothing was run.")
    )


def tree_of(plan: SweepPlan, parts: Mapping[str, list[ComponentRow]]) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "title": plan.sweep.title,
        "reference": plan.reference,
        "members": [
            {
                "member": name,
                "changes": plan.changes[name],
                "seeds": [trial.seed for trial in plan.of(name)],
                "parts": [row.model_dump(mode="json") for row in rows],
            }
            for name, rows in parts.items()
        ],
    }


def print_sweep(found: SweepSummary) -> None:
    """Results, then costs, each narrow enough for a terminal; the choice and what must be known stand last."""
    console = Console()
    sizes = next((row.done[0] for row in found.rows if row.done), None)
    number = f", {sizes.test.n:,} test images" if sizes is not None and sizes.test is not None else ""
    console.print(
        Text(f"{found.title}: right names{number}, 95 % intervals; against {found.reference}"), soft_wrap=True
    )
    console.print(_results(found))
    console.print(_costs(found))
    for line in _failures(found):
        console.print(Text(line, style="bold"), soft_wrap=True)
    console.print(Text(f"* {found.choice}" if found.chosen else found.choice, style="bold"), soft_wrap=True)
    chosen = next((row for row in found.rows if row.member == found.chosen), None)
    if chosen is not None and chosen.comparison is not None:
        console.print(Text(chosen.comparison.sentence), soft_wrap=True)
    for note in found.notes:
        console.print(Text(note), soft_wrap=True)


def _results(found: SweepSummary) -> Table:
    table = _table("member", "valid.", "test", "difference", "", "p, Holm")
    if found.base is not None:
        _add(table, "untrained", "", _share(found.base))
    for row in found.rows:
        if row.test is None or row.validation is None:
            _add(table, row.member, "", ", ".join(dict.fromkeys(trial.standing.value for trial in row.trials)))
            continue
        name = ("*" if row.member == found.chosen else "") + row.member
        _add(table, name, f"{row.validation.value:.1%}", _share(row.test), *_compared(row))
    return table


def _costs(found: SweepSummary) -> Table:
    table = _table("member", "/".join(_PARTS), "learn", "train", "peak", "cached")
    for row in found.rows:
        words = "/".join(row.policies[part] for part in row.policies)
        _add(table, row.member, words, _millions(row.trainable), *(_cost(row.done) if row.done else ()))
    return table


def _cost(done: Sequence[TrialResult]) -> Iterator[str]:
    yield f"{sum(trial.train_seconds for trial in done) / len(done):,.0f} s"
    yield memory(max(trial.peak_memory_bytes for trial in done))
    cached = [trial.cached_bytes for trial in done if trial.cached_bytes is not None]
    yield memory(max(cached)) if cached else "-"


def _compared(row: MemberRow) -> tuple[str, ...]:
    comparison = row.comparison
    if comparison is None:
        return (row.remark,)
    points = [f"{100 * share:+.1f}" for share in (comparison.difference, comparison.low, comparison.high)]
    p_value = "<0.001" if comparison.adjusted < 0.001 else f"{comparison.adjusted:.3f}"
    return f"{points[0]} ({points[1]}, {points[2]})", comparison.outcome, p_value


def _failures(found: SweepSummary) -> Iterator[str]:
    for row in found.rows:
        for trial in row.trials:
            if trial.failure is not None:
                yield f"{row.member}, seed {trial.seed}, failed ({trial.failure.kind}): {trial.failure.text}"


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    numbers = ("valid.", "learn", "train", "peak", "cached")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in numbers else "left")
    return table


def _add(table: Table, *cells: str) -> None:
    table.add_row(*(Text(cell) for cell in cells))


def _share(share: Proportion) -> str:
    return f"{share.value:.1%} ({100 * share.low:.1f}-{100 * share.high:.1f})"


def _millions(count: int) -> str:
    return f"{count / 1e6:,.2f} M"
