"""The probe of the split that the compared runs share, if one of them was probed before it was trained."""

from __future__ import annotations

from collections.abc import Sequence

from nameplate.compare.advice import Tried, weigh_advice
from nameplate.compare.aligning import Aligned
from nameplate.compare.results import ProbedFirst
from nameplate.compare.subjects import Compared
from nameplate.errors import InputError
from nameplate.report.probe import ADVISED, WORDS
from nameplate.stages.probe import ProbeSummary, read_probe
from nameplate.stages.probe.results import Level


def find_probe(models: Sequence[Compared], aligned: Aligned, *, groups: Sequence[str]) -> ProbedFirst | None:
    """What the probe found, and whether the models bear its advice out.

    Args:
        models: that are compared; the first whose run was probed gives the probe.
        aligned: their answers.
        groups: the product of each row.

    None: no run was probed, the runs are of different splits or bases, or the probe is of another split.
    """
    if len({(each.split_fingerprint, each.base) for each in models}) > 1:
        return None
    for each in models:
        found = _read(each)
        if found is not None and found.split == each.split_fingerprint:
            return _conclude(found, each, models, aligned, groups=groups)
    return None


def _read(model: Compared) -> ProbeSummary | None:
    try:
        return read_probe(model.run)
    except InputError:
        # There is none, or a version that counted differently wrote it; a comparison does not fail for it.
        return None


def _conclude(
    found: ProbeSummary, probed: Compared, models: Sequence[Compared], aligned: Aligned, *, groups: Sequence[str]
) -> ProbedFirst:
    component = ADVISED.get(found.advice)
    tried = [_tried(model, aligned, place) for place, model in enumerate(models)]
    return ProbedFirst(
        run=str(probed.root),
        read=found.read,
        advice=found.advice.value,
        word=WORDS[found.advice],
        sentence=found.sentence,
        component=component,
        majority=found.evidence.majority,
        says=found.evidence.levels[Level.SAYS],
        ceiling=found.ceiling.scored.top1,
        test=weigh_advice(found.advice, component, [each for each in tried if each is not None], groups=groups),
    )


def _tried(model: Compared, aligned: Aligned, place: int) -> Tried | None:
    """As evidence; none: a trained model whose run does not say what learned."""
    learned = model.learned
    if learned is None and model.own.epoch:
        return None
    metrics = model.own.metrics.get("validation", {}).get(aligned.prompt)
    return Tried(
        label=model.label,
        components=tuple(learned.components) if learned is not None else None,
        validation=metrics.accuracy.value if metrics is not None else None,
        right=aligned.right(place),
    )
