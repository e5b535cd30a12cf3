"""The promises of a run: nothing is done twice, a change redoes what it must, and a kill loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import QuickDemo

from nameplate.demo.run import QUICK
from nameplate.demo.servers import Addresses, serving
from nameplate.records import STAGES, StageName
from nameplate.store.journal import Journal
from nameplate.store.rundir import RunDirectory

RECIPE = "language-lora.yaml"


@pytest.fixture
def shop(quick_demo: QuickDemo, tmp_path: Path) -> Iterator[tuple[Path, Addresses]]:
    """A copy of the quick demo's folder with its shop open."""
    folder = tmp_path / "demo"
    shutil.copytree(quick_demo.folder, folder)
    for recipe in folder.glob("*.yaml"):
        recipe.write_text(recipe.read_text(encoding="utf-8").replace(str(quick_demo.folder), str(folder)), "utf-8")
    with serving(folder / "shop") as addresses:
        yield folder, addresses


def command(folder: Path, run_dir: Path, *overrides: str) -> list[str]:
    words = [sys.executable, "-m", "nameplate", "run", str(folder / RECIPE), "--run-dir", str(run_dir), "--json"]
    for override in (*QUICK, *overrides):
        words += ["--set", override]
    return words


def run(folder: Path, run_dir: Path, *overrides: str) -> dict[str, Any]:
    done = subprocess.run(command(folder, run_dir, *overrides), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def num_requests(addresses: Addresses) -> tuple[int, int]:
    """Requests that the shop and the teacher have answered so far."""
    shop = json.load(urllib.request.urlopen(f"{addresses.shop}/stats"))
    teacher = json.load(urllib.request.urlopen(f"{addresses.teacher}/stats"))
    return sum(shop.values()), teacher["requests"]


def manifest_of(run_dir: Path) -> Any:
    return json.loads((run_dir / "manifest.json").read_text(encoding="utf-8"))["stages"]


def test_the_same_command_again_does_nothing(shop: tuple[Path, Addresses]) -> None:
    folder, addresses = shop
    run_dir = folder / "again"
    run(folder, run_dir)
    before, requests = manifest_of(run_dir), num_requests(addresses)
    run(folder, run_dir)
    assert manifest_of(run_dir) == before
    assert num_requests(addresses) == requests


def test_a_changed_clean_threshold_reruns_from_clean_on_and_asks_nobody(shop: tuple[Path, Addresses]) -> None:
    folder, addresses = shop
    run_dir = folder / "runs" / "language-lora"
    before, requests = manifest_of(run_dir), num_requests(addresses)
    run(folder, run_dir, "clean.min_words=12")
    after = manifest_of(run_dir)
    assert [stage for stage in STAGES if after[stage] != before[stage]] == list(STAGES[STAGES.index("clean") :])
    assert num_requests(addresses) == requests


def test_changed_epochs_rerun_from_train_on_and_keep_the_old_checkpoints(shop: tuple[Path, Addresses]) -> None:
    folder, addresses = shop
    run_dir = folder / "runs" / "language-lora"
    before, requests = manifest_of(run_dir), num_requests(addresses)
    run(folder, run_dir, "train.epochs=2")
    after = manifest_of(run_dir)
    assert [stage for stage in STAGES if after[stage] != before[stage]] == ["train", "score", "report"]
    assert num_requests(addresses) == requests
    assert (run_dir / "superseded" / "001-checkpoints" / "epoch-01" / "model.safetensors").exists()


def kill_in(stage: str, words: list[str], run_dir: Path, is_time: Callable[[], bool]) -> str:
    """Start a run, kill -9 it once `stage` runs and `is_time`, and return what the manifest then says of the stage."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline:
        manifest = run_dir / "manifest.json"
        if manifest.exists() and stage in manifest_of(run_dir) and is_time():
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    return str(manifest_of(run_dir)[stage]["status"])


def comparable(run: RunDirectory, stage: StageName) -> list[dict[str, Any]]:
    """Rows without what the clock and the shop's port decide."""
    clock = ["fetch_attempts", "image_url", "page_url"]
    rows: list[dict[str, Any]] = run.tables(stage).read_kept().drop_columns(clock).to_pylist()
    return rows


def entries(path: Path) -> int:
    if not path.exists():
        return 0
    with Journal(path) as journal:
        return len(journal)


def test_a_kill_in_each_stage_loses_nothing_and_asks_nothing_twice(shop: tuple[Path, Addresses]) -> None:
    folder, addresses = shop
    undisturbed = RunDirectory(folder / "runs" / "language-lora")
    run_dir, store = folder / "killed", folder / "fresh-store"
    words = command(folder, run_dir, f"store={store}", "train.epochs=2")
    checkpoint = run_dir / "checkpoints" / "epoch-01" / "config.json"
    moments: dict[str, Callable[[], bool]] = {
        "ingest": lambda: True,
        "fetch": lambda: entries(store / "fetch.sqlite") > 40,
        "caption": lambda: entries(store / "teacher.sqlite") > 40,
        "clean": lambda: True,
        "split": lambda: True,
        "train": checkpoint.exists,
        "score": lambda: entries(store / "predictions.sqlite") > 20,
        "report": lambda: True,
    }
    statuses = {}
    for moment, is_time in moments.items():
        answered, asked = entries(store / "teacher.sqlite"), num_requests(addresses)[1]
        statuses[moment] = kill_in(moment, words, run_dir, is_time)
        # Every request since then that came back stands in the journal; only those under way at the kill may not.
        new_answers = entries(store / "teacher.sqlite") - answered
        assert new_answers <= num_requests(addresses)[1] - asked <= new_answers + 8
    assert [name for name in ("fetch", "caption", "train", "score") if statuses[name] != "running"] == []
    asked = num_requests(addresses)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert num_requests(addresses) == asked
    finished = RunDirectory(run_dir)
    both: tuple[StageName, ...] = ("clean", "split")
    for stage in both:
        assert comparable(finished, stage) == comparable(undisturbed, stage), stage


def test_a_teacher_that_is_not_there_is_one_paragraph_and_the_run_goes_on_later(shop: tuple[Path, Addresses]) -> None:
    folder, addresses = shop
    overrides = (f"store={folder / 'lonely-store'}", "table.limit=40")
    words = command(folder, folder / "lonely", *overrides, "caption.teacher.base_urls=http://127.0.0.1:9/v1")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "teacher at http://127.0.0.1:9/v1: nothing answers there" in done.stderr
    before = num_requests(addresses)[0]
    words = command(folder, folder / "lonely", *overrides)
    words[words.index("run")] = "caption"
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    assert num_requests(addresses)[0] == before


def test_ctrl_c_exits_130_and_says_how_to_go_on(shop: tuple[Path, Addresses]) -> None:
    folder, _ = shop
    store = folder / "c-store"
    words = command(folder, folder / "c", f"store={store}")
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    while entries(store / "fetch.sqlite") < 5:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.strip().splitlines()[-1].startswith("nameplate: interrupted; the same command continues")
