"""The leak audit: every planted leak is caught, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nameplate.errors import InputError
from nameplate.stages.leaks import LeakSummary, read_leaks
from nameplate.stages.leaks.database import opened
from nameplate.stages.leaks.images import CANDIDATES, find_near_images
from nameplate.stages.leaks.pixels import Likeness
from nameplate.stages.leaks.results import PAIRS
from nameplate.store.manifest import StageRecord
from nameplate.summary import CheckpointScores, Comparison, Metrics, Proportion, ScoreSummary

from .leak_tables import Row, Shop, caption, encoded, picture

Plant = Callable[[Shop, Row, Row], None]


def found_of(summary: LeakSummary) -> dict[str, str]:
    return {each.kind.value: each.level for each in summary.kinds}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "run")


def test_a_clean_table_has_no_leak_and_no_suspicion(shop: Shop) -> None:
    found = shop.audit()
    assert found.kinds == []
    assert found.exit_code == 0
    assert {split: (share.count, share.n) for split, share in found.leaked.items()} == {
        "validation": (0, 8),
        "test": (0, 8),
    }
    assert found.sentence == "No leak: none of 16 held-out rows is known from 30 training rows."
    assert pq.read_table(shop.run.leaks_path.with_name("pairs.parquet")).schema == PAIRS
    assert read_leaks(shop.run) == found


def _same_bytes(shop: Shop, held: Row, train: Row) -> None:
    shop.show(held, encoded(picture(0), quality=90))


def _re_encoded(shop: Shop, held: Row, train: Row) -> None:
    shop.show(held, encoded(picture(0), quality=40))


def _other_format(shop: Shop, held: Row, train: Row) -> None:
    shop.show(held, encoded(picture(0), "WEBP", quality=60), "webp")


def _halved(shop: Shop, held: Row, train: Row) -> None:
    shop.show(held, encoded(picture(0).resize((80, 70), Image.Resampling.LANCZOS), "PNG"), "png")


def _set(**values: str) -> Plant:
    def plant(shop: Shop, held: Row, train: Row) -> None:
        held |= values

    return plant


def _copy(*columns: str) -> Plant:
    def plant(shop: Shop, held: Row, train: Row) -> None:
        held |= {column: train[column] for column in columns}

    return plant


@pytest.mark.parametrize(
    ("plant", "kinds"),
    [
        (_same_bytes, {"image": "leak", "source_image": "leak"}),
        (_re_encoded, {"near_image": "leak"}),
        (_other_format, {"near_image": "leak"}),
        (_halved, {"near_image": "leak"}),
        (_copy("image_source_sha256"), {"source_image": "leak"}),
        (_copy("group_id"), {"group": "leak"}),
        (_copy("name", "product_code"), {"product_code": "leak"}),
        (_set(page_url="http://shop.example/items/0/?utm_source=mail&gclid=7#reviews"), {"page": "leak"}),
        (_copy("caption"), {"caption": "leak"}),
        (_set(caption=caption(0).upper().replace(".", " !")), {"caption": "leak"}),
        (_set(caption=caption(0).replace(" ", " very ", 1)), {"near_caption": "suspicion"}),
        (_copy("name", "title"), {"title": "suspicion"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else getattr(value, "__name__", ""),
)
def test_what_is_planted_is_caught_and_nothing_else(shop: Shop, plant: Plant, kinds: dict[str, str]) -> None:
    train, held = shop.rows[0], shop.of("test")[3]
    plant(shop, held, train)
    found = shop.audit()
    assert found_of(found) == kinds
    leaks = "leak" in kinds.values()
    assert (found.leaked["test"].count, found.suspected["test"].count) == (int(leaks), int(not leaks))
    assert found.leaked["validation"].count == found.suspected["validation"].count == 0
    assert found.exit_code == int(leaks)
    for example in found.examples:
        assert (example.row_id, example.train_row, example.split) == (held["row_id"], train["row_id"], "test")
        assert example.matches == 1
    pairs = pq.read_table(shop.run.leaks_path.with_name("pairs.parquet")).to_pylist()
    assert {pair["kind"]: pair["level"] for pair in pairs} == kinds
    assert {(pair["row_id"], pair["train_row"]) for pair in pairs} == {(held["row_id"], train["row_id"])}


def test_a_copy_under_another_name_is_a_leak_and_another_colour_only_a_suspicion(shop: Shop) -> None:
    copied, coloured = shop.of("test")[0], shop.of("validation")[0]
    shop.show(copied, encoded(picture(1), quality=50))
    red, green, blue = picture(2).split()
    shop.show(coloured, encoded(Image.merge("RGB", (green, red, blue)).point(lambda value: value), quality=90))
    train = shop.rows[2]
    coloured["image_phash"] = train["image_phash"]
    found = shop.audit()
    levels = {(each.row_id, each.train_row): each.level for each in found.examples}
    assert copied["name"] != shop.rows[1]["name"]
    assert levels == {
        (copied["row_id"], shop.rows[1]["row_id"]): "leak",
        (coloured["row_id"], train["row_id"]): "suspicion",
    }


def test_of_several_images_with_one_hash_the_copy_is_found(shop: Shop) -> None:
    """The nearest hash is not the nearest picture: variants in other colours have the same."""
    for place, row in enumerate(shop.rows[:5]):
        shop.show(row, encoded(Image.new("RGB", (64, 64), (40 * place, 90, 200 - 40 * place)), "PNG"), "png")
    held = shop.of("test")[0]
    shop.show(held, encoded(Image.new("RGB", (90, 90), (120, 90, 80)), "PNG"), "png")
    found = shop.audit()
    example = next(each for each in found.examples if each.kind.value == "near_image")
    assert (example.level, example.train_row, example.matches) == ("leak", shop.rows[3]["row_id"], 5)


def test_many_plain_images_with_one_hash_do_not_explode(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "run", train=2, held=1)
    plain = shop.rows[0] | {"image_ext": "png", "image_phash": "8000000000000000", "title": None, "page_url": None}
    rows = [
        plain
        | {"row_id": f"p{place:05}", "split": "train" if place < 6_000 else "test", "group_id": f"p{place}"}
        | {"image_sha256": f"{place:064x}", "product_code": None, "image_source_sha256": None, "caption": None}
        for place in range(6_500)
    ]
    shop.rows += rows
    found = shop.audit()
    assert [(each.kind.value, each.level, each.rows["test"]) for each in found.kinds] == [
        ("near_image", "suspicion", 500)
    ]
    assert found.examples[0].matches == 6_000
    with opened(shop.run) as database:
        assert database.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(False,)]
        find_near_images(database, Likeness(shop.run.images), bits=6, advance=lambda steps: None)
        assert database.execute("SELECT count(*) FROM few").fetchall() == [(CANDIDATES,)]
    # None of these files exists, so each that was looked for is counted: the held-out ones and few training ones.
    assert found.notes == [
        f"{500 + CANDIDATES:,} images could not be read, so their likeness rests on perceptual hashes alone"
    ]


def test_what_a_table_repeats_by_habit_says_less(shop: Shop) -> None:
    for row in shop.rows:
        row["title"] = "Cotton T-shirt"
    for row in shop.rows[:10] + shop.of("test"):
        row["caption"] = caption(7)
    found = shop.audit()
    assert found_of(found) == {"caption": "suspicion"}
    assert found.exit_code == 0
    assert any("training captions stand under several products" in note for note in found.notes)
    assert any("equal titles say nothing (16 held-out rows have one)" in note for note in found.notes)


def test_short_equal_captions_and_a_page_of_all_products_are_suspicions(shop: Shop) -> None:
    shop.of("test")[0]["caption"] = shop.rows[0]["caption"] = "A plain red cotton shirt."
    for row in shop.rows[:25] + shop.of("validation")[:1]:
        row["page_url"] = "http://shop.example/"
    assert found_of(shop.audit()) == {"page": "suspicion", "caption": "suspicion"}


def test_bits_decide_which_hashes_are_looked_at(shop: Shop) -> None:
    train, held = shop.rows[0], shop.of("test")[0]
    held["image_phash"] = f"{int(train['image_phash'], 16) ^ 0b11111:016x}"
    assert shop.audit(bits=4).kinds == []
    assert found_of(shop.audit(bits=5)) == {"near_image": "suspicion"}


def test_a_row_without_anything_to_compare_is_no_mistake(shop: Shop) -> None:
    empty = dict.fromkeys(("title", "caption", "product_code", "page_url", "image_phash", "image_source_sha256"))
    for row in shop.rows:
        row |= empty
        row["name"] = ""
    assert shop.audit().kinds == []


def test_an_audit_that_was_never_done_is_said_to_be_missing(shop: Shop) -> None:
    with pytest.raises(InputError, match="run leaks first"):
        read_leaks(shop.run)


def _share(count: int, n: int) -> Proportion:
    return Proportion(count=count, n=n, value=count / n, low=0.0, high=1.0)


def _write_scores(shop: Shop, right: set[str]) -> None:
    metrics = Metrics(
        accuracy=_share(1, 8), wrong_name=_share(7, 8), no_name=_share(0, 8), macro_accuracy=0.1, num_names=3
    )
    models = [
        CheckpointScores(
            name=name, epoch=epoch, train_loss=None, loss={}, metrics={"test": {"name": metrics}, "validation": {}}
        )
        for name, epoch in (("base", 0), ("epoch-02", 2))
    ]
    comparison = Comparison(
        split="test", prompt="name", before="base", after="epoch-02", n=8, fixed=1, regressed=0, p_value=1.0,
        difference=0.1, low=0.0, high=0.2, outcome="tie", sentence="",
    )  # fmt: skip
    score = ScoreSummary(headline="name", checkpoints=models, selected="epoch-02", comparison=comparison, names=[])
    folder = shop.run.folder("score")
    folder.mkdir(parents=True)
    (folder / "scores.json").write_text(score.model_dump_json(), encoding="utf-8")
    answers = [
        {"checkpoint": model, "split": row["split"], "row_id": row["row_id"], "prompt": prompt}
        | {"right": model != "base" and prompt == "name" and row["row_id"] in right}
        for row in shop.of("test")
        for model in ("base", "epoch-01", "epoch-02")
        for prompt in ("name", "detail")
    ]
    pq.write_table(pa.Table.from_pylist(answers), folder / "predictions.parquet")
    shop.run.manifest.put("score", StageRecord(fingerprint="x", status="done"))


def test_the_scores_are_told_with_and_without_the_leaked_rows(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "run", train=30, held=20)
    tests = shop.of("test")
    for row, train in zip(tests[:10], shop.rows, strict=False):
        row["group_id"] = train["group_id"]
    _write_scores(shop, {row["row_id"] for row in tests[:11]})
    found = shop.audit()
    assert found.scored is not None
    base, chosen = found.scored.models
    assert [(share.count, share.n) for share in (base.all, base.clean, base.leaked)] == [(0, 20), (0, 10), (0, 10)]
    assert [(share.count, share.n) for share in (chosen.all, chosen.clean, chosen.leaked)] == [
        (11, 20),
        (1, 10),
        (10, 10),
    ]
    assert (found.scored.outcome, found.scored.clean_outcome) == ("better", "tie")
    assert "epoch-02 names 10 of 10 leaked test rows and 1 of 10 others" in found.scored.sentences[0]
    assert "take the number without them" in found.scored.sentences[0]


def test_what_was_not_answered_is_in_no_denominator(shop: Shop) -> None:
    tests = shop.of("test")
    _write_scores(shop, {row["row_id"] for row in tests})
    path = shop.run.folder("score") / "predictions.parquet"
    table = pq.read_table(path)
    ends = ["failed" if row_id == tests[0]["row_id"] else "stop" for row_id in table["row_id"].to_pylist()]
    pq.write_table(table.append_column("finish", pa.array(ends)), path)
    scored = shop.audit().scored
    assert scored is not None
    assert [(each.all.count, each.all.n) for each in scored.models] == [(0, 7), (7, 7)]


def test_scores_without_a_leaked_test_row_stand(shop: Shop) -> None:
    _write_scores(shop, set())
    shop.of("validation")[0]["group_id"] = "g0"
    scored = shop.audit().scored
    assert scored is not None
    assert scored.sentences == ["No scored test row leaks, so the scores stand as they are."]
