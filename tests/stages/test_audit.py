"""The audit on a real model: it tells captions that are worse than the base from captions that it can learn from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from nameplate.detours import audit
from nameplate.errors import ModelError
from nameplate.models import respondent
from nameplate.pipeline import Pipeline
from nameplate.stages.audit import AuditChoices, AuditSummary, read_audit
from nameplate.stages.audit.results import AuditReason, AuditVerdict
from nameplate.store.journal import Journal

from .audit_shop import general, miscoloured, truthful, write_shop
from .test_audit_judge import judging

ROWS = 54

pytestmark = pytest.mark.usefixtures("one_thread")


class Audited(NamedTuple):
    pipeline: Pipeline
    found: AuditSummary


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the base says of the pictures: the same for all captions, so asked once."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Audited:
    """Captions that hold the brands, which the starter does not know."""
    pipeline = write_shop(tmp_path_factory.mktemp("audit") / "shop", truthful, rows=ROWS, named=True, store=store)
    return Audited(pipeline, audit(pipeline, AuditChoices()))


def reasons(found: AuditSummary, side: str) -> set[AuditReason]:
    return {finding.reason for finding in found.findings if finding.side == side}


def test_captions_that_say_less_than_the_base_are_not_worth_training_on(tmp_path: Path, store: Path) -> None:
    found = audit(write_shop(tmp_path / "shop", general, rows=ROWS, named=False, store=store), AuditChoices())
    assert (found.verdict, found.verdict.exit_code) == (AuditVerdict.DO_NOT_TRAIN, 1)
    assert reasons(found, "against") >= {AuditReason.BASE_SAYS_MORE, AuditReason.CAPTIONS_IGNORE_IMAGE}
    assert reasons(found, "for") == set()
    assert found.figures.names is None


def test_names_that_the_base_does_not_know_are_worth_teaching(taught: Audited) -> None:
    found = taught.found
    assert (found.verdict, found.verdict.exit_code) == (AuditVerdict.WORTH_TEACHING, 0)
    assert reasons(found, "for") == {AuditReason.NAMES_UNKNOWN_TO_BASE}
    assert reasons(found, "against") == set()
    names = found.figures.names
    assert names is not None
    assert names.captions.count == ROWS
    assert names.base.count <= ROWS // 5
    # The rule of the notes, per token, would have failed these true captions: that is why totals are compared.
    gain = found.figures.gain
    assert gain.captions_per_token.value < gain.base_per_token.value
    assert gain.captions.value > 0.6 * gain.base.value


def test_the_same_captions_in_a_small_sample_are_inconclusive_and_ask_nothing_again(
    taught: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(taught.pipeline.run_directory.prediction_journal) as journal:
        before = len(journal)

    def not_again(*_: object, **__: object) -> None:
        raise AssertionError("the model was loaded although everything is known")

    monkeypatch.setattr(respondent, "load_model", not_again)
    found = audit(taught.pipeline, AuditChoices(rows=20))
    assert (found.verdict, found.verdict.exit_code) == (AuditVerdict.INCONCLUSIVE, 1)
    assert AuditReason.TOO_FEW_ROWS in reasons(found, "open")
    assert found.rows == 20
    assert read_audit(taught.pipeline.run_directory) == found
    with Journal(taught.pipeline.run_directory.prediction_journal) as journal:
        assert len(journal) == before


def test_the_judge_sees_both_texts_without_the_names(taught: Audited) -> None:
    with judging(lambda first, second: "WINNER: 1") as (address, asked):
        recipe = taught.pipeline.recipe
        teacher = recipe.caption.teacher.model_copy(update={"base_urls": (address,)})
        caption = recipe.caption.model_copy(update={"teacher": teacher})
        pipeline = Pipeline(recipe.model_copy(update={"caption": caption}), taught.pipeline.run_directory)
        found = audit(pipeline, AuditChoices(rows=6, judge="judge"))
    judge = found.figures.judge
    assert judge is not None
    assert (judge.n, judge.ties, judge.flips.count, judge.is_teacher) == (6, 6, 6, False)
    texts = [body["messages"][0]["content"][1]["text"] for body in asked]
    assert len(texts) == 12
    assert all(text.count("[name]") >= 3 for text in texts)
    assert not [pair.name for pair in found.pairs for text in texts if pair.name in text]


def test_false_colours_are_contradicted_and_only_the_names_are_worth_teaching(tmp_path: Path, store: Path) -> None:
    found = audit(write_shop(tmp_path / "shop", miscoloured, rows=ROWS, named=True, store=store), AuditChoices())
    assert found.verdict is AuditVerdict.ONLY_THE_NAME
    assert reasons(found, "against") >= {AuditReason.CAPTIONS_CONTRADICTED, AuditReason.BASE_SAYS_MORE}
    colour = next(factor for factor in found.figures.claims.factors if factor.factor == "colour")
    kind = next(factor for factor in found.figures.claims.factors if factor.factor == "kind")
    assert colour.captions.value > 0.5 > 0.1 > colour.base.value
    assert kind.captions.value < 0.15


def test_a_base_that_is_not_there_is_known_before_anything_is_asked(tmp_path: Path) -> None:
    pipeline = write_shop(tmp_path / "shop", general, rows=2, named=False)
    model = pipeline.recipe.model.model_copy(update={"base": str(tmp_path / "nowhere")})
    pipeline.recipe = pipeline.recipe.model_copy(update={"model": model})
    with pytest.raises(ModelError, match="no such folder"):
        audit(pipeline, AuditChoices())
    assert not pipeline.run_directory.folder("fetch").exists()
