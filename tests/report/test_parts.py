"""The parts of the page one by one: what is counted, chosen, drawn and shrunk."""

from __future__ import annotations

import base64
import io
import random
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from report_run import HOSTILE, FinishedRun, build_run

from nameplate.errors import RunDirectoryError
from nameplate.report import formats
from nameplate.report.charts import accuracy_figure, loss_figure, support_figure
from nameplate.report.funnel import build_funnel
from nameplate.report.gallery import KINDS, Kind, build_gallery, choose, kind_of, mark_name
from nameplate.report.names import build_names
from nameplate.report.svg import PAINT, inline_svg
from nameplate.report.teacher import build_teacher
from nameplate.report.thumbnails import MAX_BYTES, encode, thumbnail
from nameplate.report.verdict import build_verdict
from nameplate.store.images import ImageStore
from nameplate.summary import NameScore


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


def test_kinds_are_the_four_cells_of_the_table() -> None:
    cells = {(before, after): kind_of(before, after) for before in (False, True) for after in (False, True)}
    assert cells == {
        (False, True): "fixed",
        (True, False): "regressed",
        (False, False): "still_wrong",
        (True, True): "right_both",
    }


def test_rare_kinds_get_their_places_and_the_rest_is_shared_by_size() -> None:
    sizes: dict[Kind, int] = {"fixed": 600, "regressed": 4, "still_wrong": 300, "right_both": 100}
    kinds: dict[str, Kind] = {f"{kind}-{i}": kind for kind, size in sizes.items() for i in range(size)}
    names = {row: f"brand {i % 9}" for i, row in enumerate(kinds)}
    shown = choose(kinds, names, num_images=24)
    counts = Counter(kinds[row] for row in shown)
    assert len(shown) == 24
    assert counts["regressed"] == counts["right_both"] == 3
    assert counts["fixed"] > counts["still_wrong"] > 3
    assert shown == choose(dict(reversed(kinds.items())), names, num_images=24)
    fixed = [names[row] for row in shown if kinds[row] == "fixed"]
    assert len(set(fixed[:9])) == 9


@pytest.mark.parametrize("num_images", [0, 1, 5, 24, 1000])
def test_never_more_images_than_asked_for_or_than_there_are(num_images: int) -> None:
    kinds: dict[str, Kind] = {str(i): KINDS[i % 4] for i in range(30)}
    shown = choose(kinds, dict.fromkeys(kinds, "one"), num_images=num_images)
    assert len(shown) == len(set(shown)) == min(num_images, 30)


def test_cards_say_what_the_models_said(finished_run: FinishedRun) -> None:
    gallery = build_gallery(finished_run.summary.score, finished_run.run, num_images=24)
    said = {(p["checkpoint"], p["prompt"], p["row_id"]): p for p in finished_run.predictions}
    for card in gallery.cards:
        for model, answer in (("base", card.before), ("epoch-04", card.after)):
            row = said[model, "name", card.row_id]
            assert "".join(piece.text for piece in answer.pieces) == row["answer"]
            assert answer.right == row["right"]
            assert row["split"] == "test"
        assert card.kind == kind_of(card.before.right, card.after.right)
        assert card.caption_before is not None
        assert card.caption_after is not None
        assert card.picture is not None
    assert sum(tally.total for tally in gallery.tallies) == finished_run.summary.score.comparison.n


def test_a_picture_that_is_gone_leaves_a_card_without_it(tmp_path: Path) -> None:
    finished = build_run(tmp_path)
    for path in finished.run.images.root.rglob("*.jpg"):
        path.write_bytes(b"not a picture")
    page = finished.render()
    assert "no picture" in page
    assert "<img" not in page


def test_without_predictions_the_error_says_what_to_run(tmp_path: Path) -> None:
    finished = build_run(tmp_path)
    (finished.run.folder("score") / "predictions.parquet").unlink()
    with pytest.raises(RunDirectoryError, match="nameplate score"):
        finished.render()


@pytest.mark.parametrize(
    ("text", "name", "marked"),
    [
        ("A cup by Nike.", "Nike", ["Nike"]),
        ("NIKE and nike", "Nike", ["NIKE", "nike"]),
        ("Nikes are not it", "Nike", []),
        ("by A.P.C. in Paris", "A.P.C.", ["A.P.C."]),
        ("an AxPxCx cup", "A.P.C.", []),
        ("", "Nike", []),
    ],
)
def test_the_true_name_is_marked_as_whole_words(text: str, name: str, marked: list[str]) -> None:
    pieces = mark_name(text, name)
    assert [piece.text for piece in pieces if piece.is_name] == marked
    assert "".join(piece.text for piece in pieces) == text


def test_a_thumbnail_fits_even_if_the_picture_is_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 500, 3), dtype=np.uint8)
    assert len(encode(Image.fromarray(noise))) <= MAX_BYTES


def test_thumbnails_shrink_turn_and_lie_on_white(tmp_path: Path) -> None:
    store, buffer = ImageStore(tmp_path), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter when shown
    Image.new("RGBA", (800, 400), (0, 0, 0, 0)).save(buffer, "PNG", exif=exif)
    made = thumbnail(store, store.put(buffer.getvalue(), "png"), "png", side=100)
    assert made is not None
    assert (made.width, made.height) == (50, 100)
    data = base64.b64decode(made.uri.removeprefix("data:image/webp;base64,"))
    with Image.open(io.BytesIO(data)) as image:
        assert image.convert("RGB").getpixel((25, 50)) == (255, 255, 255)


def test_charts_use_the_pages_colours_and_their_own_ids(finished_run: FinishedRun) -> None:
    score, train = finished_run.summary.score, finished_run.summary.train
    drawn = [accuracy_figure(score, "name"), accuracy_figure(score, "detail"), loss_figure(score, train)]
    drawn.append(support_figure(score.names))
    ids = [name for figure in drawn for name in re.findall(r'\bid="([^"]+)"', figure.svg)]
    assert len(ids) == len(set(ids))
    for figure in drawn:
        assert not set(PAINT.values()) & set(re.findall(r"#[0-9a-f]{6}", figure.svg))
        paints = set(re.findall(r'(?:fill|stroke)="([^"]+)"', figure.svg))
        assert paints <= {"none", "transparent"} | {f"var(--{name})" for name in PAINT}
        assert "font-family" not in figure.svg
        assert ElementTree.fromstring(figure.svg).get("viewBox")


def test_the_accuracy_chart_draws_every_model_on_both_splits(finished_run: FinishedRun) -> None:
    figure = accuracy_figure(finished_run.summary.score, "name")
    label = ElementTree.fromstring(figure.svg).get("aria-label") or ""
    assert label.count("epoch 4") == 2
    texts = [element.text for element in ElementTree.fromstring(figure.svg).iter("text")]
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


def test_names_stand_by_training_examples_and_untested_ones_are_left_out() -> None:
    rng = random.Random(1)
    scores = [NameScore(name=f"n{i}", train=rng.randrange(50), test=10, before=1, after=i % 11) for i in range(80)]
    names = build_names([*scores, NameScore(name="untested", train=9, test=0, before=0, after=0)])
    rows = [*names.first, *names.rest]
    assert len(names.first) == 60
    assert [row.train for row in rows] == sorted((row.train for row in rows), reverse=True)
    assert names.num_names == 80
    assert names.num_better == sum(score.after > 1 for score in scores)
    assert names.num_worse == names.num_never == sum(score.after == 0 for score in scores)


def test_a_names_interval_is_wilsons() -> None:
    # 81 of 263: 95 % interval 0.2553-0.3662 (Newcombe 1998, Statistics in Medicine 17, table I).
    row = build_names([NameScore(name="x", train=1, test=263, before=0, after=81)]).first[0]
    assert (row.low, row.high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))


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
