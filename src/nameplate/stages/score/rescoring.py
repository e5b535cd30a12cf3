"""Scoring again without a model: the kept answers of a run, judged by other names or by the present rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from nameplate.errors import InputError
from nameplate.names import Registry
from nameplate.records import SplitName
from nameplate.stages.score.choosing import choose
from nameplate.stages.score.metrics import metrics_of
from nameplate.stages.score.rejudging import Judge, check_inside, lost_spellings, outside
from nameplate.stages.score.rescored import ChangedAnswer, Rescored, RescoredModel, VerdictChange
from nameplate.stages.score.results import PREDICTIONS, Prediction, read_groups, read_scores
from nameplate.statistics import fewest_changed
from nameplate.store.files import replacing, write_text
from nameplate.store.rundir import RunDirectory
from nameplate.summary import ScoreSummary

EXAMPLES: Final = 3
AVERAGE: Final = "average-"
"""How the average of several checkpoints is called: a candidate, but no further step of the training."""
OUTSIDE: Final = "outside_registry"
"""How an answer ends in the table whose true name the registry lacks: there is nothing to judge it by."""


def open_scored(root: Path) -> RunDirectory:
    """The directory of a scored run.

    Raises:
        InputError: it is none.
    """
    if not (root / "manifest.json").is_file():
        found = "no such folder" if not root.is_dir() else "is not a run directory (it has no manifest.json)"
        raise InputError(str(root), found=found, expected="a scored run, such as runs/first")
    # Nothing of the store is read here, so none shall be made.
    return RunDirectory(root, store=root)


def rescore(run: RunDirectory, registry: Registry, *, own: Registry, leave_out: bool = False) -> Rescored:
    """Judge the answers of a scored run again, and write them and what follows beside the old ones, which stay.

    Args:
        run: with `score/predictions.parquet`.
        registry: the names to judge by.
        own: the run's names.
        leave_out: whether answers to rows of names that the registry lacks count for nothing; else they are refused.

    Raises:
        InputError: the run was not scored, its answers cannot be read, or the registry lacks a name.
    """
    scores = read_scores(run)
    old = read_predictions(run)
    names = [each.name for each in old]
    unknown = outside(names, registry)
    if not leave_out:
        fix = "add them to the registry, or give --leave-out to count their answers for nothing"
        check_inside(names, registry, where=str(run.root), fix=fix)
    judge = Judge(registry)
    new = [_judged(each, judge, unknown) for each in old]
    selected, choice = _choose(new, scores, run)
    stem = run.folder("score") / f"rescored-{judge.matcher.fingerprint[:12]}"
    found = Rescored(
        run=str(run.root),
        matcher_before=scores.matcher,
        matcher=judge.matcher.fingerprint,
        answers=len(old),
        distinct=judge.num_judged,
        models=list(_models(old, new, complete=_is_complete(run))),
        changes=_changes(old, new),
        merged=_merged(old, new),
        outside=unknown,
        selected_before=scores.selected,
        selected=selected,
        choice=choice,
        notes=list(_notes(scores, new, own, registry, matcher=judge.matcher.fingerprint)),
        table=str(stem.with_suffix(".parquet")),
    )
    _write(stem, new, found)
    return found


def read_predictions(run: RunDirectory) -> list[Prediction]:
    """All judged answers of a run, in their order; columns that an older version lacks have their defaults.

    Raises:
        InputError: there are none, or the file is torn.
    """
    path = _path(run)
    try:
        known = [name for name in pq.read_schema(path).names if name in PREDICTIONS.names]
        columns = pq.read_table(path, columns=known).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            str(path), found=f"cannot be read ({type(error).__name__})", fix="run `nameplate score` on this run first"
        ) from None
    fields = list(columns)
    return [Prediction(**dict(zip(fields, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _judged(prediction: Prediction, judge: Judge, unknown: Mapping[str, int]) -> Prediction:
    if prediction.name in unknown:
        return replace(prediction, finish=OUTSIDE, right=False, strict=False, mentioned=False)
    return replace(prediction, **judge.judge(prediction.answer, prediction.name)._asdict())


def _models(old: Sequence[Prediction], new: Sequence[Prediction], *, complete: bool) -> Iterator[RescoredModel]:
    groups: dict[tuple[str, SplitName, str], list[int]] = defaultdict(list)
    for place, each in enumerate(old):
        groups[each.checkpoint, each.split, each.prompt].append(place)
    for (checkpoint, split, prompt), places in groups.items():
        was, now = [old[place] for place in places], [new[place] for place in places]
        before = metrics_of(was)
        if not complete:
            # An older version judged neither, so nothing is known; it is not that nothing was right.
            before = before.model_copy(update={"strict": None, "mention_any": None})
        turned = [(one.right, other.right) for one, other in zip(was, now, strict=True) if other.scored]
        yield RescoredModel(
            checkpoint=checkpoint,
            split=split,
            prompt=prompt,
            before=before,
            after=metrics_of(now),
            became_right=turned.count((False, True)),
            became_wrong=turned.count((True, False)),
        )


def _changes(old: Sequence[Prediction], new: Sequence[Prediction]) -> list[VerdictChange]:
    kinds: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for one, other in zip(old, new, strict=True):
        if one.verdict != other.verdict and other.scored:
            kinds[one.verdict, other.verdict].append(other)
    changes = [
        VerdictChange(
            before=before, after=after, answers=len(rows), examples=[_example(each) for each in _distinct(rows)]
        )
        for (before, after), rows in kinds.items()
    ]
    return sorted(changes, key=lambda change: (-change.answers, change.before, change.after))


def _distinct(rows: Sequence[Prediction]) -> list[Prediction]:
    """The first few that differ in name or answer."""
    found: dict[tuple[str, str], Prediction] = {}
    for row in rows:
        found.setdefault((row.name, row.answer), row)
        if len(found) == EXAMPLES:
            break
    return list(found.values())


def _example(row: Prediction) -> ChangedAnswer:
    return ChangedAnswer(
        checkpoint=row.checkpoint, row_id=row.row_id, prompt=row.prompt, name=row.name, answer=row.answer
    )


def _merged(old: Sequence[Prediction], new: Sequence[Prediction]) -> dict[str, str]:
    pairs = {(one.name, other.name) for one, other in zip(old, new, strict=True) if one.name != other.name}
    return dict(sorted(pairs))


def _choose(new: Sequence[Prediction], scores: ScoreSummary, run: RunDirectory) -> tuple[str, str]:
    """The checkpoint that these judgements choose, by the rule that scoring uses, and why."""
    answers: dict[str, list[Prediction]] = defaultdict(list)
    epochs = {each.name: each.epoch for each in scores.checkpoints}
    for each in new:
        if each.split == "validation" and each.prompt == scores.headline and epochs.get(each.checkpoint):
            answers[each.checkpoint].append(each)
    if not answers:
        return scores.selected, "No checkpoint was asked about validation, so nothing is chosen anew."
    averages = {name for name in answers if name.startswith(AVERAGE)}
    chosen = choose(answers, groups=_groups(run), averages=averages)
    return chosen.name, chosen.sentence


def _groups(run: RunDirectory) -> dict[str, str]:
    return read_groups(run) if run.tables("split").kept_paths() else {}


def _notes(
    scores: ScoreSummary, new: Sequence[Prediction], own: Registry, registry: Registry, *, matcher: str
) -> Iterator[str]:
    if scores.matcher == matcher:
        yield "The names and rules are those that judged before, so nothing can change."
    lost = lost_spellings(own, registry)
    if lost:
        yield (
            f"{len(lost):,} spellings of the run's names are unknown now ({', '.join(lost[:EXAMPLES])}). Rows that "
            "ingest merged under them stay merged: only `nameplate ingest` can take them apart."
        )
    held_out = {each.row_id: each.name for each in new if each.split == "test" and each.scored}
    if len(set(held_out.values())) == 1:
        yield f"Every test row has the name {held_out.popitem()[1]}: accuracy is trivial here."
    elif held_out and len(held_out) < fewest_changed():
        yield f"The test has {len(held_out)} rows, which can show nothing, however they are judged."
    if any(each.closed for each in scores.checkpoints):
        yield "Choosing among names (closed set) is no judgement of an answer, and stays as it was."


def _is_complete(run: RunDirectory) -> bool:
    return "strict" in pq.read_schema(_path(run)).names


def _path(run: RunDirectory) -> Path:
    return run.folder("score") / "predictions.parquet"


def _write(stem: Path, new: Sequence[Prediction], found: Rescored) -> None:
    columns = {name: [getattr(each, name) for each in new] for name in PREDICTIONS.names}
    with replacing(stem.with_suffix(".parquet")) as temporary:
        pq.write_table(pa.Table.from_pydict(columns, schema=PREDICTIONS), temporary, compression="zstd")
    write_text(stem.with_suffix(".json"), found.model_dump_json(indent=2) + "\n")
