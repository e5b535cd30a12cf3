"""Any table in, rows of one shape out; what cannot be a row is kept with its line and reason."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nameplate.engine import LocalEngine
from nameplate.errors import InputError
from nameplate.progress import SilentProgress
from nameplate.recipe import NameSection, TableSection
from nameplate.stages.ingest import IngestStage, map_columns, open_source
from nameplate.store.images import ImageStore
from nameplate.store.tables import StageTables

HEADER = "brand,imageurl,title,product_code,color\n"


def ingest(path: Path, out: Path, **section: object) -> StageTables:
    table = TableSection.model_validate(
        {"source": str(path), "image": "imageurl", "title": "title", "code": "product_code", **section}
    )
    source = open_source(str(path))
    columns = map_columns(table, NameSection(), source=source)
    tables = StageTables(out, "ingest")
    images = ImageStore(out / "images")
    stage = IngestStage(table, columns=columns, source=source, overrides=None, images=images, tables=tables)
    stage.prepare([])
    outcome = LocalEngine().run(stage, stage.shards(), tables=tables, progress=SilentProgress())
    assert outcome.read == outcome.kept + sum(outcome.rejected.values())
    return tables


def csv_file(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "feed.csv"
    path.write_bytes((HEADER + body).encode("utf-8", "surrogateescape"))
    return path


def test_nulls_are_found_and_reasons_given(tmp_path: Path) -> None:
    body = "Nike,http://a/1.jpg,Shoe,N1,red\nN.A.,http://a/2.jpg,Shoe,N2,red\nNike,N.A.,Shoe,N3,N.A.\n"
    tables = ingest(csv_file(tmp_path, body), tmp_path / "out")
    assert tables.reasons() == {"missing_name": 1, "missing_image": 1}
    (row,) = tables.read_kept().to_pylist()
    assert (row["name"], row["row_id"], json.loads(row["attributes"])) == ("Nike", "00000002", {"color": "red"})
    details = tables.read_rejected()["detail"].to_pylist()
    assert details == ["line 3: 'brand' holds no name", "line 4: 'imageurl' is empty"]


def test_a_name_without_letter_or_digit_is_no_name(tmp_path: Path) -> None:
    body = "Nike,http://a/1.jpg,t,c,d\n\u2014,http://a/2.jpg,t,c,d\n"
    assert ingest(csv_file(tmp_path, body), tmp_path / "out").reasons() == {"missing_name": 1}


def test_spellings_of_one_name_become_one(tmp_path: Path) -> None:
    body = "".join(f"{name},http://a/{i}.jpg,t,c{i},\n" for i, name in enumerate(["NIKE", "Nike", "nike", "Nike"]))
    tables = ingest(csv_file(tmp_path, body), tmp_path / "out")
    assert set(tables.read_kept()["name"].to_pylist()) == {"Nike"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Nike,http://a/1.jpg", "2 cells, the header has 5"),
        ("Nike,http://a/1.jpg,a,b,c,d", "6 cells, the header has 5"),
        ("Nike,http://a/1.jpg,caf\udce9,b,c", "not UTF-8"),
        ("Nike,http://a/1.jpg,a\x00b,b,c", "NUL"),
        ("Nike,http://a/1.jpg,%s,b,c" % ("x" * 1_100_000), "longer than 1,000,000 characters"),
    ],
)
def test_a_malformed_row_spoils_only_itself_and_names_its_line(tmp_path: Path, line: str, words: str) -> None:
    good = "Nike,http://a/0.jpg,t,c,d\n"
    tables = ingest(csv_file(tmp_path, good + line + "\n" + good.replace("0.jpg", "9.jpg")), tmp_path / "out")
    assert tables.num_kept() == 2
    (rejected,) = tables.read_rejected().to_pylist()
    assert rejected["reason"] == "malformed"
    assert "line 3" in rejected["detail"]
    assert words in rejected["detail"]


def test_a_repeated_id_is_rejected_also_after_a_restart(tmp_path: Path) -> None:
    body = "".join(f"Nike,http://a/{i}.jpg,t,{i % 1100},\n" for i in range(1200))
    path = csv_file(tmp_path, body)
    tables = ingest(path, tmp_path / "out", id="product_code")
    assert tables.reasons() == {"duplicate_id": 100}
    tables.kept_path(1).unlink()  # as if killed before the second shard was whole
    assert ingest(path, tmp_path / "out", id="product_code").reasons() == {"duplicate_id": 100}


def test_the_same_rows_come_from_json_lines_and_parquet(tmp_path: Path) -> None:
    rows = [{"brand": "Nike", "imageurl": f"http://a/{i}.jpg", "title": None, "product_code": i} for i in range(3)]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    first = ingest(tmp_path / "t.jsonl", tmp_path / "a").read_kept()
    second = ingest(tmp_path / "t.parquet", tmp_path / "b").read_kept()
    assert first.equals(second)
    assert first["product_code"].to_pylist() == ["0", "1", "2"]


def test_a_missing_column_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "")
    with pytest.raises(InputError, match=r"no column 'imageurls'.*set table.image: imageurl"):
        ingest(path, tmp_path / "out", image="imageurls")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", None, "no such table"),
        ("empty.csv", b"", "the table is empty"),
        ("twice.csv", b"a,a\n", "'a' stands twice"),
        ("x.parquet", b"junk", "not a Parquet file"),
        ("x.docx", b"junk", "ending '.docx'"),
        ("x.jsonl", b"[1]\n", "not a JSON object"),
    ],
)
def test_an_unusable_table_is_one_clear_paragraph(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_source(str(path))
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_table_without_any_name_stops_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no name"):
        ingest(csv_file(tmp_path, "N.A.,http://a/1.jpg,t,c,d\n"), tmp_path / "out")
