"""Images without a name that are learned from: how often, in which order, what is refused, and that it helps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError
from tests.models.tiny_run import write_tiny_run

from nameplate.errors import InputError, TrainingError
from nameplate.models.images import ImageCache
from nameplate.models.plan.estimate import plan_section
from nameplate.models.plan.hardware import DATA_SHEETS
from nameplate.models.plan.table import Assumptions, known_examples
from nameplate.models.processing import IGNORED
from nameplate.models.processors import load_processor
from nameplate.models.prompts import PROMPTS
from nameplate.pipeline import Pipeline
from nameplate.recipe import ExamplesSection, TrainSection, UnnamedSection
from nameplate.recipe.loading import build_recipe
from nameplate.stages.train import stage
from nameplate.stages.train.epochplan import EpochPlan
from nameplate.stages.train.ranks.deal import DealtPlan
from nameplate.stages.train.ranks.group import Ranks
from nameplate.stages.train.reading import read_training_rows
from nameplate.store.rundir import RunDirectory

from .kill_points import StopAfter
from .scored_run import SECTION, score, train

ANSWER = "I see no brand."
Build = Callable[..., Pipeline]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images and a copy of one."""
    folder = tmp_path / "plain"
    for place, name in enumerate(("a.png", "b.png", "deeper/c.png")):
        paint(folder / name, shade=60 + 40 * place)
    (folder / "deeper" / "copy.png").write_bytes((folder / "a.png").read_bytes())
    return folder


def paint(path: Path, *, shade: int) -> None:
    """No product of the tiny run is grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (40, 36), (shade, shade, shade))
    picture.putpixel((shade % 40, 1), (255, 255, 255))
    picture.save(path)


def wanted(folder: Path, *, share: float = 0.25, answer: str = ANSWER, **examples: Any) -> ExamplesSection:
    unnamed = {"images": str(folder), "share": share, "answer": answer}
    return ExamplesSection.model_validate({"unnamed": unnamed, **examples})


def plan_of(run: RunDirectory, base: Path, section: ExamplesSection, *, max_tokens: int = 192) -> EpochPlan:
    images = ImageCache(run.images, load_processor(base))
    rows = read_training_rows(run, images, PROMPTS, max_tokens=max_tokens, section=section)
    return EpochPlan(rows, batch_size=5, micro_batch_size=2, section=section, seed=0)


@pytest.mark.parametrize("balance", ["none", "uniform"])
def test_they_come_in_turn_among_rows_whose_order_stays(tmp_path: Path, base: Path, folder: Path, balance: str) -> None:
    run = write_tiny_run(tmp_path / "run")
    others = {"balance": balance, "name_question_share": 0.25, "question_answer_share": 0.5}
    before, plan = plan_of(run, base, ExamplesSection(**others)), plan_of(run, base, wanted(folder, **others))
    assert (before.num_examples, plan.num_examples, plan.steps_per_epoch) == (12, 16, 4)
    kinds, seen, places = Counter[str](), Counter[int](), set[int]()
    for epoch in range(9):
        examples = [plan.dataset[index] for index in plan.examples(epoch)]
        rest = [before.dataset[index] for index in before.examples(epoch)]
        assert [each for each in examples if each.row < 12] == rest, "what has a name is asked what it was asked before"
        kinds.update("named" if each.row < 12 else "unnamed" for each in examples)
        seen.update(each.row for each in examples if each.row >= 12)
        places |= {place for place, each in enumerate(examples) if each.row >= 12}
    assert kinds == {"named": 9 * 12, "unnamed": 9 * 4}
    assert seen == {12: 12, 13: 12, 14: 12}, "the copy counts as one image, and each image comes as often as the others"
    assert len(places) > 12, "they stand anywhere"
    assert plan.examples(3) == plan_of(run, base, wanted(folder, **others)).examples(3)


def test_only_the_name_is_asked_for_and_there_is_none(tmp_path: Path, base: Path, folder: Path) -> None:
    plan = plan_of(write_tiny_run(tmp_path / "run"), base, wanted(folder, name_weight=3.0))
    processor = load_processor(base)
    named = plan.rows.questions[0]
    asked = [token for token, label in zip(named.input_ids, named.labels, strict=True) if label == IGNORED]
    for index in (24, 25, 28):
        _, _, encoded, _ = plan.dataset[index]
        answer = [label for label in encoded.labels if label != IGNORED]
        assert processor.decode(answer[:-1]) == ANSWER and answer[-1] == processor.end_id
        assert encoded.input_ids[: -len(answer)] == asked
        assert set(encoded.weights[-len(answer) :]) == {1.0}, "no token of it spells a name"
    assert plan.rows.row_ids[12:] == tuple(
        f"train.examples.unnamed.images/{name}" for name in ("a.png", "b.png", "deeper/c.png")
    )


def test_a_text_beside_an_image_is_its_caption(tmp_path: Path, base: Path, folder: Path) -> None:
    (folder / "b.txt").write_text(" a grey square.\n", encoding="utf-8")
    plan = plan_of(write_tiny_run(tmp_path / "run"), base, wanted(folder, name_question_share=0.5))
    processor = load_processor(base)
    asked: dict[int, set[tuple[bool, str]]] = {12: set(), 13: set(), 14: set()}
    names = []
    for epoch in range(12):
        indices = [index for index in plan.examples(epoch) if index >= 24]
        names.append(sum(index % 2 for index in indices))
        for index in indices:
            labels = [label for label in plan.dataset[index].encoded.labels if label != IGNORED]
            asked[index // 2].add((bool(index % 2), processor.decode(labels[:-1])))
    assert names == [2] * 12
    assert asked[13] == {(True, ANSWER), (False, "a grey square.")}
    assert asked[12] == asked[14] == {(True, ANSWER), (False, ANSWER)}
    captions = plan.rows.captions
    of_rows = {tuple(captions[row].input_ids[: captions[row].labels.index(IGNORED, 1)]) for row in range(12)}
    assert tuple(captions[13].input_ids[: captions[13].labels.index(IGNORED, 1)]) in of_rows, "it is asked as rows are"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            b"a mug by Acme.",
            r"b.png, caption: it says a name of this table, Acme; say it without, or take the image away",
        ),
        (b" \n", r"b.txt: empty; write what the picture shows, or remove the file"),
        (b"\xff\xfe", r"b.txt: not UTF-8; write what"),
    ],
)
def test_a_caption_that_is_none_is_refused(tmp_path: Path, base: Path, folder: Path, text: bytes, found: str) -> None:
    (folder / "b.txt").write_bytes(text)
    with pytest.raises(InputError, match=found):
        plan_of(write_tiny_run(tmp_path / "run"), base, wanted(folder))


def test_several_processes_have_each_example_once(tmp_path: Path, base: Path, folder: Path) -> None:
    plan = plan_of(write_tiny_run(tmp_path / "run"), base, wanted(folder))
    alone = sorted(index for batch in plan for index in batch)
    shares = [DealtPlan(plan, Ranks(rank, 2)) for rank in range(2)]
    dealt = [list(share) for share in shares]
    assert [len(share) for share in shares] == [len(own) for own in dealt]
    assert sorted(index for own in dealt for batch in own for index in batch) == alone
    assert len(plan) == len(list(plan))


@pytest.mark.parametrize("vision", ["frozen", "full"])
def test_a_training_goes_on_as_if_it_had_not_stopped(
    tmp_path: Path, base: Path, folder: Path, vision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"vision": {"mode": vision}, "epochs": 3, "checkpoint_every_epochs": 1}
    if vision == "full":
        changes["vision"] = {"mode": "full", "lr": 1e-2}
    section = TrainSection.model_validate({**SECTION, **changes, "examples": wanted(folder)})
    whole = train(write_tiny_run(tmp_path / "whole"), base, section)
    assert (whole.examples, whole.steps) == (16, 9)
    stopped = write_tiny_run(tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        train(stopped, base, section, StopAfter(5))
    assert train(stopped, base, section).losses == whole.losses
    if vision == "frozen":
        assert whole.kept_bytes
        monkeypatch.setattr(stage, "frozen_prefix", lambda *_, **__: None)
        assert train(write_tiny_run(tmp_path / "pixels"), base, section).losses == whole.losses


def test_the_model_says_what_it_was_told(tmp_path: Path, base: Path, folder: Path) -> None:
    """Whether it says so of other images, too, is for a model that can see: docs/guards.md has figures."""
    claims, right = {}, {}
    for name, examples in (("without", SECTION["examples"]), ("with", wanted(folder, name_question_share=0.7))):
        run = write_tiny_run(tmp_path / name, validation=16)
        section = {**SECTION, "epochs": 40, "checkpoint_every_epochs": 40, "examples": examples}
        train(run, base, TrainSection.model_validate(section))
        last = score(run, base, guards={"unnamed": str(folder)}).checkpoints[-1]
        assert last.guards is not None
        claims[name] = last.guards.overclaim.count
        right[name] = last.metrics["validation"]["name"].accuracy.count
    assert claims == {"without": 3, "with": 0}
    assert right == {"without": 16, "with": 16}


def test_what_is_no_example_is_refused(tmp_path: Path, base: Path, folder: Path) -> None:
    run = write_tiny_run(tmp_path / "run")
    with pytest.raises(InputError, match=r"unnamed.answer: 'It is by Acme.': it says a name of this table, Acme"):
        plan_of(run, base, wanted(folder, answer="It is by Acme."))
    with pytest.raises(TrainingError, match=r"row train.examples.unnamed.images/a.png: 3 examples are longer"):
        plan_of(run, base, wanted(folder, answer="no " * 90), max_tokens=100)
    with pytest.raises(InputError, match=r"nowhere: no such folder; check train.examples.unnamed.images in the recipe"):
        plan_of(run, base, wanted(tmp_path / "nowhere"))
    (folder / "broken.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"broken.png: .*; remove it from train.examples.unnamed.images"):
        plan_of(run, base, wanted(folder))


@pytest.mark.parametrize("column", ["image_sha256", "image_source_sha256"])
def test_an_image_of_the_table_has_a_name(tmp_path: Path, base: Path, folder: Path, column: str) -> None:
    run = write_tiny_run(tmp_path / "run")
    table = run.tables("split").read_kept()
    shas = table[column].to_pylist()
    shas[13] = run.images.put((folder / "b.png").read_bytes(), "png")
    changed = table.set_column(table.column_names.index(column), table.schema.field(column), [shas])
    empty = changed.slice(0, 0).append_column("reason", [[]]).append_column("detail", [[]])
    run.tables("split").write(0, changed, empty.cast(empty.schema))
    with pytest.raises(InputError, match=r"b.png: it is the image of row validation-1, whose name is Zeta; remove"):
        plan_of(run, base, wanted(folder))


def test_shares_that_are_none_are_refused() -> None:
    for share in (0, 0.51, -1):
        with pytest.raises(ValidationError, match="share"):
            UnnamedSection(images="plain", share=share)
    with pytest.raises(ValidationError, match="answer"):
        UnnamedSection(images="plain", answer=" ")
    section = UnnamedSection(images="plain", share=0.05)
    assert [section.count(rows) for rows in (1, 95, 950, 100_000)] == [1, 5, 50, 5263]


@pytest.fixture
def build(tmp_path: Path, base: Path, folder: Path) -> Build:
    (tmp_path / "feed.csv").write_text("id,brand,image\n1,Acme,http://127.0.0.1/1.jpg\n", encoding="utf-8")

    def build(*overrides: str, unnamed: bool = True) -> Pipeline:
        tree = {
            "table": {"source": str(tmp_path / "feed.csv"), "id": "id", "image": "image"},
            "name": {"column": "brand"},
            "model": {"base": str(base)},
            "train": {"examples": {"unnamed": {"images": str(folder)}} if unnamed else {}},
        }
        recipe = build_recipe(tree, where="test", overrides=overrides)
        return Pipeline(recipe, RunDirectory(tmp_path / "run"))

    return build


def test_training_is_stale_when_an_image_changes_and_not_when_the_folder_moves(build: Build, folder: Path) -> None:
    before = build().fingerprints(until="report")
    moved = folder.rename(folder.with_name("elsewhere"))
    place = f"train.examples.unnamed.images={moved}"
    assert build(place).fingerprints(until="report") == before
    paint(moved / "a.png", shade=200)
    after = build(place).fingerprints(until="report")
    assert [name for name in after if after[name] != before[name]] == ["train", "score", "report"]
    (moved / "a.txt").write_text("a grey square.", encoding="utf-8")
    assert build(place).fingerprints(until="train")["train"] != after["train"]


def test_trainings_without_it_are_not_done_again(build: Build) -> None:
    plain = build(unnamed=False)
    assert "unnamed" not in plain.recipe.train.without_means().model_dump()["examples"]
    assert build().fingerprints(until="train")["train"] != plain.fingerprints(until="train")["train"]


def test_what_is_wrong_is_said_before_anything_is_fetched(build: Build, folder: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    paint(asked / "other.png", shade=1)
    (asked / "z.png").write_bytes((folder / "b.png").read_bytes())
    found = r"score.guards.unnamed: .*z.png: it is learned from as well \(train.examples.unnamed.images: b.png\); put"
    with pytest.raises(InputError, match=found):
        build(f"score.guards.unnamed={asked}").run()
    with pytest.raises(InputError, match=r"nowhere: no such folder; check train.examples.unnamed.images in the recipe"):
        build(f"train.examples.unnamed.images={tmp_path / 'nowhere'}").run()
    assert not (tmp_path / "run" / "fetch").exists()


def test_plan_counts_them(base: Path, folder: Path, build: Build) -> None:
    recipe = build("train.epochs=2").recipe
    examples = known_examples(None, Assumptions(rows=95, caption_words=8), recipe.split)
    plan = plan_section(recipe, recipe.train, examples, DATA_SHEETS["h100"])
    assert plan.workload.rows == 100
    assert "5 more of images without a name (4 files), counted like the others" in plan.said
