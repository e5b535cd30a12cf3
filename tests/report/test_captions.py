"""The page's block about captions: the manifest's own numbers, and nothing where there are none."""

from __future__ import annotations

from typing import Any

from report_run import FinishedRun

from nameplate.report.captions import build_captions
from nameplate.summary import RunSummary, StageSummary

CAPTION: dict[str, Any] = {
    "requests": 30_000,
    "answers": 26_000,
    "questions": 20_000,
    "first_answer_problems": {"tail_loop": 4_000, "garbled": 1_000},
    "all_first_problems": {"tail_loop": 4_000, "garbled": 1_200},
    "attempts": {"0": 5, "1": 15_000, "2": 4_000, "4": 995},
    "cut_off_first": 2_000,
    "cut_off_last": 200,
    "named_first": 18_000,
    "named_last": 19_500,
    "tokens_in": 7_000_000,
    "tokens_out": 2_000_000,
    "tokens_wasted": 700_000,
    "money": 12.345,
    "answer_seconds": 7_260.0,
    "p50_ms": 1_250,
    "p95_ms": 4_000,
    "template": "brand_first/1",
    "server": "http://127.0.0.1:8000/v1",
    "simulated": False,
}
CLEAN: dict[str, Any] = {
    "repairs": {},
    "name_verdicts": {"exact": 18_000, "absent": 1_000},
    "reasons_all": {},
    "first_problems": {},
    "cut_off": 200,
    "name_present_before_repair": 17_900,
    "name_present_after_repair": 18_000,
    "matcher": "x",
}


def stages(finished_run: FinishedRun, **details: dict[str, Any]) -> dict[Any, StageSummary]:
    known = finished_run.summary.stages
    return {**known, **{name: known[name].model_copy(update={"details": each}) for name, each in details.items()}}  # type: ignore[index]


def summary(finished_run: FinishedRun, **details: dict[str, Any]) -> RunSummary:
    return finished_run.summary.model_copy(update={"stages": stages(finished_run, **details)})


def test_the_experiments_numbers_stand_on_the_page(finished_run: FinishedRun) -> None:
    page = finished_run.render(stages=stages(finished_run, caption=CAPTION, clean=CLEAN))
    block = page[page.index('<section id="teacher"') : page.index('<section id="curves"')].replace(
        "\N{NO-BREAK SPACE}", " "
    )
    for text in ("brand_first/1", "7,000,000 tokens", "700,000 of them", "12.35 at", "1,250&nbsp;ms", "2 h 1 min"):
        assert text in block
    for cells in ("5,000 20,000 25.0 %", "2,000 20,000 10.0 %", "18,000 19,000 94.7 %", "17,900 19,000 94.2 %"):
        count, of, share = cells.split(" ", 2)
        assert f'<td class="num">{count}</td><td class="num">{of}</td><td class="num">{share}' in block


def test_shares_have_their_denominators(finished_run: FinishedRun) -> None:
    found = build_captions(summary(finished_run, caption=CAPTION, clean=CLEAN))
    assert found is not None
    assert {part.share.n for part in found.shares} == {20_000, 19_000}
    assert sum(part.share.count for part in found.attempts) == 20_000


def test_a_question_without_the_name_has_no_share_of_names(finished_run: FinishedRun) -> None:
    details = {**CAPTION, "named_first": None, "named_last": None}
    found = build_captions(summary(finished_run, caption=details, clean={**CLEAN, "name_verdicts": {}}))
    assert found is not None and len(found.shares) == 3


def test_no_teacher_and_other_versions_have_no_block(finished_run: FinishedRun) -> None:
    assert build_captions(summary(finished_run, caption={**CAPTION, "questions": 0})) is None
    assert build_captions(summary(finished_run, caption={"requests": 0, "source": "table"})) is None
    assert "Answers that a row took" not in finished_run.render(
        stages=stages(finished_run, caption={"simulated": True})
    )
