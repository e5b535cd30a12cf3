"""The audit's page: whole, small, silent in a browser, and strangers' texts stay texts."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser
from tests.browsing import CONTRAST, Opened
from tests.stages.audit_figures import audit_figures, claim_figures, judge_figures, name_figures

from nameplate.report import write_audit_page
from nameplate.report.audit import SHOWN, spread
from nameplate.stages.audit.results import AuditReason, AuditSummary, AuditVerdict, Finding, Pair
from nameplate.store.rundir import RunDirectory

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> {{ 12345 * 54321 }}"


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


def summary(run: RunDirectory, *, num_pairs: int = 60, text: str = "a red cap") -> AuditSummary:
    stream = io.BytesIO()
    Image.effect_noise((700, 500), 90).convert("RGB").save(stream, "JPEG", quality=95)
    sha256 = run.images.put(stream.getvalue(), "jpg")
    pairs = [
        Pair(
            row_id=f"r{number}",
            name="" if number % 3 == 0 else text,
            title=text,
            image_sha256=sha256 if number % 5 else "0" * 64,
            image_ext="jpg",
            caption=text,
            detail=text * 50,
            short="",
            named=text,
            caption_right=None if number % 3 == 0 else True,
            base_right=None if number % 3 == 0 else number % 2 == 0,
        )
        for number in range(num_pairs)
    ]
    finding = Finding(reason=AuditReason.CAPTIONS_SAY_MORE, side="for", sentence=text)
    return AuditSummary(
        nameplate="0",
        base=text,
        weights="0",
        captions_by=text,
        rows=num_pairs,
        total=1000,
        seed=0,
        prompts={"detail": "Describe."},
        verdict=AuditVerdict.WORTH_TEACHING,
        sentence=text,
        findings=[finding],
        figures=audit_figures(
            names=name_figures(200, captions_alone=60),
            claims=claim_figures(200),
            judge=judge_figures(captions=30, base=20).model_copy(update={"model": text, "is_teacher": True}),
        ),
        pairs=pairs,
    )


def test_a_strangers_text_is_never_markup_and_the_page_is_bounded(run: RunDirectory) -> None:
    page = write_audit_page(summary(run, num_pairs=300, text=HOSTILE), run=run).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "670592745" not in page
    assert page.count('class="card"') == SHOWN
    thumbnails = re.findall(r"data:image/webp;base64,([^\"]*)", page)
    assert 0 < len(thumbnails) < SHOWN
    assert max(map(len, thumbnails)) <= 25_000 * 4 / 3 + 4
    assert len(page) < SHOWN * (25_000 * 4 / 3 + 4 + 9_000) + 40_000


def test_an_inconclusive_audit_without_anything_has_a_page_too(run: RunDirectory) -> None:
    bare = summary(run, num_pairs=1).model_copy(
        update={"verdict": AuditVerdict.INCONCLUSIVE, "findings": [], "figures": audit_figures(rows=1)}
    )
    page = write_audit_page(bare, run=run).read_text(encoding="utf-8")
    assert "No figure is beyond its threshold." in page
    assert "Judge:" not in page


def test_pairs_are_spread_over_the_sample(run: RunDirectory) -> None:
    pairs = summary(run, num_pairs=100).pairs
    assert [pair.row_id for pair in spread(pairs, 4)] == ["r0", "r25", "r50", "r75"]
    assert spread(pairs[:3], 24) == pairs[:3]


def test_the_page_is_silent_fits_and_can_be_read(browser: Browser, run: RunDirectory) -> None:
    path = write_audit_page(summary(run, text="A red cap <b>x</b>"), run=run)
    for width, scheme in ((400, "light"), (1280, "dark")):
        opened = Opened(browser, path, width=width, scheme=scheme)
        opened.page.wait_for_load_state("networkidle")
        assert opened.troubles == []
        assert [url for url in opened.requests if not url.startswith("data:")] == [path.as_uri()]
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.page.evaluate(CONTRAST) == []
        assert opened.page.locator(".card").count() == SHOWN
    assert opened.page.locator("h2").first.inner_text() == "Worth teaching"
