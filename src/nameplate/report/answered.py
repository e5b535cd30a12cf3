"""What the page's sections ask of the answers: those of the two compared models, and the listings they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nameplate.errors import RunDirectoryError
from nameplate.names import Matcher
from nameplate.records import SplitName
from nameplate.report.marking import ENDINGS, read_matcher
from nameplate.report.reading import iter_columns, kept_paths
from nameplate.store.rundir import RunDirectory
from nameplate.summary import ScoreSummary

PREDICTED: Final = (
    "checkpoint", "row_id", "name", "answer", "verdict", "right", "strict", "mentioned", "finish",
)  # fmt: skip
LISTED: Final = (
    "row_id", "split", "name", "category", "group_id", "image_sha256", "image_ext", "image_width", "image_height",
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """One model's answer to the question that decides, about one image."""

    row_id: str
    name: str
    """The right one."""
    answer: str
    verdict: str
    right: bool
    strict: bool | None = None
    """None: a version that did not judge this wrote it."""
    mentioned: bool | None = None
    finish: str | None = None


@dataclass(frozen=True)
class Listing:
    """What is known of a row beside its answers; None where the table or a version did not say."""

    row_id: str
    category: str | None = None
    group: str | None = None
    image_sha256: str | None = None
    image_ext: str | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Answered:
    """Both models' answers on the compared rows, in table order, and all that is known of these rows."""

    before: Mapping[str, Judged]
    after: Mapping[str, Judged]
    listings: Mapping[str, Listing]
    train: Mapping[str, int] = field(default_factory=dict)
    """Training rows by name."""
    matcher: Matcher | None = None
    """The one that judged; none: the names are gone, or were changed since."""

    @property
    def rows(self) -> list[str]:
        """Rows that both were asked about."""
        return [row for row in self.after if row in self.before]

    def groups(self, rows: Iterable[str]) -> list[str]:
        """The product of each row; a row without one is its own."""
        return [self.listing(row).group or f"row {row}" for row in rows]

    def listing(self, row: str) -> Listing:
        """What is known of a row; nothing else than its id, where its table is gone."""
        return self.listings.get(row) or Listing(row)


def read_answered(score: ScoreSummary, run: RunDirectory, *, split: SplitName | None = None) -> Answered:
    """From the predictions of the compared models, for the question that decides.

    Args:
        score: says which models and which question.
        run: where the predictions lie.
        split: of the rows; none: the one that decides.

    Raises:
        RunDirectoryError: the predictions are not there.
    """
    comparison = score.comparison
    split = split or comparison.split
    found: dict[str, dict[str, Judged]] = {comparison.before: {}, comparison.after: {}}
    for row in _predictions(score, run, split):
        # A row that got no answer is in no share.
        if (row.get("finish") or "stop") in ENDINGS:
            found[row["checkpoint"]][row["row_id"]] = _judged(row)
    listings = {
        row["row_id"]: _listing(row)
        for row in iter_columns(kept_paths(run, "split"), list(LISTED))
        if row.get("split") == split
    }
    return Answered(
        before=found[comparison.before],
        after=found[comparison.after],
        listings=listings,
        train={name.name: name.train for name in score.names},
        matcher=read_matcher(score, run),
    )


def _predictions(score: ScoreSummary, run: RunDirectory, split: SplitName) -> list[dict[str, Any]]:
    path, comparison = run.folder("score") / "predictions.parquet", score.comparison
    if not path.exists():
        raise RunDirectoryError(str(path), found="no predictions", fix="run `nameplate score` first")
    models = pa.array([comparison.before, comparison.after], pa.string())
    wanted = (
        (pc.field("split") == split) & (pc.field("prompt") == comparison.prompt) & pc.field("checkpoint").isin(models)
    )
    known = set(pq.read_schema(path).names)
    table = pq.read_table(path, columns=[column for column in PREDICTED if column in known], filters=wanted)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _judged(row: dict[str, Any]) -> Judged:
    return Judged(
        row_id=row["row_id"],
        name=row["name"],
        answer=row["answer"] or "",
        verdict=row["verdict"],
        right=bool(row["right"]),
        strict=row.get("strict"),
        mentioned=row.get("mentioned"),
        finish=row.get("finish"),
    )


def _listing(row: dict[str, Any]) -> Listing:
    return Listing(
        row_id=row["row_id"],
        category=row.get("category") or None,
        group=row.get("group_id") or None,
        image_sha256=row.get("image_sha256"),
        image_ext=row.get("image_ext"),
        width=row.get("image_width"),
        height=row.get("image_height"),
    )
