"""`nameplate demo`, small and for real: both policies, one shop, two pages, one comparison."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser
from tests.browsing import Opened
from tests.conftest import QuickDemo

from nameplate.store.rundir import RunDirectory
from nameplate.summary import RunSummary

RUNS = ("language-frozen", "language-lora")


def summary_of(demo: QuickDemo, name: str) -> RunSummary:
    return RunSummary.model_validate_json((demo.folder / "runs" / name / "summary.json").read_bytes())


def test_three_models_are_compared_on_the_same_images(quick_demo: QuickDemo) -> None:
    labels = [row["label"] for row in quick_demo.result["rows"]]
    assert labels == ["untrained", "language frozen", "language by LoRA"]
    assert {row["accuracy"]["n"] for row in quick_demo.result["rows"]} == {40}
    first, second = (RunDirectory(quick_demo.folder / "runs" / name) for name in RUNS)
    columns = ["row_id", "split", "caption"]
    assert first.tables("split").read_kept().select(columns).equals(second.tables("split").read_kept().select(columns))


def test_no_listing_disappears_without_a_reason(quick_demo: QuickDemo) -> None:
    stages = summary_of(quick_demo, "language-lora").stages
    rows = 300
    for name in ("ingest", "fetch", "caption", "clean", "split"):
        assert stages[name].read == rows
        rows = stages[name].kept
        assert stages[name].read == rows + sum(stages[name].rejected.values())
    assert {"http_404", "not_an_image", "truncated", "placeholder"} <= set(stages["fetch"].rejected)
    assert stages["caption"].details["first_answer_problems"]["tail_loop"] > 0


def test_the_second_run_asks_the_teacher_nothing(quick_demo: QuickDemo) -> None:
    assert summary_of(quick_demo, "language-frozen").stages["caption"].details["requests"] > 250
    assert summary_of(quick_demo, "language-lora").stages["caption"].details["requests"] == 0


def test_frozen_components_have_not_moved_and_trained_ones_have(quick_demo: QuickDemo) -> None:
    from safetensors.torch import load_file

    import nameplate

    base = load_file(Path(nameplate.__file__).parent / "demo" / "starter" / "model.safetensors")
    for name, frozen, trained in (
        ("language-frozen", "language_model", "vision"),
        ("language-lora", "vision", "language_model"),
    ):
        after = load_file(quick_demo.folder / "runs" / name / "checkpoints" / "epoch-01" / "model.safetensors")
        assert set(after) == set(base)
        moved = {key for key in base if not after[key].equal(base[key])}
        assert moved, name
        assert [key for key in moved if frozen in key] == [], name
        assert any(trained in key for key in moved), name


def test_the_simulator_is_named_as_one_on_the_page(quick_demo: QuickDemo) -> None:
    page = (quick_demo.folder / "runs" / "language-lora" / "report.html").read_text(encoding="utf-8")
    assert "simulator that knows the truth" in page


def test_tables_open_with_plain_parquet(quick_demo: QuickDemo) -> None:
    table = pq.read_table(quick_demo.folder / "runs" / "language-lora" / "split" / "part-00000.parquet")
    assert {"caption", "caption_raw", "split", "image_sha256"} <= set(table.column_names)


@pytest.mark.parametrize("name", RUNS)
def test_the_real_pages_open_silently_in_a_browser(browser: Browser, quick_demo: QuickDemo, name: str) -> None:
    opened = Opened(browser, quick_demo.folder / "runs" / name / "report.html")
    opened.page.wait_for_load_state("networkidle")
    assert opened.troubles == []
    assert opened.foreign == []
