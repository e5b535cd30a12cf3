"""The probe on real models: it finds where a name is lost on its way, and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from tests.models.tiny_run import write_tiny_run

from nameplate import detours
from nameplate.errors import InputError, ModelError
from nameplate.models import respondent
from nameplate.models.load import load_model
from nameplate.models.probing import shelf
from nameplate.names import build_registry
from nameplate.pipeline import Pipeline
from nameplate.progress import SilentProgress
from nameplate.recipe import Recipe, build_recipe
from nameplate.records import SCHEMAS
from nameplate.stages.probe import ProbeChoices, ProbeSummary, read_probe, run_probe
from nameplate.stages.probe import ocr as ocr_module
from nameplate.stages.probe.results import Advice, Baseline, GapName, Level, Reason
from nameplate.stages.probe.sample import ProbedRow, draw_sample, folds_of
from nameplate.stages.probe.texts import is_text, read_texts
from nameplate.store.rundir import RunDirectory

from .audit_shop import recipe_tree, truthful, write_shop

REGISTRY = build_registry({"Acme": 10, "Zeta": 10})
ROWS = 60

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """Red things by one name and blue ones by the other."""
    return write_tiny_run(tmp_path / "run", train=40, validation=ROWS, test=8)


def damaged(base: Path, folder: Path, damage: Callable[[Any], None]) -> Path:
    """The base with something done to its weights."""
    loaded = load_model(str(base))
    model: Any = loaded.model
    with torch.no_grad():
        damage(model.model)
    model.save_pretrained(folder)
    loaded.processor.save(folder)
    return folder


def zero(module: torch.nn.Module) -> None:
    for parameter in module.parameters():
        parameter.zero_()


def recipe_for(base: Path) -> Recipe:
    tree = {"table": {"source": "feed.csv"}, "model": {"base": str(base)}, "score": {"max_new_tokens": 4}}
    return build_recipe(tree, where="test")


def probe(run: RunDirectory, base: Path, choices: ProbeChoices | None = None) -> ProbeSummary:
    choices = choices or ProbeChoices()
    return run_probe(recipe_for(base), choices, run=run, split="one", registry=REGISTRY, progress=SilentProgress())


def reasons(found: ProbeSummary) -> set[Reason]:
    return {finding.reason for finding in found.findings}


def test_a_model_that_sees_and_does_not_say_gets_its_language_side_thawed(run: RunDirectory, base: Path) -> None:
    found = probe(run, base)
    assert found.advice is Advice.THAW_LANGUAGE
    assert reasons(found) >= {Reason.EYE_SEPARATES, Reason.LANGUAGE_LOSES}
    levels = found.evidence.levels
    assert levels[Level.EYE].count == levels[Level.PROJECTOR].count == ROWS
    assert levels[Level.SAYS].count == 0
    assert found.ceiling.scored.top1.low > 0.9
    assert (found.read, found.counts.tried, found.counts.train) == ("validation", ROWS, 40)
    assert read_probe(run) == found


def test_a_dead_projector_is_found(run: RunDirectory, base: Path, tmp_path: Path) -> None:
    dead = damaged(base, tmp_path / "dead", lambda model: zero(model.multi_modal_projector))
    found = probe(run, dead)
    assert found.advice is Advice.THAW_PROJECTOR
    assert reasons(found) >= {Reason.EYE_SEPARATES, Reason.PROJECTOR_LOSES}
    assert Reason.LANGUAGE_LOSES not in reasons(found)
    assert found.evidence.levels[Level.PROJECTOR].value <= 0.5


def test_a_blind_eye_is_found(base: Path, tmp_path: Path) -> None:
    run = write_tiny_run(tmp_path / "many", train=40, validation=260, test=8)
    blind = damaged(base, tmp_path / "blind", lambda model: zero(model.vision_tower))
    found = probe(run, blind)
    assert found.advice is Advice.THAW_VISION
    assert Reason.EYE_POOR in reasons(found)


def test_the_baselines_are_on_the_same_rows(run: RunDirectory, base: Path) -> None:
    found = {each.baseline: each for each in probe(run, base).baselines}
    assert set(found) == set(Baseline) - {Baseline.TEXT_IN_IMAGE}
    assert {each.scored.top1.n for each in found.values()} == {ROWS}
    assert found[Baseline.MAJORITY].answer in ("Acme", "Zeta")
    assert found[Baseline.MAJORITY].scored.top1.count == ROWS // 2
    assert found[Baseline.MAJORITY].scored.macro.value == 0.5
    for blind in (Baseline.TEXT_ONLY, Baseline.BLANK):
        assert found[blind].answer is not None
    # A random model has a favourite: taken away, it may still not see, but it does not always say the same.
    assert found[Baseline.CLOSED].scored.top1.n == ROWS


def test_nothing_is_looked_at_or_asked_twice(run: RunDirectory, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = probe(run, base)

    def not_again(*_: object, **__: object) -> None:
        raise AssertionError("the model was loaded although everything is known")

    monkeypatch.setattr(respondent, "load_model", not_again)
    assert probe(run, base) == first


def test_test_is_read_only_when_asked(run: RunDirectory, base: Path) -> None:
    seen = {key.sha256 for key in draw_sample(run, read="validation", most=100, seed=0).images}
    rows = run.tables("split").read_kept().to_pylist()
    assert not seen & {row["image_sha256"] for row in rows if row["split"] == "test"}
    found = probe(run, base, ProbeChoices(test=True))
    assert (found.read, found.counts.tried) == ("test", 8)
    assert found.advice is Advice.CANNOT_TELL
    assert reasons(found) >= {Reason.TOO_FEW_ROWS}


def test_a_leaked_label_in_the_validation_rows_changes_nothing_that_is_chosen(run: RunDirectory, base: Path) -> None:
    """Settings and readers come from training rows alone."""
    before = probe(run, base)
    rows = run.tables("split").read_kept().to_pylist()
    for row in rows:
        if row["split"] == "validation":
            row["name"] = "Zeta" if row["name"] == "Acme" else "Acme"
    rewrite(run, rows)
    after = probe(run, base)
    chosen = [(each.view, each.reader, each.setting, each.folds) for each in before.readings]
    assert chosen == [(each.view, each.reader, each.setting, each.folds) for each in after.readings]
    assert after.evidence.levels[Level.EYE].count == 0


def rewrite(run: RunDirectory, rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMAS["split"])
    empty = pa.array([], pa.string())
    run.tables("split").write(0, table, table.slice(0, 0).append_column("reason", empty).append_column("detail", empty))


def changed(run: RunDirectory, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    rows = [change(row) for row in run.tables("split").read_kept().to_pylist()]
    rewrite(run, [row for row in rows if row is not None])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda row: {**row, "name": "Acme"}, "1 names with at least 2 training images"),
        (lambda row: {**row, "name": ""}, "no training row with a name"),
        (
            lambda row: row if row["split"] != "train" or row["row_id"] in ("train-0", "train-1") else None,
            "0 names with at least 2 training images",
        ),
        (lambda row: row if row["split"] != "validation" else None, "no rows in validation"),
    ],
)
def test_a_split_that_cannot_be_probed_says_why(
    run: RunDirectory,
    base: Path,
    change: Callable[[dict[str, Any]], dict[str, Any] | None],
    words: str,
) -> None:
    changed(run, change)
    with pytest.raises(InputError, match=words):
        probe(run, base)
    assert not run.probe_path.exists()


def test_a_rare_name_is_left_out_and_named(run: RunDirectory, base: Path) -> None:
    changed(run, lambda row: {**row, "name": "Rare"} if row["row_id"] in ("train-3", "validation-1") else row)
    found = probe(run, base)
    assert found.counts.left_out == ["Rare"]
    assert (found.counts.tried, found.counts.tried_total) == (ROWS - 1, ROWS)
    assert (found.counts.train, found.counts.train_total) == (39, 40)


def test_a_missing_image_is_named(run: RunDirectory, base: Path) -> None:
    row = run.tables("split").read_kept().to_pylist()[5]
    run.images.path(row["image_sha256"], row["image_ext"]).unlink()
    with pytest.raises(InputError, match=row["image_sha256"]):
        probe(run, base)


def test_a_model_that_shows_nothing_is_refused(run: RunDirectory, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "look", lambda loaded, images, prompt: [{} for _ in range(len(images))])
    with pytest.raises(ModelError, match="shows neither"):
        probe(run, base)


def test_a_cap_draws_from_every_name(run: RunDirectory) -> None:
    sample = draw_sample(run, read="validation", most=10, seed=0)
    assert sorted(row.name for row in sample.train) == ["Acme"] * 5 + ["Zeta"] * 5
    assert sample.train_total == 40
    other = draw_sample(run, read="validation", most=10, seed=1)
    assert {row.row_id for row in sample.train} != {row.row_id for row in other.train}


def test_no_product_is_in_two_folds(run: RunDirectory) -> None:
    rows = draw_sample(run, read="validation", most=100, seed=0).train
    grouped = [
        ProbedRow(row.row_id, row.name, f"g{place // 4}", row.image, None, None) for place, row in enumerate(rows)
    ]
    folds = folds_of(grouped, seed=0)
    pairs = {(row.group, fold) for row, fold in zip(grouped, folds, strict=True)}
    assert len(pairs) == len({row.group for row in grouped}) == 10
    assert set(folds) == {0, 1, 2}


def test_words_in_images_are_read_once_and_split_the_rows(
    run: RunDirectory, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader is a stand-in: it finds the name in every other image."""
    rows = run.tables("split").read_kept().to_pylist()
    held_out = [row for row in rows if row["split"] != "train"]
    validation = [row for row in rows if row["split"] == "validation"]
    words = {row["image_sha256"]: row["name"] if place % 2 else "" for place, row in enumerate(validation)}
    words |= {row["image_sha256"]: "SALE" for row in held_out if row["split"] == "test"}
    asked: list[str] = []

    class Words:
        def __init__(self, text: str) -> None:
            self.txts = (text,) if text else None

    def engine(path: str) -> Words:
        asked.append(path)
        return Words(words[Path(path).stem])

    monkeypatch.setattr(ocr_module, "check_installed", lambda: "1")
    monkeypatch.setattr("nameplate.stages.probe.probe.check_installed", lambda: "1")
    monkeypatch.setattr(ocr_module, "_engine", lambda: engine)
    found = probe(run, base, ProbeChoices(ocr=True))
    text = next(each for each in found.baselines if each.baseline is Baseline.TEXT_IN_IMAGE)
    assert text.scored.top1.count == ROWS // 2
    slices = {part.label: part for part in found.slices if part.kind == "text in the image"}
    assert {label: part.rows for label, part in slices.items()} == {"words can be read": 30, "no words": 30}
    count = len(asked)
    probe(run, base, ProbeChoices(ocr=True))
    assert len(asked) == count == len({row["image_sha256"] for row in held_out})
    # The page parts its figures by this; it is there for test, too, of which the probe reads nothing else.
    visible = read_texts(run)
    assert visible == {row["row_id"]: bool(words[row["image_sha256"]]) for row in held_out}
    assert (found.read, found.counts.tried) == ("validation", ROWS)


@pytest.mark.parametrize(
    ("words", "text"),
    [("", False), ("O", False), ("\u25cf", False), ("O o", False), ("__", False), ("by Acme", True), ("50", True),
     ("\u65b0\u54c1", True)],
)  # fmt: skip
def test_a_circle_that_is_read_as_a_letter_is_no_text(words: str, text: bool) -> None:
    assert is_text(words) is text


def test_without_the_program_that_reads_words_nothing_is_begun(
    run: RunDirectory, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocr_module, "PACKAGE", "no-such-package-here")
    with pytest.raises(InputError, match=r"install nameplate\[ocr\]"):
        probe(run, base, ProbeChoices(ocr=True))
    assert not run.looks.exists()


def test_a_run_is_probed_when_its_split_is_there_and_its_own(tmp_path: Path, base: Path) -> None:
    tree = recipe_tree(tmp_path / "shop", named=True) | {
        "model": {"base": str(base)},
        "split": {"min_per_name": 4, "validation": 12, "test": 6, "near_bits": None},
        "score": {"max_new_tokens": 4},
    }
    pipeline = write_shop(tmp_path / "shop", truthful, rows=42, named=True)
    pipeline = Pipeline(build_recipe(tree, where="test"), pipeline.run_directory)
    with pytest.raises(InputError, match="no split; run nameplate split"):
        detours.probe(pipeline, ProbeChoices())
    assert not pipeline.run_directory.folder("ingest").exists(), "a probe asks no shop and no teacher"
    pipeline.run(until="split")
    report = pipeline.fingerprints(until="report")["report"]
    found = detours.probe(pipeline, ProbeChoices())
    assert pipeline.fingerprints(until="report")["report"] != report, "the page would not show the probe"
    assert found.split == pipeline.run_directory.manifest.stages["split"].fingerprint
    assert found.advice is Advice.CANNOT_TELL
    assert found.evidence.names == 6
    assert found.readings[0].scored.top5 is not None
    assert GapName.CEILING in found.evidence.gaps
    section = pipeline.recipe.split.model_copy(update={"seed": 5})
    other = Pipeline(pipeline.recipe.model_copy(update={"split": section}), pipeline.run_directory)
    with pytest.raises(InputError, match="a split of another table or recipe"):
        detours.probe(other, ProbeChoices())
    nowhere = pipeline.recipe.model.model_copy(update={"base": str(tmp_path / "nowhere")})
    lost = Pipeline(pipeline.recipe.model_copy(update={"model": nowhere}), pipeline.run_directory)
    with pytest.raises(ModelError, match="no such folder"):
        detours.probe(lost, ProbeChoices())
