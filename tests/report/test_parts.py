"""The parts of the page one by one: what is counted, chosen, drawn and shrunk."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

import pytest
from report_run import HOSTILE, FinishedRun

from nameplate.report import formats
from nameplate.report.charts import accuracy_figure, loss_figure, support_figure
from nameplate.report.funnel import build_funnel
from nameplate.report.svg import PAINT, inline_svg
from nameplate.report.teacher import build_teacher
from nameplate.report.verdict import build_verdict


def test_each_step_of_the_funnel_is_the_one_before_less_what_dropped_out(finished_run: FinishedRun) -> None:
    funnel = build_funnel(finished_run.summary, finished_run.run)
    left = funnel.listings
    for step in funnel.steps:
        assert sum(reason.count for reason in step.reasons) == step.dropped
        assert step.count == left - step.dropped
        left = step.count
    assert [step.stage for step in funnel.steps] == ["ingest", "fetch", "caption", "clean", "split"]
    assert sum(part.count for part in funnel.parts) == left
    assert [part.split for part in funnel.parts] == ["train", "validation", "test"]


def test_every_reason_has_up_to_five_of_its_own_rows(finished_run: FinishedRun) -> None:
    for step in build_funnel(finished_run.summary, finished_run.run).steps:
        rejected = finished_run.run.tables(step.stage).read_rejected().to_pylist()
        for reason in step.reasons:
            of_reason = {row["row_id"] for row in rejected if row["reason"] == reason.code}
            shown = [example.row_id for example in reason.examples]
            assert len(set(shown)) == len(shown) == min(5, reason.count)
            assert set(shown) <= of_reason


def test_a_rejected_caption_shows_the_picture_and_what_the_teacher_said(finished_run: FinishedRun) -> None:
    steps = {step.stage: step for step in build_funnel(finished_run.summary, finished_run.run).steps}
    example = steps["clean"].reasons[0].examples[0]
    assert example.said.startswith("A ")
    assert example.picture is not None
    assert steps["fetch"].reasons[0].examples[0].said == ""


def test_the_teachers_record_counts_first_answers_and_what_became_of_them(finished_run: FinishedRun) -> None:
    run = finished_run.run
    teacher = build_teacher(run)
    asked = [*run.tables("caption").read_kept().to_pylist(), *run.tables("caption").read_rejected().to_pylist()]
    clean = run.tables("clean").read_kept().to_pylist()
    first = Counter(row["first_problem"] for row in asked if row["first_problem"])
    assert teacher.asked == len(asked)
    assert teacher.questions == sum(row["teacher_attempts"] for row in asked)
    assert {problem.code: problem.count for problem in teacher.problems} == first
    saved = Counter(row["first_problem"] for row in clean)
    assert {problem.code: problem.kept for problem in teacher.problems} == {code: saved[code] for code in first}
    repairs = Counter(repair for row in clean for repair in row["repairs"])
    assert {repair.code: repair.count for repair in teacher.repairs} == repairs


def test_charts_use_the_pages_colours_and_their_own_ids(finished_run: FinishedRun) -> None:
    score, train = finished_run.summary.score, finished_run.summary.train
    drawn = [accuracy_figure(score, "name"), accuracy_figure(score, "detail"), loss_figure(score, train)]
    drawn.append(support_figure(score.names))
    pictures = [figure.svg for figure in drawn]
    ids = [name for svg in pictures for name in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    for svg in pictures:
        assert not set(PAINT.values()) & set(re.findall(r"#[0-9a-f]{6}", svg))
        paints = set(re.findall(r'(?:fill|stroke)="([^"]+)"', svg))
        assert paints <= {"none", "transparent"} | {f"var(--{name})" for name in PAINT}
        assert "font-family" not in svg
        assert ElementTree.fromstring(svg).get("viewBox")


def test_the_accuracy_chart_draws_every_model_on_both_splits(finished_run: FinishedRun) -> None:
    figure = accuracy_figure(finished_run.summary.score, "name")
    svg = ElementTree.fromstring(figure.svg)
    label = svg.get("aria-label") or ""
    assert label.count("epoch 4") == 3
    texts = [element.text for element in svg.iter("text")]
    assert "chosen" in texts
    assert {"0", "2", "4", "6"} <= set(texts)


def test_an_svg_keeps_text_as_text_and_loses_what_could_act() -> None:
    source = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" viewBox="0 0 9 9">'
        '<g id="a" onclick="x()" clip-path="url(#a)"><text fill="#0a0b01">&lt;script&gt;</text></g></svg>'
    )
    made = inline_svg(source, key="k", label=HOSTILE)
    assert "<script" not in made
    assert "onclick" not in made
    assert 'id="k-a"' in made
    assert "url(#k-a)" in made
    assert 'fill="var(--ink)"' in made
    with pytest.raises(AssertionError, match="script"):
        inline_svg('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', key="k", label="")


def test_a_small_test_and_many_looks_are_warned_about(finished_run: FinishedRun) -> None:
    summary = finished_run.summary
    assert any("test is small" in warning for warning in build_verdict(summary).warnings)
    assert any("each of the 3 checkpoints" in warning for warning in build_verdict(summary).warnings)
    sure = summary.score.comparison.model_copy(update={"low": 0.70, "high": 0.75})
    two = summary.score.model_copy(
        update={"comparison": sure, "checkpoints": [summary.score.checkpoints[0], summary.score.checkpoints[2]]}
    )
    warnings = build_verdict(summary.model_copy(update={"score": two})).warnings
    assert not any("test is small" in warning or "looked at" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formats.percent(0.7124), "71.2 %"),
        (formats.points(-0.034), "\N{MINUS SIGN}3.4 points"),
        (formats.points(0.0), "+0.0 points"),
        (formats.p_value(1e-9), "p < 0.0001"),
        (formats.p_value(0.00042), "p = 0.00042"),
        (formats.p_value(0.031), "p = 0.031"),
        (formats.duration(4.24), "4.2 s"),
        (formats.duration(59.97), "1 min 0 s"),
        (formats.duration(7500), "2 h 5 min"),
        (formats.memory(420_000_000), "420 MB"),
        (formats.memory(3_250_000_000), "3.25 GB"),
        (formats.memory(0), "\N{EN DASH}"),
        (formats.loss(None), "\N{EN DASH}"),
        (formats.loss(float("nan")), "\N{EN DASH}"),
        (formats.clip("abcdef", 3), "abc\N{HORIZONTAL ELLIPSIS} (6 characters)"),
    ],
)
def test_numbers_are_written_with_their_unit(written: str, expected: str) -> None:
    assert written.replace("\N{NO-BREAK SPACE}", " ") == expected
