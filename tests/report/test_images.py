"""The page's block about images: the manifest's own numbers, and nothing where there are none."""

from __future__ import annotations

from html import unescape

from report_run import FinishedRun

from nameplate.records import ImageChange
from nameplate.report.images import CHANGES, build_images


def test_the_block_shows_the_manifests_numbers(finished_run: FinishedRun, page: str) -> None:
    images = build_images(finished_run.summary)
    assert images is not None
    assert images.figures.model_dump() == finished_run.summary.stages["fetch"].details
    block = page[page.index('<section id="images"') : page.index('<section id="teacher"')]
    for row in images.hosts:
        assert row.key in block and f"<td>{row.rows:,}</td>" in block.replace(' class="num"', "")
    assert "1,244 requests" in block and "24 distinct images, 31\N{NO-BREAK SPACE}MB" in block
    assert "robots disallowed (31), http 403 (2)" in block
    assert all(label in unescape(block) for label in CHANGES.values())
    assert '<a href="#images">Images</a>' in page


def test_rows_of_a_host_add_up(finished_run: FinishedRun) -> None:
    images = build_images(finished_run.summary)
    assert images is not None
    (shop,) = (row for row in images.hosts if row.key == "127.0.0.1")
    stage = finished_run.summary.stages["fetch"]
    assert (shop.rows, shop.live) == (stage.read, stage.kept)


def test_a_run_of_another_kind_has_no_block(finished_run: FinishedRun) -> None:
    stages = finished_run.summary.stages
    bare = {**stages, "fetch": stages["fetch"].model_copy(update={"details": {"requests": 5}})}
    page = finished_run.render(stages=bare)
    assert 'id="images"' not in page and "#images" not in page


def test_every_change_has_words() -> None:
    assert set(CHANGES) == set(ImageChange)
