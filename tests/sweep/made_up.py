"""A leaderboard with everything in it, made up, to look at its page."""

from __future__ import annotations

import random

from nameplate.records import ComponentName
from nameplate.statistics import compare_pairs, holm, in_words, wilson
from nameplate.summary import ComponentRow, Proportion
from nameplate.sweep.results import (
    Failure,
    FailureKind,
    MemberComparison,
    MemberRow,
    Standing,
    SweepSummary,
    TrialResult,
)

SIZES: dict[ComponentName, int] = {"vision": 3_290_000, "projector": 240_000, "language": 2_170_000}
SKILLS = {"language-frozen": 0.78, "vision-last-2": 0.62, "projector-only": 0.3, "language-lora": 0.97, "twin": 0.79}


def made_up(*, text: str = "the loss is nan on rows r1") -> SweepSummary:
    draw = random.Random(0)
    shared = [draw.random() for _ in range(400)]
    answers = {name: [draw.gauss(0, 0.08) + luck < skill for luck in shared] for name, skill in SKILLS.items()}
    reference = "language-frozen"
    pairs = {name: compare_pairs(answers[reference], own) for name, own in answers.items() if name != reference}
    adjusted = dict(zip(pairs, holm([each.p_value for each in pairs.values()]), strict=True))
    rows = []
    for name, own in answers.items():
        comparison = None
        if name in pairs:
            found = pairs[name]
            comparison = MemberComparison(
                num_answers=found.n,
                num_seeds=1,
                fixed=found.fixed,
                regressed=found.regressed,
                difference=found.difference,
                low=found.low,
                high=found.high,
                p_value=found.p_value,
                adjusted=adjusted[name],
                outcome=found.outcome(adjusted[name]),
                sentence=in_words(found, before=reference, after=name, p_value=adjusted[name]),
            )
        rows.append(_row(name, share(sum(own[:250]), 250), share(sum(own), 400), comparison))
    rows.sort(key=lambda row: -(row.validation.value if row.validation else 0))
    failed = Failure(kind=FailureKind.ERROR, text=text)
    trial = TrialResult(seed=0, standing=Standing.FAILED, folder="runs/everything-seed-0", failure=failed)
    rows.append(_row("everything", None, None, None).model_copy(update={"trials": [trial]}))
    waiting = TrialResult(seed=0, standing=Standing.WAITING, folder="runs/late-seed-0")
    rows.append(_row("late", None, None, None).model_copy(update={"trials": [waiting]}))
    return SweepSummary(
        nameplate="0",
        title=f"Which part to thaw? {text}",
        recipe="/shop/recipe.yaml",
        command=f"nameplate sweep sweep.yaml --set {text}",
        reference=reference,
        headline="name",
        base=share(3, 400),
        rows=rows,
        chosen=rows[0].member,
        choice=f"{rows[0].member} is best on validation: 240 of 250 answers are right (96.0%).",
        num_compared=len(pairs),
        looks=len(SKILLS),
        notes=["The test split was read 5 times.", text],
    )


def share(count: int, n: int) -> Proportion:
    found = wilson(count, n)
    return Proportion(count=count, n=n, value=found.value, low=found.low, high=found.high)


def _row(
    name: str, validation: Proportion | None, test: Proportion | None, comparison: MemberComparison | None
) -> MemberRow:
    policies: dict[ComponentName, str] = {
        "vision": "frozen" if name in ("projector-only", "language-lora") else "last 2" if "last" in name else "full",
        "projector": "full",
        "language": "LoRA 32" if "lora" in name else "frozen",
    }
    trial = TrialResult(
        seed=0,
        standing=Standing.DONE,
        folder=f"runs/{name}-seed-0",
        selected="epoch-03",
        validation=validation,
        test=test,
        looks=1,
        train_seconds=100 * SKILLS.get(name, 1),
        peak_memory_bytes=2_700_000_000,
    )
    return MemberRow(
        member=name,
        changes={"train": {"language": "frozen"}},
        policies=policies,
        parts=[_part(part, words) for part, words in policies.items()],
        trials=[trial],
        validation=validation,
        test=test,
        comparison=comparison,
    )


def _part(part: ComponentName, words: str) -> ComponentRow:
    shares = {"frozen": 0.0, "full": 1.0, "last 2": 0.33, "LoRA 32": 0.1}
    learns = int(SIZES[part] * shares[words])
    return ComponentRow(
        component=part,
        parameters=SIZES[part],
        trainable=learns,
        mode=words.split()[0],
        lr=1e-3 if learns else None,
        layers=6,
        rank=32 if "LoRA" in words else None,
    )
