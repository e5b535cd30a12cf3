"""Was a probe's advice borne out? The best model that took it against the best that did not, on the same rows. Pure.

nothing was advised                                  no advice
little to gain, and the base is not compared         untested
little to gain: the best surely gains under 5 points borne out; surely over 5: contradicted; else cannot tell
no model took it, or every model did                 untested
the best that took it is better than the best other  borne out
it is worse                                          contradicted
a tie                                                cannot tell
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from nameplate.compare.results import AdviceTest, Bearing
from nameplate.records import ComponentName
from nameplate.report.probe import SIDES
from nameplate.stages.probe.results import Advice
from nameplate.stages.probe.thresholds import CLOSE
from nameplate.statistics import Outcome, PairedComparison, compare_pairs, p_text, points_text

BEARINGS: Final[dict[Outcome, Bearing]] = {"better": "borne_out", "worse": "contradicted", "tie": "cannot_tell"}
WORDS: Final[dict[Bearing, str]] = {
    "borne_out": "borne out",
    "contradicted": "contradicted",
    "cannot_tell": "cannot tell",
    "untested": "not put to the test",
    "no_advice": "nothing to follow",
}


@dataclass(frozen=True)
class Tried:
    """One model as evidence."""

    label: str
    components: tuple[ComponentName, ...] | None
    """What learned; none: an untrained base."""
    validation: float | None
    """Its accuracy where checkpoints are chosen; none: not known."""
    right: Sequence[bool]
    """Whether it was right, by compared row."""

    @property
    def share(self) -> float:
        """Of the compared rows, those that it got right."""
        return sum(self.right) / len(self.right)


def weigh_advice(
    advice: Advice, component: ComponentName | None, models: Sequence[Tried], *, groups: Sequence[Hashable]
) -> AdviceTest:
    """Lay what was advised beside what came out.

    Args:
        advice: the probe's.
        component: what it advises to thaw; none: nothing.
        models: all that are compared, on the same rows.
        groups: the product of each row.
    """
    if advice is Advice.LITTLE_TO_GAIN:
        return _little(models, groups)
    if component is None:
        return AdviceTest(bearing="no_advice", followed=[], left=[], sentence="The probe gave no advice to follow.")
    trained = [each for each in models if each.components is not None]
    followed = [each for each in trained if component in (each.components or ())]
    left = [each for each in trained if each not in followed]
    labels = {"followed": [each.label for each in followed], "left": [each.label for each in left]}
    if not followed or not left:
        return AdviceTest(bearing="untested", **labels, sentence=_untested(component, followed, left))
    took, other = _best(followed), _best(left)
    found = compare_pairs(other.right, took.right, groups=groups)
    bearing = BEARINGS[found.outcome()]
    return AdviceTest(
        bearing=bearing,
        **labels,
        best_followed=took.label,
        best_left=other.label,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        sentence=_tested(component, followed, left, found, bearing),
    )


def _little(models: Sequence[Tried], groups: Sequence[Hashable]) -> AdviceTest:
    said = f"The probe said that training would gain little (under {100 * CLOSE:.0f} points)."
    base = next((each for each in models if each.components is None), None)
    trained = [each for each in models if each.components is not None]
    if base is None or not trained:
        return AdviceTest(
            bearing="untested", followed=[], left=[], sentence=f"{said} Compare with RUN:base to see whether it did."
        )
    best = _best(trained)
    found = compare_pairs(base.right, best.right, groups=groups)
    bearing: Bearing = "borne_out" if found.high < CLOSE else "contradicted" if found.low > CLOSE else "cannot_tell"
    gained = f"{best.label} gains {100 * found.difference:+.1f} points ({points_text(found.low, found.high)})"
    return AdviceTest(
        bearing=bearing,
        followed=[],
        left=[each.label for each in trained],
        best_left=best.label,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        sentence=f"{said} {gained}: {WORDS[bearing]}.",
    )


def _best(models: Sequence[Tried]) -> Tried:
    """By validation, so that the compared rows do not choose what they judge; where it is not known, by those rows."""
    if all(each.validation is not None for each in models):
        return max(models, key=lambda each: each.validation or 0.0)
    return max(models, key=lambda each: each.share)


def _untested(component: ComponentName, followed: Sequence[Tried], left: Sequence[Tried]) -> str:
    said = f"The probe advised thawing {SIDES[component]}."
    if not followed and not left:
        return f"{said} No trained model is compared, so nothing tells whether it was right."
    every = "Every trained model here thaws it" if followed else "No model here thaws it"
    return f"{said} {every}, so it was not put to the test: that takes a model of either kind."


def _tested(
    component: ComponentName,
    followed: Sequence[Tried],
    left: Sequence[Tried],
    found: PairedComparison,
    bearing: Bearing,
) -> str:
    took, other = _best(followed), _best(left)
    facts = (
        f"The probe advised thawing {SIDES[component]}. {_reach(followed, 'does', 'do')} "
        f"{_shares(followed)}, {_reach(left, 'leaves it frozen', 'leave it frozen').lower()} {_shares(left)}"
    )
    which = (
        "" if len(followed) == len(left) == 1 else f"{took.label} against {other.label}, each the best of its kind: "
    )
    test = f"{which}{100 * found.difference:+.1f} points, {points_text(found.low, found.high)}, {p_text(found.p_value)}"
    verdict = {
        "borne_out": "borne out",
        "contradicted": "contradicted",
        "cannot_tell": "cannot tell, since such a difference can be chance",
    }[bearing]
    return f"{facts}: {verdict} ({test}).{_otherwise(component, took, other)}"


def _reach(models: Sequence[Tried], one: str, several: str) -> str:
    return f"The policy that {one} reached" if len(models) == 1 else f"The policies that {several} reached"


def _shares(models: Sequence[Tried]) -> str:
    return " and ".join(f"{each.share:.1%}" for each in models)


def _otherwise(component: ComponentName, took: Tried, other: Tried) -> str:
    """What else tells the two apart: an advice is about one component, policies differ in more."""
    more = sorted({*(took.components or ())} ^ {*(other.components or ())} - {component}, key=list(SIDES).index)
    parts = [
        f"{SIDES[part]} (learns in {took.label if part in (took.components or ()) else other.label} only)"
        for part in more
        if part != component
    ]
    return f" The two also differ in {' and '.join(parts)}." if parts else ""
