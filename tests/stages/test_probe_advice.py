"""The advice as a truth table, on evidence made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nameplate.recipe import build_recipe
from nameplate.stages.probe.advice import RECIPES, conclude
from nameplate.stages.probe.counting import gap_between, proportion, sure_share
from nameplate.stages.probe.results import Advice, Evidence, GapName, Level, Reason

from .probe_figures import evidence

A, R = Advice, Reason
SEES = {R.EYE_SEPARATES, R.PROJECTOR_KEEPS}

TABLE = [
    # The eye separates, the model does not say: where the answer begins it can be read, or it cannot.
    (evidence(0.81, 0.80, 0.78, 0.12), A.THAW_LANGUAGE, SEES | {R.LANGUAGE_LOSES, R.AT_ANSWER_UNSAID}),
    (
        evidence(0.81, 0.80, 0.40, 0.12),
        A.THAW_LANGUAGE,
        SEES | {R.LANGUAGE_LOSES, R.AT_ANSWER_UNSAID, R.NOT_AT_ANSWER},
    ),
    (evidence(0.81, 0.80, 0.14, 0.12), A.THAW_LANGUAGE, SEES | {R.LANGUAGE_LOSES, R.NOT_AT_ANSWER}),
    # The projector loses most of it; what is left is said.
    (evidence(0.85, 0.40, 0.38, 0.36), A.THAW_PROJECTOR, {R.EYE_SEPARATES, R.PROJECTOR_LOSES, R.LANGUAGE_SAYS}),
    # Both lose: the larger loss is named first, the other one stands among the reasons.
    (
        evidence(0.90, 0.50, 0.50, 0.20),
        A.THAW_PROJECTOR,
        {R.EYE_SEPARATES, R.PROJECTOR_LOSES, R.LANGUAGE_LOSES, R.AT_ANSWER_UNSAID},
    ),
    (
        evidence(0.90, 0.75, 0.75, 0.20),
        A.THAW_LANGUAGE,
        {R.EYE_SEPARATES, R.PROJECTOR_LOSES, R.LANGUAGE_LOSES, R.AT_ANSWER_UNSAID},
    ),
    # What is left behind the projector is chance: the language model loses nothing that it was given.
    (
        evidence(1.0, 0.50, 0.50, 0.0, majority=0.5),
        A.THAW_PROJECTOR,
        {R.EYE_SEPARATES, R.PROJECTOR_LOSES, R.LANGUAGE_UNCLEAR, R.ANSWERS_BLINDLY},
    ),
    # The eye is poor: nothing downstream can mend that, whatever it loses itself.
    (evidence(0.30, 0.30, 0.28, 0.27), A.THAW_VISION, {R.EYE_POOR, R.PROJECTOR_KEEPS, R.LANGUAGE_SAYS}),
    (
        evidence(0.37, 0.37, 0.36, 0.02),
        A.THAW_VISION,
        {R.EYE_POOR, R.PROJECTOR_KEEPS, R.LANGUAGE_LOSES, R.AT_ANSWER_UNSAID, R.ANSWERS_BLINDLY},
    ),
    (
        evidence(0.30, 0.30, 0.28, 0.27, shrunk=2.5),
        A.THAW_VISION,
        {R.EYE_POOR, R.MORE_RESOLUTION, R.PROJECTOR_KEEPS, R.LANGUAGE_SAYS},
    ),
    # A high share that the commonest name alone would reach is no sight.
    (
        evidence(0.90, 0.90, 0.90, 0.90, majority=0.88),
        A.THAW_VISION,
        {R.EYE_POOR, R.PROJECTOR_KEEPS, R.LANGUAGE_SAYS},
    ),
    # What passes the eye shows that it sees, even where the readers are short of rows.
    (evidence(0.40, 0.42, 0.45, 0.90, per_name=100), A.LITTLE_TO_GAIN, SEES | {R.LANGUAGE_SAYS, R.AT_CEILING}),
    # Everything is said that can be read.
    (evidence(0.95, 0.95, 0.95, 0.95), A.LITTLE_TO_GAIN, SEES | {R.LANGUAGE_SAYS, R.AT_CEILING}),
    # Intervals that reach over the thresholds: nothing is told.
    (evidence(0.80, 0.78, 0.75, 0.70), A.CANNOT_TELL, {R.EYE_SEPARATES, R.PROJECTOR_UNCLEAR, R.LANGUAGE_UNCLEAR}),
    (
        evidence(0.60, 0.58, 0.58, 0.55),
        A.CANNOT_TELL,
        {R.EYE_UNCLEAR, R.PROJECTOR_UNCLEAR, R.LANGUAGE_SAYS},
    ),
    (
        evidence(0.60, 0.59, 0.58, 0.10, shrunk=3.0),
        A.THAW_LANGUAGE,
        {R.EYE_UNCLEAR, R.MORE_RESOLUTION, R.PROJECTOR_KEEPS, R.LANGUAGE_LOSES, R.AT_ANSWER_UNSAID},
    ),
    # A family that shows less.
    (
        evidence(None, None, 0.80, 0.12),
        A.THAW_LANGUAGE,
        {R.EYE_SEPARATES, R.LANGUAGE_LOSES, R.AT_ANSWER_UNSAID, R.VIEW_MISSING},
    ),
    (evidence(0.81, 0.80, None, 0.12), A.THAW_LANGUAGE, SEES | {R.LANGUAGE_LOSES, R.VIEW_MISSING}),
    # Cautions change nothing.
    (
        evidence(0.81, 0.80, 0.78, 0.05, blank=0.05, half=0.70, per_name=8),
        A.THAW_LANGUAGE,
        SEES | {R.LANGUAGE_LOSES, R.AT_ANSWER_UNSAID, R.ANSWERS_BLINDLY, R.MORE_ROWS_HELP, R.FEW_PER_NAME},
    ),
]


@pytest.mark.parametrize(("given", "advice", "reasons"), TABLE)
def test_the_advice_follows_from_the_evidence(given: Evidence, advice: Advice, reasons: set[Reason]) -> None:
    concluded = conclude(given)
    assert {finding.reason for finding in concluded.findings} == reasons
    assert concluded.advice is advice


@pytest.mark.parametrize("rows", [3, 20, 49])
def test_no_advice_is_ever_given_on_few_rows(rows: int) -> None:
    for given in (evidence(1.0, 1.0, 1.0, 0.0, rows=rows), evidence(0.0, 0.0, 0.0, 0.0, rows=rows)):
        concluded = conclude(given)
        assert concluded.advice is Advice.CANNOT_TELL
        assert concluded.findings[0].reason is Reason.TOO_FEW_ROWS


def test_the_sentence_tells_every_level_with_its_interval() -> None:
    concluded = conclude(evidence(0.81, 0.79, 0.40, 0.12))
    assert concluded.sentence == (
        "the eye separates 81 % (77 to 85), the projector keeps 79 % (75 to 83), the last token 40 % (35 to 45), "
        "the model says 12 % (9 to 16): thaw the language side (LoRA); the eye is not the limit."
    )


def test_every_finding_cites_an_interval() -> None:
    for given, _, _ in TABLE:
        for finding in conclude(given).findings:
            if finding.kind in ("limit", "fine") and finding.reason is not Reason.MORE_RESOLUTION:
                assert " to " in finding.sentence, finding


@pytest.mark.parametrize("advice", Advice)
def test_what_is_advised_is_a_recipe(advice: Advice) -> None:
    import yaml

    text = RECIPES[advice]
    assert bool(text) is (advice in (A.THAW_LANGUAGE, A.THAW_PROJECTOR, A.THAW_VISION))
    if text:
        train = build_recipe({"table": {"source": "feed.csv"}, "train": yaml.safe_load(text)}, where="advice").train
        learns = {name for name in ("vision", "projector", "language") if getattr(train, name).learns}
        wanted = {A.THAW_LANGUAGE: "language", A.THAW_PROJECTOR: "projector", A.THAW_VISION: "vision"}[advice]
        assert wanted in learns
        assert (advice is A.THAW_LANGUAGE) <= ("vision" not in learns)


def test_two_levels_that_differ_by_chance_alone_seldom_make_a_loss() -> None:
    """60 probes of an eye and an answer that are equally good: under five in a hundred may find a loss."""
    rng, wrong, groups = np.random.default_rng(0), 0, [str(place // 2) for place in range(120)]
    for seed in range(60):
        eye, says = (list(map(bool, rng.random(120) < 0.8)) for _ in range(2))
        gap = gap_between(eye, says, groups, seed=seed)
        given = evidence(0.8, None, None, 0.8, rows=120)
        levels = {Level.EYE: proportion(sum(eye), 120), Level.SAYS: proportion(sum(says), 120)}
        sure = {Level.EYE: sure_share(eye, groups, seed=seed), Level.SAYS: sure_share(says, groups, seed=seed)}
        gaps = {GapName.LANGUAGE: gap, GapName.CEILING: gap}
        changed = given.model_copy(update={"levels": levels, "sure": sure, "gaps": gaps})
        wrong += conclude(changed).advice in (A.THAW_LANGUAGE, A.THAW_PROJECTOR, A.THAW_VISION)
    assert wrong / 60 < 0.05
