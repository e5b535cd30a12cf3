"""How long endings are believed, under which settings, and images that come with the table."""

import pickle
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from nameplate.engine.services import LocalServices
from nameplate.errors import RunDirectoryError
from nameplate.records import SCHEMAS
from nameplate.stages.fetch import FetchStage
from nameplate.store.journal import Journal
from nameplate.store.tables import StageTables

from .fetch_shop import Shop, Workplace, encoded, jpeg, run_shards, table_of


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        yield server


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def _age(workplace: Workplace, *, days: float) -> None:
    """Make all that is known so many days older."""
    with Journal(workplace.journal) as journal:
        for key, entry in list(journal.items()):
            journal.put(key, 0, {**entry, "at": entry["at"] - days * 86_400})


def test_a_final_failure_is_believed_for_a_while_and_then_asked_again(shop: Shop, workplace: Workplace) -> None:
    urls = [f"{shop.url}/{place}" for place in ("good/1", "status/404", "status/410", "body/html", "noai")]
    first = workplace.outcomes(urls, keep_failures_days=10)
    _age(workplace, days=9.9)
    assert workplace.outcomes(urls, keep_failures_days=10) == first
    assert set(shop.asked.values()) == {1}
    _age(workplace, days=0.2)
    assert workplace.outcomes(urls, keep_failures_days=10) == first
    assert shop.asked == {"good/1": 1, "status/404": 2, "status/410": 2, "body/html": 2, "noai": 2}
    stage = workplace.stage(keep_failures_days=0)
    shards = [table_of(urls), table_of(urls)]
    run_shards(stage, StageTables(workplace.root / "twice", "fetch"), shards)
    assert shop.asked["noai"] == 3, "within one run, once is enough, whatever the days"


def test_a_cut_off_file_in_the_store_is_fetched_again(shop: Shop, workplace: Workplace) -> None:
    (row,) = workplace.outcomes([f"{shop.url}/good/1"])
    path = workplace.images.path(row["image_sha256"], row["image_ext"])
    path.write_bytes(jpeg(1)[:100])
    workplace.outcomes([f"{shop.url}/good/1"])
    assert (path.read_bytes(), shop.asked["good/1"]) == (jpeg(1), 2)


def test_new_image_settings_prepare_again_what_was_kept_as_it_came_and_ask_for_the_rest(
    shop: Shop, workplace: Workplace
) -> None:
    urls = [f"{shop.url}/good/1", f"{shop.url}/clear/1"]
    asked = []
    for matte, longest in (("#ffffff", None), ("#ff0000", None), ("#ff0000", 32), ("#ff0000", None)):
        rows = workplace.outcomes(urls, image={"matte": matte, "longest_side": longest})
        asked.append((shop.asked["good/1"], shop.asked["clear/1"]))
        size = 32 if longest else 64
        assert [(row["image_status"], row["image_width"]) for row in rows] == [("ok", size)] * 2
        corner = Image.open(BytesIO(workplace.images.read(rows[1]["image_sha256"], "png"))).convert("RGB")
        assert corner.getpixel((0, 0)) == ((255, 255, 255) if matte == "#ffffff" else (255, 0, 0))
    assert asked == [(1, 1), (1, 2), (1, 3), (1, 4)]


def test_a_stage_can_be_sent_to_another_process_before_its_first_shard(shop: Shop, workplace: Workplace) -> None:
    stage = pickle.loads(pickle.dumps(workplace.stage()))
    assert _outcomes(stage, [{"image_url": f"{shop.url}/good/1"}])[0]["image_status"] == "ok"


def test_two_shards_with_one_link_ask_for_it_once(shop: Shop, workplace: Workplace) -> None:
    urls = [f"{shop.url}/{place}" for place in ("good/1", "good/2", "status/404", "noai", "body/html")]
    tables = StageTables(workplace.root / "fetch", "fetch")
    outcome = run_shards(workplace.stage(per_host=64), tables, [table_of(urls)] * 6)
    assert (outcome.read, outcome.kept) == (30, 12)
    assert set(shop.asked.values()) == {1}


def test_a_page_is_named_to_a_host_that_wants_it_only_when_the_recipe_says_so(shop: Shop, workplace: Workplace) -> None:
    pages = ["https://shop.example/item?a=b#c", "javascript:alert(1)", None, "https://u:p@shop.example/"]
    rows = [{"image_url": f"{shop.url}/wanted/{number}", "page_url": page} for number, page in enumerate(pages)]
    never = _outcomes(workplace.stage(), rows)
    assert {row["image_status"] for row in never} == {"http_403"}
    assert shop.referers == {f"wanted/{number}": [None] for number in range(4)}
    shop.referers.clear()
    found = _outcomes(workplace.stage(referer=True), rows)
    assert [row["image_status"] for row in found] == ["ok", "http_403", "http_403", "http_403"]
    assert shop.referers == {
        "wanted/0": [None, "https://shop.example/item?a=b"],
        **{f"wanted/{number}": [None] for number in (1, 2, 3)},
    }


def test_an_image_of_the_table_is_prepared_like_a_fetched_one_without_a_request(workplace: Workplace) -> None:
    clear = encoded(_clear(), "PNG")
    blobs = [workplace.images.put(data, "raw") for data in (jpeg(1), clear, b"<html>", b"")]
    rows = [{"image_url": f"images/{number}.jpg", "image_blob": blob} for number, blob in enumerate(blobs)]
    for _ in range(2):
        found = _outcomes(workplace.stage(), rows)
        assert [row["image_status"] for row in found] == ["ok", "ok", "not_an_image", "not_an_image"]
        assert [row["image_source_sha256"] for row in found[:2]] == blobs[:2]
        assert {(row["http_status"], row["fetch_attempts"]) for row in found} == {(None, 0)}
    plain = workplace.images.path(blobs[0], "jpg")
    assert found[0]["image_sha256"] == blobs[0]
    assert plain.samefile(workplace.images.path(blobs[0], "raw")), "one image lies on the disk once"
    assert found[1]["image_changes"] == ["matted", "reencoded"]
    (small,) = _outcomes(workplace.stage(image={"longest_side": 32}), rows[:1])
    assert small["image_width"] == 32
    (long,) = _outcomes(workplace.stage(max_bytes=100), rows[:1])
    assert long["image_status"] == "too_many_bytes"


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_an_image_of_the_table_that_is_gone_from_the_store_is_said_so(workplace: Workplace, damage: str) -> None:
    blob = workplace.images.put(jpeg(1), "raw")
    path = workplace.images.path(blob, "raw")
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(jpeg(1)[:-10])
    with pytest.raises(RunDirectoryError, match=r"came with the table.*ingest"):
        _outcomes(workplace.stage(), [{"image_url": "a.jpg", "image_blob": blob}])


def _clear() -> Image.Image:
    image = Image.linear_gradient("L").resize((64, 48)).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 20, 20))
    return image


def _outcomes(stage: FetchStage, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    whole = [{"row_id": f"{number:05d}", "name": "ACME", **row} for number, row in enumerate(rows)]
    stage.serve(LocalServices(stage.shared()))
    try:
        result = stage.run_shard(pa.Table.from_pylist(whole, schema=SCHEMAS["ingest"]), lambda _: None)
    finally:
        stage.close()
    found: list[dict[str, Any]] = result.kept.to_pylist() + result.rejected.to_pylist()
    return sorted(found, key=lambda row: str(row["row_id"]))
