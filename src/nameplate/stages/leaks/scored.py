"""What the leaks did to the scores: the same answers with and without the leaked rows."""

from __future__ import annotations

from collections.abc import Set
from functools import partial
from typing import Final, NamedTuple

import duckdb
import pyarrow.parquet as pq
from pydantic import ValidationError

from nameplate.stages.leaks.results import ScoredRows, WithAndWithout, proportion
from nameplate.statistics import PairedComparison, compare_pairs, in_words, points_text, unpaired_difference
from nameplate.store.rundir import RunDirectory
from nameplate.summary import Proportion, ScoreSummary

BASE: Final = "base"

_ANSWERS: Final = """
    SELECT row_id, bool_or("right") FILTER (checkpoint = $base) AS before,
        bool_or("right") FILTER (checkpoint = $chosen) AS after, any_value(held.product) AS product
    FROM read_parquet($path) AS predictions JOIN held USING (row_id)
    WHERE predictions.split = 'test' AND prompt = $headline AND checkpoint IN ($base, $chosen) AND {judged}
    GROUP BY row_id
    HAVING before IS NOT NULL AND after IS NOT NULL
    ORDER BY row_id
"""


# What a server never answered, and what was no number, is neither right nor wrong.
_JUDGED: Final = "finish NOT IN ('failed', 'nonfinite')"


class _Answered(NamedTuple):
    """One test row: whether the base and the chosen checkpoint named it."""

    row_id: str
    before: bool
    after: bool
    product: str


def with_and_without(database: duckdb.DuckDBPyConnection, run: RunDirectory, leaked: Set[str]) -> WithAndWithout | None:
    """The headline on test with and without the leaked rows; none: the run is not scored.

    Args:
        database: with the split's rows.
        run: whose scores.
        leaked: ids of test rows with a leak.
    """
    score = _score(run)
    if score is None:
        return None
    asked = {
        "path": str(run.folder("score") / "predictions.parquet"),
        "base": BASE,
        "chosen": score.selected,
        "headline": score.headline,
    }
    # Older versions did not say how answers end.
    judged = _JUDGED if "finish" in pq.read_schema(asked["path"]).names else "true"
    rows = [_Answered(*row) for row in database.execute(_ANSWERS.format(judged=judged), asked).fetchall()]
    if not rows:
        return None
    clean, dirty = ([row for row in rows if (row.row_id in leaked) is wanted] for wanted in (False, True))
    models = [
        ScoredRows(model=BASE, all=_before(rows), clean=_before(clean), leaked=_before(dirty)),
        ScoredRows(model=score.selected, all=_after(rows), clean=_after(clean), leaked=_after(dirty)),
    ]
    whole, without = _compared(rows), _compared(clean)
    return WithAndWithout(
        headline=score.headline,
        models=models,
        outcome=whole.outcome(),
        clean_outcome=without.outcome(),
        sentences=_sentences(models[1], whole, without),
    )


def _sentences(chosen: ScoredRows, whole: PairedComparison, without: PairedComparison) -> list[str]:
    if not chosen.leaked.n:
        return ["No scored test row leaks, so the scores stand as they are."]
    if not chosen.clean.n:
        return ["Every scored test row leaks: no number of this test set says anything about new images."]
    told = partial(in_words, before=BASE, after=chosen.model, rows="test rows")
    return [_change(chosen), f"All test rows: {told(whole)}", f"Without the leaked: {told(without)}"]


def _score(run: RunDirectory) -> ScoreSummary | None:
    record = run.manifest.stages.get("score")
    path = run.folder("score") / "scores.json"
    if record is None or record.status != "done" or not path.with_name("predictions.parquet").exists():
        return None
    try:
        return ScoreSummary.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        # Of a version that counted differently: scoring again mends it, and the leaks are told all the same.
        return None


def _before(rows: list[_Answered]) -> Proportion:
    return proportion(sum(row.before for row in rows), len(rows))


def _after(rows: list[_Answered]) -> Proportion:
    return proportion(sum(row.after for row in rows), len(rows))


def _compared(rows: list[_Answered]) -> PairedComparison:
    products = [row.product for row in rows]
    return compare_pairs([row.before for row in rows], [row.after for row in rows], groups=products)


def _change(chosen: ScoredRows) -> str:
    """Whether the chosen checkpoint is better on the leaked rows than on the others, and what that did."""
    whole, clean, leaked = chosen.all, chosen.clean, chosen.leaked
    facts = (
        f"{chosen.model} names {leaked.count} of {leaked.n} leaked test rows and {clean.count} of {clean.n} others; "
        f"all together {_share(whole)}, without the leaked {_share(clean)}"
    )
    apart = unpaired_difference((clean.count, clean.n), (leaked.count, leaked.n))
    interval = f"95 % interval {points_text(apart.low, apart.high)} points"
    if apart.low > 0:
        return f"{facts}. It knows the leaked rows better ({interval}): take the number without them."
    return f"{facts}. That it knows the leaked rows better is not shown ({interval})."


def _share(share: Proportion) -> str:
    return f"{share.value:.1%} ({100 * share.low:.1f} to {100 * share.high:.1f})"
