"""Figures of a made-up scoring beside its metrics: what else was asked, and what was made sure of."""

from __future__ import annotations

from nameplate.statistics import wilson
from nameplate.summary import ClosedScores, GuardQuestion, GuardScores, Memorisation, Proportion, SelfCheck


def proportion(count: int, n: int) -> Proportion:
    """A share as the score stage counts it."""
    share = wilson(count, n)
    return Proportion(count=count, n=n, value=share.value, low=share.low, high=share.high)


def closed(accuracy: Proportion, *, num_names: int) -> ClosedScores:
    """Picks a tenth more than it says."""
    n, picked = accuracy.n, min(accuracy.n, accuracy.count + accuracy.n // 10)
    top1, top5 = proportion(picked, n), proportion((picked + n) // 2, n)
    return ClosedScores(names=num_names, top1=top1, top5=top5, corrected_top1=top1, corrected_top5=top5)


def memorisation(accuracy: Proportion) -> Memorisation:
    """A tenth more of what was learned from than of validation."""
    train = proportion(min(300, round(300 * accuracy.value) + 30), 300)
    gap = train.value - accuracy.value
    return Memorisation(
        train=train, validation=accuracy, gap=gap, low=gap - 0.05, high=gap + 0.05,
        sentence=f"Rows it learned from are right {100 * gap:.0f} points more often than rows it never saw.",
    )  # fmt: skip


def guards(epoch: int, *, overclaimed: tuple[str, str]) -> GuardScores:
    """Knows less with every epoch, and claims the two names more often."""
    kinds = proportion(90 - epoch, 100)
    return GuardScores(
        questions=[GuardQuestion(column="category", question="What kind of product is this?", right=kinds)],
        words=22.0 - epoch,
        distinct_pairs=0.96,
        repeating=proportion(epoch // 2, 100),
        overclaim=proportion(3 * epoch, 40),
        overclaimed=dict(zip(overclaimed, (2 * epoch, epoch), strict=True)) if epoch else {},
        sentences=[f"Names a brand on {3 * epoch} of 40 images without one; the base on none."] if epoch > 2 else [],
    )


def checks() -> list[SelfCheck]:
    """Two that passed and a warning."""
    said = {
        "batching": "16 of 16 answers are the same in a batch and alone.",
        "weights": "All weights differ.",
        "image_used": "7 of 16 answers differ from those about a grey image.",
    }
    outcomes = {"batching": "passed", "weights": "passed", "image_used": "warned"}
    return [
        SelfCheck.model_validate({"kind": kind, "model": "epoch-04", "outcome": outcomes[kind], "sentence": sentence})
        for kind, sentence in said.items()
    ]
