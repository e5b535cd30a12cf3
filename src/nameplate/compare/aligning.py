"""Bringing the answers of several models to the same rows, and refusing what cannot be compared, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from nameplate.compare.subjects import Compared
from nameplate.errors import InputError
from nameplate.names import Registry
from nameplate.records import SplitName
from nameplate.stages.score.rejudging import Judge, check_inside, read_registry
from nameplate.stages.score.results import SCORED

Row = dict[str, Any]
Key = tuple[str, str]
"""Row id and image hash: a row id alone may be another product in another table."""

SHOWN: Final = 3


@dataclass(frozen=True)
class Aligned:
    """Answers of all models to the same rows."""

    split: SplitName
    prompt: str
    keys: list[Key]
    rows: list[list[Row]]
    """Of each model its rows, in the order of `keys`."""
    rows_of: dict[str, int]
    """How many rows each model answered, by label."""
    unscored: int = 0
    """Shared rows that are left out, since one of the models gave no answer there."""
    registry: Registry | None = None
    """By which all answers were judged anew; none: as the runs judged them."""

    def right(self, model: int) -> list[bool]:
        """Whether one model was right, by row."""
        return [bool(row["right"]) for row in self.rows[model]]

    @property
    def names(self) -> list[str]:
        """The true name of each row."""
        return [str(row["name"]) for row in self.rows[0]]


def bring_together(
    models: Sequence[Compared],
    *,
    split: SplitName = "test",
    prompt: str | None = None,
    shared_rows: bool = False,
    judge_again: bool = False,
    registry: Path | None = None,
) -> Aligned:
    """All models' answers to one question, on the rows that all of them have, judged alike.

    Args:
        models: two or more.
        split: test, or validation.
        prompt: name of the question; none: the headline of the runs.
        shared_rows: whether to go on with the rows in common when the models were asked about different ones.
        judge_again: whether to judge all answers by the first run's registry.
        registry: names to judge all answers by instead, see `read_registry`.

    Raises:
        InputError: what was asked, on which rows, or by which names it was judged cannot be compared.
    """
    chosen = choose_prompt(models, prompt)
    aligned = align(models, split=split, prompt=chosen, shared_rows=shared_rows)
    if not judge_again and registry is None:
        check_judged_alike(models)
        return aligned
    own = models[0].registry
    if own is None:
        raise InputError(str(models[0].root / "ingest" / "registry.json"), found="is gone, so nothing can be judged")
    return judge(aligned, read_registry(registry, own=own) if registry is not None else own)


def choose_prompt(models: Sequence[Compared], prompt: str | None) -> str:
    """The question that is compared: the one given, or the headline that all runs share.

    Raises:
        InputError: the headlines differ, or the question was worded differently.
    """
    headlines = {each.label: each.scores.headline for each in models}
    if prompt is None and len(set(headlines.values())) > 1:
        found = ", ".join(f"{label} by '{headline}'" for label, headline in headlines.items())
        raise InputError("compare", found=f"the runs are headed by different questions: {found}", fix="give --prompt")
    chosen = prompt or models[0].scores.headline
    wordings = {each.scores.questions.get(chosen, "") for each in models} - {""}
    if len(wordings) > 1:
        texts = " and ".join(f"'{text}'" for text in sorted(wordings))
        raise InputError(
            f"question {chosen}", found=f"was worded differently: {texts}", fix="score both runs with one wording"
        )
    return chosen


def align(models: Sequence[Compared], *, split: SplitName, prompt: str, shared_rows: bool) -> Aligned:
    """All models' answers on the rows that all of them have.

    Args:
        models: two or more.
        split: validation or test.
        prompt: name of the question.
        shared_rows: whether to go on with the rows in common when the models were asked about different ones.

    Raises:
        InputError: a model has no answers there, the rows differ and may not be intersected, none is shared, or the
            true names of shared rows differ.
    """
    tables = [_table(each, split=split, prompt=prompt) for each in models]
    keys = [key for key in tables[0] if all(key in table for table in tables[1:])]
    rows_of = {each.label: len(table) for each, table in zip(models, tables, strict=True)}
    if not keys:
        raise InputError(
            "compare", found=_nothing_shared(tables, split), fix="compare runs over the same table and split"
        )
    if not shared_rows and any(len(table) != len(keys) for table in tables):
        counts = ", ".join(f"{label} {count:,}" for label, count in rows_of.items())
        raise InputError(
            "compare",
            found=f"the {split} sets differ: {counts} rows, {len(keys):,} of them shared",
            expected="the same rows",
            fix="give --shared-rows to compare on those alone (the numbers of the runs' own pages are not comparable)",
        )
    answered = [key for key in keys if all(_is_scored(table[key]) for table in tables)]
    if not answered:
        raise InputError("compare", found=f"no {split} row got an answer from every model", fix="score the runs again")
    rows = [[table[key] for key in answered] for table in tables]
    aligned = Aligned(split, prompt, answered, rows, rows_of, unscored=len(keys) - len(answered))
    _check_names(models, aligned)
    return aligned


def _is_scored(row: Row) -> bool:
    """Whether there is an answer to judge; older versions kept no row without one."""
    return row.get("finish", SCORED[0]) in SCORED


def check_judged_alike(models: Sequence[Compared]) -> None:
    """Make sure that one registry judged all answers.

    Raises:
        InputError: the registries differ.
    """
    fingerprints = {each.scores.matcher for each in models} - {""}
    registries = {each.registry.fingerprint for each in models if each.registry is not None}
    if len(fingerprints) > 1 or len(registries) > 1:
        raise InputError(
            "compare",
            found="the runs' answers were judged by different names or rules",
            fix="give --judge-again to judge all of them by the first run's registry, or --registry for another",
        )


def judge(aligned: Aligned, registry: Registry) -> Aligned:
    """All answers judged by one registry, which may also show a true name otherwise.

    Raises:
        InputError: it lacks the name of a row.
    """
    fix = "add them to the registry, or compare by another"
    check_inside(aligned.names, registry, where="compare", fix=fix)
    by = Judge(registry)
    rows = [[row | by.judge(row["answer"], row["name"])._asdict() for row in own] for own in aligned.rows]
    return replace(aligned, rows=rows, registry=registry)


def _table(model: Compared, *, split: SplitName, prompt: str) -> dict[Key, Row]:
    rows = model.predictions(split=split, prompt=prompt)
    if not rows:
        metrics = model.own.metrics
        if split not in metrics and any(split in each.metrics for each in model.scores.checkpoints):
            raise InputError(
                model.label,
                found=f"{model.checkpoint} was not asked about the {split} split",
                fix="--split validation compares there; with score.test: all, scoring asks every checkpoint",
            )
        asked = "; ".join(f"{name}: {', '.join(prompts)}" for name, prompts in metrics.items())
        raise InputError(
            model.label,
            found=f"no answers to '{prompt}' on the {split} split",
            expected=f"one of what was asked ({asked})",
        )
    return {(row["row_id"], row["image_sha256"]): row for row in rows}


def _nothing_shared(tables: Sequence[dict[Key, Row]], split: str) -> str:
    ids = set.intersection(*({row_id for row_id, _ in table} for table in tables))
    if ids:
        return f"{len(ids):,} row ids are shared, but each with another image: these are different tables"
    return f"no row of the {split} sets is shared"


def _check_names(models: Sequence[Compared], aligned: Aligned) -> None:
    for model, rows in zip(models[1:], aligned.rows[1:], strict=True):
        other = [
            f"{here['row_id']} is {here['name']!r} and {there['name']!r}"
            for here, there in zip(aligned.rows[0], rows, strict=True)
            if here["name"] != there["name"]
        ]
        if other:
            raise InputError(
                f"{models[0].label} and {model.label}",
                found=f"{len(other):,} shared rows have another true name ({'; '.join(other[:SHOWN])})",
                fix="run both with one registry (name.registry), and score again",
            )
