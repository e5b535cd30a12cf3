"""What the sections read of a run: files of older versions, rows without an answer, and what a probe left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_run import HOSTILE, FinishedRun, build_run
from tests.stages.probe_figures import summary_of

from nameplate.errors import RunDirectoryError
from nameplate.models.images import ImageKey
from nameplate.names import build_registry
from nameplate.report.answered import read_answered
from nameplate.report.sections import build_sections, read_texts
from nameplate.stages.probe.ocr import read_words
from nameplate.store.files import write_text
from nameplate.store.journal import Journal

NO_GALLERY = {"report": {"gallery": 0}}


@pytest.fixture
def own(tmp_path: Path) -> FinishedRun:
    """A run that a test may change."""
    return build_run(tmp_path / "run")


def rewrite(own: FinishedRun, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path = own.run.folder("score") / "predictions.parquet"
    pq.write_table(pa.Table.from_pylist([change(dict(row)) for row in own.predictions]), path)


def test_both_models_answers_on_the_split_and_question_that_decide(finished_run: FinishedRun) -> None:
    found = read_answered(finished_run.summary.score, finished_run.run)
    assert len(found.rows) == finished_run.summary.score.comparison.n
    for model, answers in (("base", found.before), ("epoch-04", found.after)):
        expected = {
            p["row_id"]: (p["answer"], p["right"], p["finish"])
            for p in finished_run.predictions
            if (p["checkpoint"], p["split"], p["prompt"]) == (model, "test", "name")
        }
        assert {row: (each.answer, each.right, each.finish) for row, each in answers.items()} == expected
    listing = found.listing(found.rows[0])
    assert (listing.width, listing.group) == (192, f"P{int(found.rows[0]) // 2:05d}")
    assert found.matcher is not None


def test_predictions_of_an_older_version_have_all_sections(own: FinishedRun) -> None:
    rewrite(own, lambda row: {key: row[key] for key in row if key not in ("strict", "mentioned", "finish")})
    sections = build_sections(own.summary, own.run)
    assert sections.confusions is not None
    assert sections.slices is not None
    assert sections.scorer is not None
    assert len(sections.scorer.unknown) == 2
    assert "which an older version wrote: cut off, several" in own.render(recipe=NO_GALLERY)


def test_a_row_without_an_answer_is_in_no_section(own: FinishedRun) -> None:
    lost = next(p["row_id"] for p in own.predictions if p["split"] == "test")
    rewrite(own, lambda row: row | ({"finish": "nonfinite"} if row["row_id"] == lost else {}))
    found = read_answered(own.summary.score, own.run)
    assert lost not in found.rows
    assert len(found.rows) == own.summary.score.comparison.n - 1


def test_names_that_were_changed_since_make_no_confusions(own: FinishedRun) -> None:
    score = own.summary.score.model_copy(update={"matcher": "of other names"})
    sections = build_sections(own.summary.model_copy(update={"score": score}), own.run)
    assert sections.confusions is None
    assert sections.scorer is not None
    write_text(own.run.registry_path, "not a registry")
    assert build_sections(own.summary, own.run).confusions is None


def test_a_name_that_the_registry_lacks_is_no_reason_to_fail(own: FinishedRun) -> None:
    write_text(own.run.registry_path, build_registry(Counter(["Nike", "Puma"])).to_json())
    assert 'id="confusions"' in own.render(recipe=NO_GALLERY)


def test_without_predictions_the_error_says_what_to_run(own: FinishedRun) -> None:
    (own.run.folder("score") / "predictions.parquet").unlink()
    with pytest.raises(RunDirectoryError, match="nameplate score"):
        read_answered(own.summary.score, own.run)


def test_hostile_names_and_answers_stay_text_in_every_section(own: FinishedRun) -> None:
    rewrite(own, lambda row: row | ({"answer": f"{HOSTILE} Nikke {HOSTILE}", "verdict": "absent", "right": False}))
    page = own.render(recipe=NO_GALLERY)
    for section in ("confusions", "slices", "scorer", "names"):
        start = page.index(f'<section id="{section}"')
        text = page[start : page.index("</section>", start)]
        assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; <mark>Nikke</mark>" in page


class TestText:
    """Slices by text in the image, as the probe read it."""

    @pytest.fixture
    def reader(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A reader of text that finds some in every second image; the real one is an extra."""
        for package in ("rapidocr", "onnxruntime"):
            info = tmp_path / "packages" / f"{package}-9.9.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 9.9\n")
        (tmp_path / "packages" / "rapidocr.py").write_text(
            "class Found:\n"
            "    def __init__(self, path): self.txts = ('SALE',) if int(path.split('/')[-1][0], 16) % 2 else None\n"
            "class RapidOCR:\n"
            "    def __init__(self, params): pass\n"
            "    def __call__(self, path): return Found(path)\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path / "packages"))

    def probe(self, own: FinishedRun) -> dict[str, str]:
        write_text(own.run.probe_path, summary_of(0.1).model_dump_json())
        images = {
            ImageKey(row["image_sha256"], row["image_ext"])
            for row in own.run.tables("split").read_kept().to_pylist()
            if row["split"] == "validation"
        }
        with Journal(own.run.prediction_journal) as journal:
            words = read_words(sorted(images), store=own.run.images, journal=journal, advance=lambda _: None)
        return {image.sha256: text for image, text in words.items()}

    @pytest.mark.usefixtures("reader")
    def test_the_images_that_the_probe_read_are_cut_by_their_words(self, own: FinishedRun) -> None:
        words = self.probe(own)
        slices = build_sections(own.summary, own.run).slices
        assert slices is not None
        table = slices.tables[-1]
        assert table.title == "Text in the image, by the probe (validation images)"
        asked = [
            p
            for p in own.predictions
            if (p["checkpoint"], p["split"], p["prompt"]) == ("epoch-04", "validation", "name")
        ]
        for each, has_text in zip(table.slices, (True, False), strict=True):
            rows = [p for p in asked if bool(words[p["image_sha256"]]) is has_text]
            assert (each.after.count, each.after.n) == (sum(p["right"] for p in rows), len(rows))

    def test_without_the_reader_there_is_no_such_slice(self, own: FinishedRun) -> None:
        write_text(own.run.probe_path, summary_of(0.1).model_dump_json())
        answered = read_answered(own.summary.score, own.run)
        texts = read_texts(own.summary.score, own.run, answered)
        assert texts is None or texts.has_text == {}

    @pytest.mark.parametrize("text", ["{", '{"nameplate": "9"}'])
    def test_a_probe_that_cannot_be_read_is_none(self, own: FinishedRun, text: str) -> None:
        write_text(own.run.probe_path, text)
        answered = read_answered(own.summary.score, own.run)
        assert read_texts(own.summary.score, own.run, answered) is None
