"""A misbehaving teacher, a kill in the middle, and captions that can be trusted: judged by what the server knows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nameplate.store.journal import Journal
from nameplate.store.manifest import Manifest
from nameplate.store.rundir import RunDirectory
from nameplate.summary import CaptionSummary, CleanSummary

from .bad_teacher import COLOURS, LINE, MENDABLE, SAID, BadTeacher, Sent, serving_badly
from .eighteen import drawing

NUM_ROWS: Final = 240
CONCURRENCY: Final = 8
KILLED_AFTER: Final = 90

# As the table writes them, and as a person would: shouting, HTML, an entity, emoji, right to left, an accent.
NAMES: Final = {
    "PRADA": "Prada",
    "Gucci": "Gucci",
    "<b>Burberry</b>": "Burberry",
    "Dolce&amp;Gabbana": "Dolce&Gabbana",
    "Fuego \U0001f525": "Fuego \U0001f525",
    "\u0634\u0627\u0646\u064a\u0644": "\u0634\u0627\u0646\u064a\u0644",
    "Chlo\u00e9": "Chlo\u00e9",
}
WITHOUT_NAME: Final = (None, "", "N.A.")


@dataclass(frozen=True)
class World:
    """A run that was killed once and finished then, and what the server remembers of it."""

    folder: Path
    teacher: BadTeacher
    answered_before: frozenset[str]
    """Request ids of the answers that were in the journal when the run was killed."""
    sent_before: int
    resumed: str
    """What the second command printed."""

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(self.folder / "run", store=None)

    def ends(self) -> list[dict[str, Any]]:
        """Every row that the teacher was asked about, with its caption or its reason."""
        kept = [{**row, "reason": None} for row in self.run.tables("clean").read_kept().to_pylist()]
        rejected = self.run.tables("clean").read_rejected().to_pylist()
        return [*kept, *rejected, *self.run.tables("caption").read_rejected().to_pylist()]

    def kind_of(self, caption: str) -> str:
        """What the server meant by the answer that a caption was made of."""
        (kind,) = {kind for code, kind in self.teacher.said.items() if code in caption.split()}
        return kind


def write_inputs(folder: Path, url: str, pictures: list[bytes], names: list[str]) -> None:
    listed = [
        {"id": f"row-{number:03}", "brand": name, "image": {"bytes": picture, "path": None}}
        for number, (picture, name) in enumerate(zip(pictures, names, strict=True))
    ]
    listed += [
        {"id": f"none-{at}", "brand": name, "image": {"bytes": drawing(9000 + at), "path": None}}
        for at, name in enumerate(WITHOUT_NAME)
    ]
    pq.write_table(pa.Table.from_pylist(listed), folder / "table.parquet")
    teacher = {"base_urls": url, "model": "bad-teacher", "timeout_seconds": 4, "concurrency": CONCURRENCY}
    recipe = {
        "table": {"source": "table.parquet", "id": "id", "image": "image"},
        "name": {"column": "brand"},
        "caption": {"teacher": teacher},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")


def command(folder: Path) -> list[str]:
    words = ["clean", str(folder / "recipe.yaml"), "--run-dir", str(folder / "run")]
    return [sys.executable, "-m", "nameplate", *words]


def kill_in_the_middle(folder: Path, teacher: BadTeacher) -> None:
    teacher.hold_after = KILLED_AFTER
    child = subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while teacher.num_answered < KILLED_AFTER:
        if child.poll() is not None:
            assert child.stderr is not None
            pytest.fail(f"it ended by itself: {child.stderr.read().decode()}")
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    teacher.hold_after = None
    teacher.released.set()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("faults")
    spellings = [list(NAMES)[number % len(NAMES)] for number in range(NUM_ROWS)]
    pictures = [drawing(number) for number in range(NUM_ROWS)]
    with serving_badly(pictures, [NAMES[spelling] for spelling in spellings]) as teacher:
        write_inputs(folder, teacher.url, pictures, spellings)
        kill_in_the_middle(folder, teacher)
        with Journal(RunDirectory(folder / "run", store=None).teacher_journal) as journal:
            answered = frozenset(entry["request_id"] for _, entry in journal.items() if "request_id" in entry)
        before = len(teacher.log)
        done = subprocess.run(command(folder), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        yield World(folder, teacher, answered, before, done.stdout)


def test_the_plan_has_every_fault_and_every_way_to_heal(world: World) -> None:
    planned = Counter(row.fault for row in world.teacher.rows.values())
    assert set(planned) >= {*SAID, *MENDABLE, *LINE, "too large", "cut by tokens"}
    said = {each.kind for each in world.teacher.log}
    assert said >= {*SAID, *MENDABLE, *LINE, ""}


def test_every_row_ends_once_with_a_caption_or_a_reason(world: World) -> None:
    ends = world.ends()
    assert sorted(row["row_id"] for row in ends) == [f"row-{number:03}" for number in range(NUM_ROWS)]
    assert all(bool(row["reason"]) != bool(row.get("caption")) or row["reason"] for row in ends)
    nameless = world.run.tables("ingest").read_rejected().to_pylist()
    assert {row["row_id"]: row["reason"] for row in nameless} == {f"none-{at}": "missing_name" for at in range(3)}


def test_no_loop_no_garbage_and_no_wrong_name_is_left(world: World) -> None:
    rows = {f"row-{row.number:03}": row for row in world.teacher.rows.values()}
    captions = [row for row in world.ends() if row["reason"] is None]
    for row in captions:
        truth, kind = rows[row["row_id"]], world.kind_of(row["caption"])
        assert kind not in SAID, (kind, row["caption"])
        assert truth.name in row["caption"]
        assert not any(name in row["caption"] for name in NAMES.values() if name != truth.name)
        assert len(row["caption"]) < 400 and "<think" not in row["caption"] and "{" not in row["caption"]
        assert row["caption"].endswith(".")
        assert any(colour in row["caption"] for colour in COLOURS)


def test_what_can_be_healed_is_healed(world: World) -> None:
    heals = {f"row-{row.number:03}": row for row in world.teacher.rows.values()}
    lost = Counter(
        heals[row["row_id"]].fault for row in world.ends() if row["reason"] and heals[row["row_id"]].heals != "never"
    )
    assert lost == {}


def test_what_never_heals_ends_with_its_reason(world: World) -> None:
    heals = {f"row-{row.number:03}": row for row in world.teacher.rows.values()}
    ends = {row["row_id"]: row["reason"] for row in world.ends()}
    never = {row.fault: ends[row_id] for row_id, row in heals.items() if row.heals == "never"}
    assert all(never.values())
    assert (never["refusal"], never["no name"], never["other name"]) == ("refusal", "name_absent", "other_name")
    assert (never["nothing"], never["too large"]) == ("no_answer", "no_answer")


def test_no_request_is_sent_again_after_a_bad_answer(world: World) -> None:
    sent: dict[str, list[Sent]] = {}
    for each in world.teacher.log:
        sent.setdefault(each.body, []).append(each)
    repeated = {body for body, times in sent.items() if any(each.whole and each.kind in SAID for each in times[:-1])}
    # What was answered in the moment of the kill may not have been written down.
    assert len(repeated) <= CONCURRENCY
    assert all(body not in world.answered_before for body in repeated)


def test_answers_of_a_killed_run_are_not_asked_for_again(world: World) -> None:
    assert len(world.answered_before) >= KILLED_AFTER - CONCURRENCY
    again = {each.body for each in world.teacher.log[world.sent_before :]}
    assert not again & world.answered_before
    assert world.sent_before < len(world.teacher.log) - KILLED_AFTER


def test_the_runs_numbers_can_be_read_off(world: World) -> None:
    manifest = Manifest(world.folder / "run" / "manifest.json")
    found = CaptionSummary.read(manifest.stages["caption"].details)
    clean = CleanSummary.read(manifest.stages["clean"].details)
    assert found is not None and clean is not None
    with Journal(world.run.teacher_journal) as journal:
        entries = [entry for _, entry in journal.items() if "problems" in entry]
    assert found.answers == len(entries)
    # Of an answer that never ends nobody reads as far as its count of tokens.
    counted = [entry for entry in entries if not entry["note"]]
    assert 0 < len(entries) - len(counted) < 20
    assert found.tokens_in == 300 * len(counted) and found.tokens_out == 50 * len(counted)
    assert found.tokens_wasted == 50 * sum(bool(entry["problems"]) for entry in counted)
    asked = [row for row in world.teacher.rows.values() if row.fault != "too large"]
    assert found.questions == len(asked) and sum(found.attempts.values()) == NUM_ROWS
    missing = sum(row.fault in {"no name", "other name", "two names"} for row in asked)
    assert 0 < missing <= found.questions - (found.named_first or 0)
    assert (found.named_last or 0) > (found.named_first or 0)
    assert found.cut_off_last < found.cut_off_first
    assert clean.name_present_before_repair <= clean.name_present_after_repair <= clean.named_rows
    assert "first answers with a problem:" in world.resumed and "say the row's name:" in world.resumed
