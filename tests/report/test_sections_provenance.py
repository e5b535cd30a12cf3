"""Provenance: what was asked, about what, by which weights, so that two runs can be told to be of the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from report_run import HOSTILE, FinishedRun, build_run

from nameplate.report.provenance import build_provenance
from nameplate.store.manifest import StageRecord


def test_every_model_and_everything_that_decides_has_its_fingerprint(tmp_path: Path) -> None:
    own = build_run(tmp_path)
    own.run.manifest.put("split", StageRecord(fingerprint="of the split", status="done"))
    score = own.summary.score.model_copy(update={"matcher": "of the names"})
    found = build_provenance(
        own.summary.model_copy(update={"score": score}), own.run, recipe_yaml="", command="nameplate run"
    )
    assert dict(found.identities) == {
        "names and rules of judging": "of the names",
        "test set": "f" * 64,
        "rows after split": "of the split",
        **{
            f"weights of {model}, answered by transformers": f"weights of {model}"
            for model in ("base", "epoch-02", "epoch-04", "epoch-06")
        },
    }
    assert dict(found.questions) == score.questions


def test_predictions_of_an_older_version_name_no_weights(tmp_path: Path) -> None:
    own = build_run(tmp_path)
    path = own.run.folder("score") / "predictions.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["weights", "engine"]), path)
    score = own.summary.score.model_copy(update={"looks": None, "questions": {}})
    summary = own.summary.model_copy(update={"score": score})
    found = build_provenance(summary, own.run, recipe_yaml="", command="")
    assert (found.identities, found.questions) == ((), ())
    page = replace(own, summary=summary).render(recipe={"report": {"gallery": 0}})
    assert "by its fingerprint" not in page


def test_questions_are_shown_in_full_and_stay_text(finished_run: FinishedRun, page: str) -> None:
    section = page[page.index('<section id="provenance"') :]
    assert "Which brand is it?" in section
    assert HOSTILE not in section
    assert "Describe it. &lt;script&gt;" in section
    assert "nameplate run recipe.yaml --run-dir runs/first" in section
