"""Guards and self-checks: shown as they were found, the worst first, strangers' words as words."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from report_run import HOSTILE, FinishedRun, proportion
from tests.sweep.made_up import made_up

from nameplate.report.checks import KINDS, build_checks
from nameplate.report.guards import build_guards
from nameplate.summary import GuardQuestion, GuardScores, SelfCheck
from nameplate.summary.score import CheckKind
from nameplate.sweep.folder import SweepFolder
from nameplate.sweep.page import write_sweep_page

NO_GALLERY = {"report": {"gallery": 0}}


def guards(right: int, *sentences: str, column: str = "colour") -> GuardScores:
    question = GuardQuestion(column=column, question=f"What {column}?", right=proportion(right, 50))
    return GuardScores(
        questions=[question], words=8.0, distinct_pairs=0.9, repeating=proportion(1, 50), sentences=list(sentences)
    )


def test_a_row_for_each_model_with_the_sentences_of_the_chosen_one(finished_run: FinishedRun) -> None:
    found = build_guards(finished_run.summary.score)
    assert found is not None
    assert [row.name for row in found.rows] == ["base", "epoch-02", "epoch-04", "epoch-06"]
    assert [row.is_chosen for row in found.rows] == [False, False, True, False]
    assert found.columns == ("category",)
    assert found.sentences == ("Names a brand on 12 of 40 images without one; the base on none.",)
    assert found.others == ("epoch-06",)
    assert found.rows[2].claimed == (("Adidas", 8), (HOSTILE, 4))


def test_a_column_that_one_model_was_not_asked_about_is_none_for_it(finished_run: FinishedRun) -> None:
    score = finished_run.summary.score
    asked = [guards(40), guards(30, column="material"), None, guards(20)]
    models = [each.model_copy(update={"guards": own}) for each, own in zip(score.checkpoints, asked, strict=True)]
    found = build_guards(score.model_copy(update={"checkpoints": models}))
    assert found is not None
    assert found.columns == ("colour", "material")
    assert [[answer and answer.count for answer in row.answers] for row in found.rows] == [
        [40, None], [None, 30], [20, None],
    ]  # fmt: skip
    assert not found.has_overclaim
    page = finished_run.render(recipe=NO_GALLERY, score=score.model_copy(update={"checkpoints": models}))
    section = page[page.index('<section id="guards"') : page.index('<section id="pictures"')]
    assert "names what has none" not in section
    assert "Nothing that is asked here is shown to have become worse" in section


def test_nobody_asked_is_no_section(finished_run: FinishedRun) -> None:
    score = finished_run.summary.score
    models = [each.model_copy(update={"guards": None}) for each in score.checkpoints]
    assert build_guards(score.model_copy(update={"checkpoints": models})) is None
    assert 'id="guards"' not in finished_run.render(
        recipe=NO_GALLERY, score=score.model_copy(update={"checkpoints": models})
    )


def test_checks_that_warn_stand_open_and_all_are_counted(finished_run: FinishedRun) -> None:
    score = finished_run.summary.score
    skipped = SelfCheck(kind="engine", model="", outcome="skipped", sentence="One engine only.")
    found = build_checks(score.model_copy(update={"checks": [skipped, *score.checks]}))
    assert found is not None
    assert [(check.model, check.outcome) for check in found.open] == [("epoch-04", "warned"), ("all models", "skipped")]
    assert [check.outcome for check in found.passed] == ["passed", "passed"]
    assert found.summary == "2 passed, 1 warned, 1 skipped"
    assert found.line == "2 passed, 1 warned, 1 skipped. 7 of 16 answers differ from those about a grey image."


def test_every_kind_of_check_has_words() -> None:
    assert set(KINDS) == set(get_args(CheckKind))


def test_what_a_check_says_stays_text(finished_run: FinishedRun) -> None:
    check = SelfCheck(kind="empty", model=HOSTILE, outcome="warned", sentence=f"{HOSTILE} is all it says")
    page = finished_run.render(
        recipe=NO_GALLERY, score=finished_run.summary.score.model_copy(update={"checks": [check]})
    )
    section = page[page.index('<section id="checks"') : page.index('<section id="provenance"')]
    assert "<script" not in section
    assert "&lt;script&gt;alert(1)&lt;/script&gt; is all it says" in section


def test_a_sweep_shows_what_each_member_still_knows(tmp_path: Path) -> None:
    found = made_up()
    asked = {"guards": guards(30, f"{HOSTILE} became worse"), "base_guards": guards(45)}
    first = found.rows[0]
    rows = [
        first.model_copy(update={"trials": [trial.model_copy(update=asked) for trial in first.trials]}),
        *found.rows[1:],
    ]
    page = write_sweep_page(found.model_copy(update={"rows": rows}), SweepFolder(tmp_path)).read_text(encoding="utf-8")
    matrix = page[page.index('<section id="matrix"') : page.index('<section id="compared"')].replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert '60.0 % <span class="quiet whole">(before 90.0 %)</span><br><span class="failed">worse</span>' in matrix
    assert matrix.count("not asked") == len(rows) - 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt; became worse" in page
    assert "<script" not in page


def test_a_sweep_in_which_nobody_was_asked_has_no_such_column(tmp_path: Path) -> None:
    page = write_sweep_page(made_up(), SweepFolder(tmp_path)).read_text(encoding="utf-8")
    assert "still knows" not in page.lower()
