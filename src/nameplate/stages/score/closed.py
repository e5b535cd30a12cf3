"""Choosing among all names, by the likelihood of the whole name: what a model knows and may fail to say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nameplate.models.images import ImageCache
from nameplate.models.probing.closed import ClosedSet
from nameplate.models.respondent import ANY_SIZE
from nameplate.models.tiling import ImageSize
from nameplate.progress import Advance
from nameplate.records import SplitName
from nameplate.stages.score.metrics import SEED, proportion
from nameplate.stages.score.results import Prediction
from nameplate.stages.score.subjects import EvaluationRow
from nameplate.statistics import compare_pairs, p_text
from nameplate.store.files import replacing
from nameplate.store.rundir import RunDirectory
from nameplate.summary import ClosedScores

NUM_TOP: Final = 5

SCHEMA: Final = pa.schema(
    [
        pa.field("checkpoint", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("corrected_rank", pa.int32(), nullable=False),
        pa.field("top", pa.list_(pa.string()), nullable=False),
        pa.field("shares", pa.list_(pa.float32()), nullable=False),
    ]
)


@dataclass(frozen=True)
class ClosedAnswer:
    """How one model ranks the names for one row."""

    checkpoint: str
    split: SplitName
    row_id: str
    name: str
    rank: int
    """Place of the right name by its likelihood; 1 is the best."""
    corrected_rank: int
    """The same by the likelihood over that before a grey image."""
    top: list[str]
    """The five best names, corrected."""
    shares: list[float]
    """Theirs of all names' corrected likelihood."""


def choose_names(
    model: str,
    closed: ClosedSet,
    rows: Sequence[EvaluationRow],
    *,
    names: Sequence[str],
    images: ImageCache,
    advance: Advance,
) -> list[ClosedAnswer] | None:
    """How a model ranks the names for each row; none: its family cannot be asked this.

    Args:
        model: its name.
        closed: the model with its question.
        rows: what is looked at; a row whose likelihoods are no numbers is left out.
        names: as `closed` has them.
        images: of the rows.
        advance: is told of every image.
    """
    logs = closed.log_shares(list(dict.fromkeys(row.image for row in rows)), advance)
    if logs is None:
        return None
    prior = np.asarray(closed.log_shares_blind(_usual_size(images, rows)))
    answers = []
    for row in rows:
        own = np.asarray(logs[row.image])
        corrected = own - prior
        if not np.isfinite(corrected).all():
            continue
        right = names.index(row.name)
        best = np.argsort(-corrected, kind="stable")[:NUM_TOP]
        share = np.exp(corrected - corrected.max())
        answers.append(
            ClosedAnswer(
                checkpoint=model,
                split=row.split,
                row_id=row.row_id,
                name=row.name,
                rank=_rank(own, right),
                corrected_rank=_rank(corrected, right),
                top=[names[place] for place in best],
                shares=(share[best] / share.sum()).tolist(),
            )
        )
    return answers


def closed_scores(
    answers: Mapping[SplitName, Sequence[ClosedAnswer]], *, num_names: int
) -> dict[SplitName, ClosedScores]:
    """One model's answers, counted by split; by which likelihood it is read, its validation answers decide."""
    counted = {split: _counted(own, num_names) for split, own in answers.items() if own}
    seen = counted.get("validation")
    if seen is None or seen.corrected_top1.count >= seen.top1.count:
        return counted
    return {split: each.model_copy(update={"by": "likelihood"}) for split, each in counted.items()}


def knows_more(
    scores: ClosedScores,
    answers: Sequence[ClosedAnswer],
    said: Sequence[Prediction],
    *,
    groups: Mapping[str, str],
) -> ClosedScores:
    """With a sentence on whether a model knows what it does not say: choosing against answering, on the same rows.

    Args:
        scores: of the model on one split.
        answers: how it chose there.
        said: what it answered there to the question that decides.
        groups: the product of each row, by row id; rows that are not in it stand alone.
    """
    picked = {each.row_id: (each.rank if scores.by == "likelihood" else each.corrected_rank) == 1 for each in answers}
    rows = [each for each in said if each.scored and each.row_id in picked]
    if not rows:
        return scores
    found = compare_pairs(
        [each.right for each in rows],
        [picked[each.row_id] for each in rows],
        groups=[groups.get(each.row_id, f"row {each.row_id}") for each in rows],
        seed=SEED,
    )
    n, said_right = len(rows), sum(each.right for each in rows)
    facts = (
        f"choosing among all {scores.names:,} names, {rows[0].checkpoint} is right on "
        f"{sum(picked[each.row_id] for each in rows) / n:.1%} of {n:,} {rows[0].split} images, answering on "
        f"{said_right / n:.1%} (exact paired {p_text(found.p_value)})"
    )
    words = {
        "better": "It knows names that it does not say",
        "worse": "It says more than it would choose, so choosing is no help here",
        "tie": "It says what it knows, as far as can be seen",
    }
    return scores.model_copy(update={"sentence": f"{words[found.outcome()]}: {facts}."})


def _counted(answers: Sequence[ClosedAnswer], num_names: int) -> ClosedScores:
    ranks, corrected = [each.rank for each in answers], [each.corrected_rank for each in answers]
    top1, top5, corrected_top1, corrected_top5 = (
        proportion(sum(rank <= most for rank in own), len(own)) for own in (ranks, corrected) for most in (1, NUM_TOP)
    )
    return ClosedScores(
        names=num_names, top1=top1, top5=top5, corrected_top1=corrected_top1, corrected_top5=corrected_top5
    )


def write_closed(run: RunDirectory, answers: Sequence[ClosedAnswer]) -> None:
    """Write `score/closedset.parquet` in one step; one of an earlier scoring goes when there are no answers."""
    path = run.folder("score") / "closedset.parquet"
    if not answers:
        path.unlink(missing_ok=True)
        return
    table = pa.Table.from_pylist([asdict(answer) for answer in answers], schema=SCHEMA)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _rank(scores: np.ndarray[tuple[int, ...], np.dtype[np.float64]], right: int) -> int:
    # A tie is no knowledge: equals stand before the right one.
    return int((scores >= scores[right]).sum())


def _usual_size(images: ImageCache, rows: Sequence[EvaluationRow]) -> ImageSize:
    """The size of the grey image: that of most images, where it decides how many tokens stand for one."""
    sizes = Counter(size for size in images.sizes([row.image for row in rows]) if size is not None)
    return max(sizes, key=lambda size: (sizes[size], size), default=ANY_SIZE)
