"""What became of a probe's advice: a truth table over models whose answers are written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nameplate.compare.advice import Tried, weigh_advice
from nameplate.compare.results import AdviceTest, Bearing
from nameplate.records import ComponentName
from nameplate.stages.probe.results import Advice

ROWS = 200
EYE: tuple[ComponentName, ...] = ("vision", "projector")
LANGUAGE: tuple[ComponentName, ...] = ("projector", "language")
PROJECTOR: tuple[ComponentName, ...] = ("projector",)


def model(
    label: str, components: tuple[ComponentName, ...] | None, right: int, *, validation: float | None = None
) -> Tried:
    """A model that gets so many of the first rows right."""
    known = right / ROWS if validation is None else validation
    return Tried(label, components, known, [place < right for place in range(ROWS)])


def weigh(advice: Advice, component: ComponentName | None, *models: Tried, groups: Sequence[int] = ()) -> AdviceTest:
    return weigh_advice(advice, component, models, groups=groups or range(ROWS))


BASE = model("base", None, 0)
TABLE: list[tuple[str, Advice, ComponentName | None, list[Tried], Bearing]] = [
    ("the one that took it is better", Advice.THAW_LANGUAGE, "language",
     [BASE, model("eye", EYE, 140), model("lora", LANGUAGE, 194)], "borne_out"),
    ("the one that took it is worse", Advice.THAW_LANGUAGE, "language",
     [BASE, model("eye", EYE, 194), model("lora", LANGUAGE, 140)], "contradicted"),
    ("they tie", Advice.THAW_LANGUAGE, "language",
     [BASE, model("eye", EYE, 150), model("lora", LANGUAGE, 153)], "cannot_tell"),
    ("they are the same", Advice.THAW_LANGUAGE, "language",
     [model("eye", EYE, 150), model("lora", LANGUAGE, 150)], "cannot_tell"),
    ("nobody took it", Advice.THAW_LANGUAGE, "language",
     [BASE, model("eye", EYE, 190), model("projector", PROJECTOR, 20)], "untested"),
    ("everybody took it", Advice.THAW_PROJECTOR, "projector",
     [BASE, model("eye", EYE, 190), model("lora", LANGUAGE, 20)], "untested"),
    ("only the base is there", Advice.THAW_VISION, "vision", [BASE], "untested"),
    ("the eye, of all three kinds", Advice.THAW_VISION, "vision",
     [BASE, model("eye", EYE, 190), model("lora", LANGUAGE, 90), model("projector", PROJECTOR, 20)], "borne_out"),
    ("nothing was advised", Advice.CANNOT_TELL, None, [BASE, model("eye", EYE, 190)], "no_advice"),
    ("little to gain, and little was", Advice.LITTLE_TO_GAIN, None,
     [model("base", None, 190), model("eye", EYE, 191)], "borne_out"),
    ("little to gain, and much was", Advice.LITTLE_TO_GAIN, None,
     [model("base", None, 100), model("eye", EYE, 190)], "contradicted"),
    ("little to gain, and it may be", Advice.LITTLE_TO_GAIN, None,
     [model("base", None, 170), model("eye", EYE, 180)], "cannot_tell"),
    ("little to gain, without the base", Advice.LITTLE_TO_GAIN, None, [model("eye", EYE, 190)], "untested"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "advice", "component", "models", "bearing"), TABLE, ids=[row[0] for row in TABLE])
def test_the_table(
    case: str, advice: Advice, component: ComponentName | None, models: list[Tried], bearing: Bearing
) -> None:
    assert weigh(advice, component, *models).bearing == bearing, case


def test_the_sentence_says_who_took_it_what_they_reached_and_how_sure_that_is() -> None:
    models = (BASE, model("eye", EYE, 140), model("lora", LANGUAGE, 194))
    found = weigh(Advice.THAW_LANGUAGE, "language", *models)
    assert found.sentence == (
        "The probe advised thawing the language side. The policy that does reached 97.0%, the policy that leaves it "
        "frozen reached 70.0%: borne out (+27.0 points, +20.9 to +33.5, p < 0.001). "
        "The two also differ in the eye (learns in eye only)."
    )
    assert (found.best_followed, found.best_left) == ("lora", "eye")


def test_each_side_is_judged_by_the_model_that_validation_prefers() -> None:
    """The compared rows must not choose what they judge: on them the other one happens to look better."""
    models = (
        model("eye", EYE, 160, validation=0.7),
        model("lora-a", LANGUAGE, 150, validation=0.9),
        model("lora-b", LANGUAGE, 199, validation=0.8),
    )
    found = weigh(Advice.THAW_LANGUAGE, "language", *models)
    assert (found.best_followed, found.bearing) == ("lora-a", "contradicted")
    assert "The policies that do reached 75.0% and 99.5%" in found.sentence
    assert "lora-a against eye, each the best of its kind: -5.0 points" in found.sentence


def test_without_validation_the_compared_rows_choose() -> None:
    unknown = [
        Tried(each.label, each.components, None, each.right)
        for each in (model("eye", EYE, 160), model("lora-a", LANGUAGE, 150), model("lora-b", LANGUAGE, 199))
    ]
    assert weigh(Advice.THAW_LANGUAGE, "language", *unknown).best_followed == "lora-b"


def test_images_of_few_products_decide_nothing() -> None:
    models = (model("eye", EYE, 150), model("lora", LANGUAGE, 200))
    groups = [place // 50 for place in range(ROWS)]
    assert weigh(Advice.THAW_LANGUAGE, "language", *models).bearing == "borne_out"
    assert weigh(Advice.THAW_LANGUAGE, "language", *models, groups=groups).bearing == "cannot_tell"


def test_why_it_was_not_put_to_the_test_is_said() -> None:
    nobody = weigh(Advice.THAW_LANGUAGE, "language", BASE, model("eye", EYE, 190)).sentence
    assert "No model here thaws it, so it was not put to the test" in nobody
    everybody = weigh(Advice.THAW_LANGUAGE, "language", model("lora", LANGUAGE, 190)).sentence
    assert "Every trained model here thaws it" in everybody
    alone = weigh(Advice.THAW_LANGUAGE, "language", BASE).sentence
    assert alone.endswith("No trained model is compared, so nothing tells whether it was right.")
