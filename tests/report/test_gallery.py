"""The gallery: which images, what was said of them, where names are marked, and how much room that takes."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from report_run import FinishedRun, build_run

from nameplate.errors import RunDirectoryError
from nameplate.names import Matcher, build_registry
from nameplate.recipe import ReportSection
from nameplate.report.gallery import Gallery, Tally, build_gallery
from nameplate.report.kinds import FLIP_FLOP, KINDS, Kind, changes, choose, kind_of, kinds_of
from nameplate.report.marking import Answer, Marker, mark_name, read_matcher
from nameplate.report.thumbnails import MAX_BYTES, SIZES, encode, fitting, thumbnail, thumbnails
from nameplate.store.images import ImageStore

REGISTRY = build_registry({"Nike": 9, "Puma": 9, "A.P.C.": 9, "Coach": 9})


def gallery_of(finished: FinishedRun, **fields: int) -> Gallery:
    return build_gallery(finished.summary.score, finished.run, ReportSection(**fields))  # type: ignore[arg-type]


def unpacked(gallery: Gallery) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(gallery.rest)))
    return tree


def picture_bytes(gallery: Gallery) -> int:
    return sum(len(card.picture.uri) for card in gallery.cards if card.picture is not None)


def text_of(answer: Answer) -> str:
    return "".join(piece.text for piece in answer.pieces)


def said(text: str, name: str = "Nike", *, right: bool = False, **more: str) -> dict[str, Any]:
    verdict = "exact" if right else "other_name"
    return {"answer": text, "name": name, "verdict": verdict, "right": right, **more}


def test_kinds_are_the_four_cells_of_the_table() -> None:
    cells = {(before, after): kind_of(before, after) for before in (False, True) for after in (False, True)}
    assert cells == {
        (False, True): "fixed",
        (True, False): "regressed",
        (False, False): "still_wrong",
        (True, True): "right_both",
    }


@pytest.mark.parametrize(
    ("course", "num_changes", "kinds"),
    [
        ("..", 0, ("still_wrong",)),
        ("xx", 0, ("right_both",)),
        (".xxx", 1, ("fixed",)),
        ("x...", 1, ("regressed",)),
        (".x..", 2, (FLIP_FLOP,)),
        ("xx.x", 2, (FLIP_FLOP,)),
        (".x.x", 3, ("fixed", FLIP_FLOP)),
        ("x.x.", 3, ("regressed", FLIP_FLOP)),
    ],
)
def test_who_changes_twice_is_a_flip_flop_and_still_fixed_or_regressed(
    course: str, num_changes: int, kinds: tuple[str, ...]
) -> None:
    right = [mark == "x" for mark in course]
    assert changes(right) == num_changes
    assert kinds_of(right[0], right[-1], right) == kinds


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


def test_every_model_that_answered_stands_beside_every_image(finished_run: FinishedRun) -> None:
    gallery = gallery_of(finished_run)
    asked = {(p["checkpoint"], p["prompt"], p["row_id"]): p for p in finished_run.predictions}
    assert {card.row_id for card in gallery.cards} == {row for _, _, row in asked}
    tree = unpacked(gallery)
    places = {place: name for place, name, _ in tree["models"]}
    assert places == {1: "epoch-02", 3: "epoch-06"}
    for card in gallery.cards:
        assert [column.model for column in card.columns] == ["base", "epoch-04"]
        for column in card.columns:
            for each in column.said:
                row = asked[column.model, each.question, card.row_id]
                assert text_of(each.answer) == row["answer"].strip()
                assert (each.answer.right, card.split) == (row["right"], row["split"])
        for model, *answers in tree["rows"][card.row_id]:
            for question, outcome, _, _, *pieces in (tree["said"][each] for each in answers):
                row = asked[tree["models"][model][1], question, card.row_id]
                assert "".join(pieces[1::2]) == row["answer"].strip()
                assert outcome == row["right"]
        assert card.picture is not None
    fixed = next(tally for tally in gallery.tallies if tally.kind == "fixed")
    assert fixed.total == fixed.shown == finished_run.summary.score.comparison.fixed


def test_a_test_that_only_two_models_saw_has_no_flip_flops_and_needs_no_script(tmp_path: Path) -> None:
    finished = build_run(tmp_path)
    path = finished.run.folder("score") / "predictions.parquet"
    rows = [row for row in finished.predictions if row["checkpoint"] in ("base", "epoch-04")]
    # A file of an older version: without the columns that came later.
    columns = ["checkpoint", "split", "row_id", "image_sha256", "name", "prompt", "answer", "verdict", "right"]
    pq.write_table(pa.Table.from_pylist(rows).select(columns), path)
    gallery = gallery_of(finished)
    assert gallery.rest == ""
    assert gallery.flips == 0
    assert sum(tally.total for tally in gallery.tallies) == finished.summary.score.comparison.n


def test_an_image_that_a_model_gave_no_answer_about_is_neither_fixed_nor_wrong(tmp_path: Path) -> None:
    finished = build_run(tmp_path)
    path = finished.run.folder("score") / "predictions.parquet"
    rows = pq.read_table(path).to_pylist()
    failed = {row["row_id"] for row in rows if row["split"] == "test"}
    failed = set(sorted(failed)[:5])
    for row in rows:
        if row["row_id"] in failed and row["checkpoint"] == "epoch-04":
            row |= {"finish": "failed", "answer": "", "right": False, "verdict": "absent"}
    pq.write_table(pa.Table.from_pylist(rows), path)
    gallery = gallery_of(finished)
    assert {card.row_id for card in gallery.cards if card.kinds == ("unscored",)} == failed
    assert gallery.tallies[-1] == Tally("unscored", "Not scored", 5, 5)
    unscored = [card.columns[-1].said[0].answer for card in gallery.cards if card.row_id in failed]
    assert {(answer.scored, answer.verdict) for answer in unscored} == {(False, "not scored")}


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


def test_the_matchers_own_places_are_marked_and_other_names_are_struck_through() -> None:
    marker = Marker(Matcher(REGISTRY))
    right = marker.answer(said("A NIKE cap. The Nike logo; a coach stands by.", right=True))
    assert [piece.text for piece in right.pieces if piece.is_name] == ["NIKE", "Nike"]
    assert not any(piece.is_other for piece in right.pieces)
    wrong = marker.answer(said("A cap by Puma and Nike, near a coach."))
    assert [(piece.text, piece.is_name) for piece in wrong.pieces if piece.is_name or piece.is_other] == [
        ("Puma", False),
        ("Nike", True),
    ]
    assert wrong.verdict == "another name: Puma"
    unsure = marker.answer(said("The coach waits.", "Coach") | {"verdict": "ambiguous"})
    assert [piece.text for piece in unsure.pieces if piece.is_name] == ["coach"]
    assert unsure.verdict == "only where the words may mean something else"


def test_what_was_not_judged_is_not_called_wrong_and_a_cut_off_answer_is_named() -> None:
    marker = Marker(Matcher(REGISTRY))
    assert not marker.answer(said("", finish="nonfinite")).scored
    assert marker.answer(said("A Puma cap and", finish="length")).note == "cut off"
    assert marker.answer(said("Nike", right=True, finish="stop")) == Answer(mark_name("Nike", "Nike"), True, "exact")


def test_names_that_changed_since_are_not_marked_by_the_wrong_rules(finished_run: FinishedRun) -> None:
    score = finished_run.summary.score
    assert read_matcher(score, finished_run.run) is not None
    assert read_matcher(score.model_copy(update={"matcher": "other"}), finished_run.run) is None
    alone = Marker(None).answer(said("By Puma, not nike.", right=False))
    assert [piece.text for piece in alone.pieces if piece.is_name] == ["nike"]


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
def test_without_a_matcher_the_true_name_is_marked_as_whole_words(text: str, name: str, marked: list[str]) -> None:
    pieces = mark_name(text, name)
    assert [piece.text for piece in pieces if piece.is_name] == marked
    assert "".join(piece.text for piece in pieces) == text


def test_a_page_keeps_to_its_size_first_by_smaller_pictures_then_by_fewer(tmp_path: Path) -> None:
    finished = build_run(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    for path in finished.run.images.root.rglob("*.jpg"):
        Image.fromarray(noise).save(path, quality=90)
    wide, narrow = gallery_of(finished), gallery_of(finished, max_bytes=5_000_000)
    assert len(wide.cards) == len(narrow.cards)
    assert picture_bytes(narrow) < picture_bytes(wide)
    long = pq.read_table(finished.run.folder("score") / "predictions.parquet").to_pylist()
    for place, row in enumerate(long):
        row["answer"] = f"{place} " + "".join(np.random.default_rng(place).choice(list("abcdefgh "), 890))
    pq.write_table(pa.Table.from_pylist(long), finished.run.folder("score") / "predictions.parquet")
    page = finished.render(recipe={"report": {"max_bytes": 4_000_000}})
    assert 0 < page.count('class="card ') < len(wide.cards)
    assert len(page.encode("utf-8")) <= 4_000_000
    assert "shown)" in page


def test_sizes_of_thumbnails_are_kept_to_and_as_large_as_there_is_room() -> None:
    assert fitting(1_000_000) == SIZES[0]
    assert fitting(SIZES[2].max_bytes) == SIZES[2]
    assert fitting(1) == SIZES[-1]
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (288, 288, 3), dtype=np.uint8))
    for size in SIZES:
        assert len(encode(noise, max_bytes=size.max_bytes)) <= size.max_bytes


def test_a_thumbnail_fits_even_if_the_picture_is_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 500, 3), dtype=np.uint8)
    assert len(encode(Image.fromarray(noise))) <= MAX_BYTES


def test_thumbnails_come_in_the_order_asked_for(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    files: list[tuple[str | None, str | None]] = []
    for shade in range(0, 250, 10):
        buffer = io.BytesIO()
        Image.new("L", (20 + shade, 30), shade).save(buffer, "PNG")
        files += [(store.put(buffer.getvalue(), "png"), "png"), (None, None)]
    made = thumbnails(store, files, size=SIZES[0], made=tmp_path / "made")
    assert [each and each.width for each in made] == [w for shade in range(0, 250, 10) for w in (20 + shade, None)]


def test_a_thumbnail_is_made_once_for_each_size_and_again_when_it_was_spoilt(tmp_path: Path) -> None:
    store, made, buffer = ImageStore(tmp_path / "images"), tmp_path / "made", io.BytesIO()
    Image.new("RGB", (300, 300), "red").save(buffer, "PNG")
    files: list[tuple[str | None, str | None]] = [(store.put(buffer.getvalue(), "png"), "png")] * 3
    first = thumbnails(store, files, size=SIZES[0], made=made)
    assert len(list(made.rglob("*.webp"))) == 1
    for path in store.root.rglob("*.png"):
        path.unlink()
    assert thumbnails(store, files, size=SIZES[0], made=made) == first
    assert thumbnails(store, files, size=SIZES[1], made=made) == [None] * 3
    for path in made.rglob("*.webp"):
        path.write_bytes(path.read_bytes()[:-9])
    store.put(buffer.getvalue(), "png")
    assert thumbnails(store, files, size=SIZES[0], made=made) == first


def test_a_page_needs_no_place_to_keep_its_thumbnails(tmp_path: Path) -> None:
    store, buffer = ImageStore(tmp_path / "images"), io.BytesIO()
    Image.new("RGB", (30, 30), "red").save(buffer, "PNG")
    (tmp_path / "made").write_text("a file where a folder should be", encoding="utf-8")
    made = thumbnails(store, [(store.put(buffer.getvalue(), "png"), "png")], size=SIZES[0], made=tmp_path / "made")
    assert made[0] is not None


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
