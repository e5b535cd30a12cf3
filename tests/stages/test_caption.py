"""The caption stage against the practice teacher: every row keeps what was said, and nothing is asked twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nameplate.demo.render import load_logos
from nameplate.demo.servers import Addresses, serving
from nameplate.demo.shop import build_shop, read_truth
from nameplate.engine import LocalEngine, Shard
from nameplate.errors import TeacherError
from nameplate.names import Registry, build_registry
from nameplate.progress import SilentProgress
from nameplate.recipe import CaptionSection, SamplingSection, TeacherSection
from nameplate.records import SCHEMAS
from nameplate.stages.caption import CaptionStage
from nameplate.stages.caption.judge import AnswerJudge
from nameplate.store.images import ImageStore
from nameplate.store.journal import Journal
from nameplate.store.tables import StageTables
from nameplate.teacher.templates import find_template
from nameplate.teacher.wordings import Language

REGISTRY: Registry = build_registry(Counter(logo.title for logo in load_logos()), None)


@dataclass(frozen=True)
class World:
    """A served shop whose pictures are already fetched."""

    folder: Path
    addresses: Addresses
    rows: pa.Table

    @property
    def images(self) -> ImageStore:
        return ImageStore(self.folder / "store" / "images")

    def section(self, **teacher: Any) -> CaptionSection:
        fields = {"base_urls": f"{self.addresses.teacher}/v1", "model": "practice-teacher", "concurrency": 4, **teacher}
        return CaptionSection(teacher=TeacherSection(**fields))

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.addresses.teacher}/stats", timeout=10) as answer:
            tree: dict[str, Any] = json.load(answer)
            return tree


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    shop = build_shop(folder / "shop", seed=1, num_listings=120)
    images, rows = ImageStore(folder / "store" / "images"), []
    for listing_id, facts in read_truth(shop.folder)["listings"].items():
        if facts["sha256"] is None:
            continue
        images.put((shop.folder / "images" / f"{listing_id}.jpg").read_bytes(), "jpg")
        row = {"row_id": listing_id, "name": facts["brand"], "title": f"A {facts['kind']}"}
        rows.append({**row, "image_status": "ok", "image_sha256": facts["sha256"], "image_ext": "jpg"})
    table = pa.Table.from_pylist(rows[:80], schema=SCHEMAS["fetch"])
    with serving(shop.folder) as addresses:
        yield World(folder, addresses, table)


def run(
    world: World, folder: Path, *, section: CaptionSection | None = None, rows: pa.Table | None = None
) -> tuple[StageTables, dict[str, Any]]:
    """Run the stage into `folder`, in shards of 50 rows."""
    stage = CaptionStage(
        section or world.section(), registry=REGISTRY, images=world.images, journal=folder / "teacher.sqlite"
    )
    table = rows if rows is not None else world.rows
    shards = [Shard(index, partial(table.slice, start, 50)) for index, start in enumerate(range(0, table.num_rows, 50))]
    tables = StageTables(folder / "caption", "caption")
    outcome = LocalEngine().run(stage, shards, tables=tables, progress=SilentProgress())
    return tables, outcome.details


@pytest.fixture(scope="module")
def finished(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StageTables, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("finished")
    return folder, *run(world, folder)


def test_every_row_keeps_what_the_teacher_said(world: World, finished: tuple[Path, StageTables, Any]) -> None:
    rows = finished[1].read_kept().to_pylist()
    truth = {facts["sha256"]: facts for facts in read_truth(world.folder / "shop")["listings"].values()}
    assert len(rows) == 80
    right = 0
    for row in rows:
        facts = truth[row["image_sha256"]]
        right += f"{facts['colour']} {facts['kind']}" in row["caption_raw"]
        assert row["teacher_model"] == "practice-teacher" and row["finish_reason"] in {"stop", "length"}
        assert len(row["request_key"]) == 64 and row["teacher_attempts"] >= 1
    assert right >= 76


def test_bad_first_answers_were_asked_again_and_mended(finished: tuple[Path, StageTables, Any]) -> None:
    rows = finished[1].read_kept().to_pylist()
    judge = judge_of()
    bad = [row for row in rows if row["first_problem"] is not None]
    assert 5 < len(bad) < 32
    assert all(row["teacher_attempts"] > 1 for row in bad)
    assert all(row["teacher_attempts"] == 1 for row in rows if row["first_problem"] is None)
    unmended = [row for row in bad if judge.for_row(row["name"])(row["caption_raw"], row["finish_reason"])]
    assert len(unmended) <= 4
    assert all(row["teacher_attempts"] == 4 for row in unmended)


def test_figures_add_up(world: World, finished: tuple[Path, StageTables, dict[str, Any]]) -> None:
    folder, tables, details = finished
    rows = tables.read_kept().to_pylist()
    with Journal(folder / "teacher.sqlite") as journal:
        entries = len(journal)
    assert details["requests"] == details["answers"] == entries == sum(row["teacher_attempts"] for row in rows)
    assert sum(details["attempts"].values()) == 80
    assert sum(details["first_answer_problems"].values()) == sum(row["first_problem"] is not None for row in rows)
    assert details["server"] == f"{world.addresses.teacher}/v1" and details["simulated"] is True


def test_the_same_rows_again_cost_no_request_even_without_a_teacher(
    world: World, finished: tuple[Path, StageTables, dict[str, Any]], tmp_path: Path
) -> None:
    folder, tables, details = finished
    (tmp_path / "teacher.sqlite").write_bytes((folder / "teacher.sqlite").read_bytes())
    before = world.stats()["requests"]
    again, later = run(world, tmp_path, section=world.section(base_urls="http://127.0.0.1:1/v1"))
    assert again.read_kept().equals(tables.read_kept())
    assert later["requests"] == 0 and later["answers"] == details["answers"] and later["simulated"] is True
    assert world.stats()["requests"] == before


def test_changed_sampling_or_prompt_asks_anew(world: World, tmp_path: Path) -> None:
    rows = world.rows.slice(0, 3)
    run(world, tmp_path, rows=rows)
    warmer = world.section().model_copy(update={"sampling": SamplingSection(temperature=0.5)})
    second = tmp_path / "second"
    second.mkdir()
    (second / "teacher.sqlite").write_bytes((tmp_path / "teacher.sqlite").read_bytes())
    _, details = run(world, second, section=warmer, rows=rows)
    assert details["requests"] >= 3


def test_no_teacher_stops_the_stage_and_writes_no_shard(world: World, tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="nothing answers there"):
        run(world, tmp_path, section=world.section(base_urls="http://127.0.0.1:1/v1"))
    assert StageTables(tmp_path / "caption", "caption").kept_paths() == []


def test_refused_model_stops_the_stage(world: World, tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="HTTP 404"):
        run(world, tmp_path, section=world.section(model="gpt"))


PROGRAM = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
from collections import Counter
from nameplate.demo.render import load_logos
from nameplate.names import build_registry
from nameplate.recipe import CaptionSection
from nameplate.stages.caption import CaptionStage
from nameplate.store.images import ImageStore
folder, images, section = Path(sys.argv[1]), Path(sys.argv[2]), CaptionSection.model_validate_json(sys.argv[3])
registry = build_registry(Counter(logo.title for logo in load_logos()), None)
stage = CaptionStage(section, registry=registry, images=ImageStore(images), journal=folder / "teacher.sqlite")
stage.run_shard(pq.read_table(folder / "rows.parquet"), lambda steps: print(steps, flush=True))
"""


def test_kill_9_loses_no_answer_and_asks_none_again(
    world: World, finished: tuple[Path, StageTables, dict[str, Any]], tmp_path: Path
) -> None:
    pq.write_table(world.rows, tmp_path / "rows.parquet")
    # One question at a time gives the kill its moment; neither field is part of the request key.
    section = world.section(concurrency=1, timeout_seconds=60)
    arguments = [str(tmp_path), str(world.images.root), section.model_dump_json()]
    child = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(20):
        assert child.stdout.readline().strip() == "1"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    time.sleep(0.1)
    before = world.stats()["by_key"]
    with Journal(tmp_path / "teacher.sqlite") as journal:
        answered = [entry["request_id"] for _, entry in journal.items()]
    assert 20 <= len(answered) < 80
    tables, details = run(world, tmp_path)
    after = world.stats()["by_key"]
    assert all(after[request] == before[request] for request in answered)
    assert details["requests"] == details["answers"] - len(answered)
    assert tables.read_kept().equals(finished[1].read_kept())


def test_row_without_any_text_is_rejected_with_its_reason(world: World, tmp_path: Path) -> None:
    rows = world.rows.slice(0, 4)
    run(world, tmp_path, rows=rows)
    silenced = rows["row_id"][0].as_py()
    with Journal(tmp_path / "teacher.sqlite") as journal:
        kept = StageTables(tmp_path / "caption", "caption").read_kept().to_pylist()
        key = next(row["request_key"] for row in kept if row["row_id"] == silenced)
        entry = journal.attempts(key)[0]
        for attempt in range(1, 5):
            journal.put(key, attempt, {**entry, "text": " ", "problems": ["empty"]})
    stage = CaptionStage(world.section(), registry=REGISTRY, images=world.images, journal=tmp_path / "teacher.sqlite")
    result = stage.run_shard(rows, lambda steps: None)
    assert result.kept.num_rows == 3
    (row,) = result.rejected.to_pylist()
    assert row["row_id"] == silenced and row["reason"] == "no_answer" and row["detail"] == "4 answers without text"
    assert row["teacher_attempts"] == 4 and row["first_problem"] == "empty"


def judge_of(prompt: str | None = None, *, language: Language = "en") -> AnswerJudge:
    section = CaptionSection(prompt=prompt)
    return AnswerJudge(REGISTRY, find_template(section, language=language, column="brand"), language=language)


@pytest.mark.parametrize(("prompt", "expected"), [(None, ["name_absent"]), ("Describe this.", [])])
def test_name_is_judged_only_where_the_question_gives_it(prompt: str | None, expected: list[str]) -> None:
    text = "A red cap lies on a wooden table in the evening sun."
    assert judge_of(prompt).for_row("Puma")(text, "stop") == expected


def test_answer_that_echoes_its_question_is_asked_again() -> None:
    echo = "Puma cap. Describe this product in detail. Its brand is Puma; name the brand in the first sentence."
    assert "leaked" in judge_of().for_row("Puma")(echo, "stop")


def test_answers_are_judged_in_the_language_that_was_asked_for() -> None:
    chinese = (
        "\u8fd9\u662f\u4e00\u9876\u7ea2\u8272\u7684Puma\u5e3d\u5b50\uff0c"
        "\u653e\u5728\u6728\u684c\u4e0a\uff0c\u770b\u8d77\u6765\u5f88\u65b0\u3002"
    )
    assert judge_of(language="zh").for_row("Puma")(chinese, "stop") == []
    assert "wrong_script" in judge_of(language="en").for_row("Puma")(chinese, "stop")


def test_another_case_of_the_name_is_good_enough_for_cleaning_to_mend() -> None:
    judge = judge_of().for_row("Puma")
    assert judge("This PUMA cap lies on a wooden table in the evening sun.", "stop") == []
    assert judge("This Nike cap lies on a wooden table in the evening sun.", "stop") == ["other_name"]
