"""The verdict box: the answers counted in several ways, what else belongs to the verdict, and what to beware of."""

from __future__ import annotations

from typing import Any

from report_run import FinishedRun

from nameplate.report.verdict import build_verdict
from nameplate.summary import RunSummary, ScoreSummary

NO_GALLERY = {"report": {"gallery": 0}}


def changed(finished: FinishedRun, **changes: Any) -> RunSummary:
    return finished.summary.model_copy(update={"score": finished.summary.score.model_copy(update=changes)})


def with_metrics(score: ScoreSummary, **changes: Any) -> list[Any]:
    """The checkpoints with their metrics changed."""
    return [
        each.model_copy(
            update={
                "metrics": {
                    split: {prompt: own.model_copy(update=changes) for prompt, own in asked.items()}
                    for split, asked in each.metrics.items()
                }
            }
        )
        for each in score.checkpoints
    ]


def test_the_measures_are_those_of_the_scores(finished_run: FinishedRun) -> None:
    score = finished_run.summary.score
    base, chosen = score.checkpoints[0], score.checkpoints[2]
    was, now = base.metrics["test"]["name"], chosen.metrics["test"]["name"]
    rows = {each.label: (each.before, each.after) for each in build_verdict(finished_run.summary).measures}
    assert rows == {
        "the name and nothing else": (was.strict, now.strict),
        "the right name and no other": (was.accuracy, now.accuracy),
        "the right name, others or not": (was.mention_any, now.mention_any),
        "picks it of all 16 names": (base.closed["test"].corrected_top1, chosen.closed["test"].corrected_top1),
        "has it among its first five": (base.closed["test"].corrected_top5, chosen.closed["test"].corrected_top5),
        "another name": (was.wrong_name, now.wrong_name),
        "no known name": (was.no_name, now.no_name),
        "cut off by the token limit": (was.cut_off, now.cut_off),
    }
    assert [each.label for each in build_verdict(finished_run.summary).measures if each.decides] == [
        "the right name and no other"
    ]


def test_the_first_five_of_five_names_say_nothing(finished_run: FinishedRun) -> None:
    few = [
        each.model_copy(
            update={"closed": {split: own.model_copy(update={"names": 5}) for split, own in each.closed.items()}}
        )
        for each in finished_run.summary.score.checkpoints
    ]
    labels = [each.label for each in build_verdict(changed(finished_run, checkpoints=few)).measures]
    assert "picks it of all 5 names" in labels
    assert "has it among its first five" not in labels


def test_the_notes_say_choice_memory_looks_and_checks(finished_run: FinishedRun) -> None:
    notes = dict(build_verdict(finished_run.summary).notes)
    score = finished_run.summary.score
    assert list(notes) == ["Choice", "By heart", "Test looks", "Self-checks"]
    assert score.checkpoints[2].memorisation is not None
    assert notes["By heart"] == score.checkpoints[2].memorisation.sentence
    assert score.looks is not None
    assert notes["Test looks"] == score.looks.sentence
    assert notes["Self-checks"] == "2 passed, 1 warned. 7 of 16 answers differ from those about a grey image."


def test_scores_of_an_older_version_have_a_verdict(finished_run: FinishedRun) -> None:
    score = finished_run.summary.score
    plain = [
        each.model_copy(update={"closed": {}, "memorisation": None})
        for each in with_metrics(score, strict=None, mention_any=None, cut_off=None, macro_low=None, macro_high=None)
    ]
    summary = changed(finished_run, checkpoints=plain, checks=[], looks=None)
    verdict = build_verdict(summary)
    assert [subject for subject, _ in verdict.notes] == ["Choice"]
    assert [each.label for each in verdict.measures if each.after] == [
        "the right name and no other", "another name", "no known name",
    ]  # fmt: skip
    page = finished_run.render(score=summary.score, recipe=NO_GALLERY)
    for section in ("checks", "guards"):
        assert (f'id="{section}"' in page) == (section == "guards")


def test_what_must_be_known_of_the_scores_is_said_first(finished_run: FinishedRun) -> None:
    note = "All 3 test rows are called Nike: accuracy is trivial here."
    assert build_verdict(changed(finished_run, notes=[note])).warnings[0] == note


def test_the_likelihood_that_validation_decided_for_is_the_one_shown(finished_run: FinishedRun) -> None:
    plain = [
        each.model_copy(
            update={
                "closed": {
                    split: own.model_copy(
                        update={"by": "likelihood", "top1": own.corrected_top5, "sentence": "It knows."}
                    )
                    for split, own in each.closed.items()
                }
            }
        )
        for each in finished_run.summary.score.checkpoints
    ]
    verdict = build_verdict(changed(finished_run, checkpoints=plain))
    picked = {each.label: each.after for each in verdict.measures}["picks it of all 16 names"]
    assert picked == finished_run.summary.score.checkpoints[2].closed["test"].corrected_top5
    assert dict(verdict.notes)["Knows and says"] == "It knows."


def test_images_without_an_answer_are_said_to_be_in_no_share(finished_run: FinishedRun) -> None:
    some = with_metrics(finished_run.summary.score, unscored=7)
    warnings = build_verdict(changed(finished_run, checkpoints=some)).warnings
    assert "7 images got no answer of epoch-04 and are in none of its shares." in warnings


def test_only_checkpoints_that_looked_at_the_test_are_counted(finished_run: FinishedRun) -> None:
    score = finished_run.summary.score
    unread = [
        each.model_copy(update={"metrics": {"validation": each.metrics["validation"]}}) for each in score.checkpoints
    ]
    shy = [score.checkpoints[0], unread[1], score.checkpoints[2], unread[3]]
    assert not any("looked at" in warning for warning in build_verdict(changed(finished_run, checkpoints=shy)).warnings)
    two = [*shy[:3], score.checkpoints[3]]
    assert any("each of the 2" in warning for warning in build_verdict(changed(finished_run, checkpoints=two)).warnings)
    page = finished_run.render(score=score.model_copy(update={"checkpoints": shy}), recipe=NO_GALLERY)
    assert "not asked" in page
