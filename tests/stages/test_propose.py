"""A strange table is looked at once, boundedly; what it proposes is said with its reason, and what is doubtful too."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nameplate.errors import InputError
from nameplate.recipe import Recipe, build_recipe
from nameplate.stages.ingest import open_source
from nameplate.stages.ingest.looks import Look, look_at
from nameplate.stages.ingest.profile import ColumnProfile
from nameplate.stages.ingest.propose import Proposal, Survey, propose, recipe_text, survey_table
from nameplate.stages.ingest.sources import RawRow, Source

from .eighteen import drawing, sentence

BRANDS = ("Acme", "Nonesuch", "Zephyr")


def csv_table(folder: Path, columns: Sequence[str], rows: Iterator[Sequence[object]] | list[Sequence[object]]) -> str:
    path = folder / "feed.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
    return str(path)


def shop_rows(number: int, *, brand: str = "") -> tuple[object, ...]:
    own = brand or BRANDS[number % 3]
    return (f"sku-{number}", own, f"{own} walking shoe {number}", f"{number}.99", f"https://cdn.example/{number}.jpg")


SHOP = ("sku", "Brand", "title", "price", "image_link")


def proposed(source: str, **options: Any) -> tuple[Survey, Proposal, Recipe, str]:
    survey = survey_table(open_source(source))
    proposal = propose(survey, **options)
    text = recipe_text(survey, proposal, folder=Path(source).parent)
    return survey, proposal, build_recipe(yaml.safe_load(text), where="test"), text


def look(name: str, *values: str, times: int = 1) -> Look:
    return look_at(ColumnProfile(name, len(values) * times, tuple(values) * times)).look


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("imageurl", ["https://a.example/is/image/1", "https://a.example/is/image/2"], Look.IMAGE_LINK),
        ("url", ["https://a.example/1.jpg?w=3", "https://a.example/2.webp"], Look.IMAGE_LINK),
        ("url", ["https://a.example/1", "https://a.example/2"], Look.LINK),
        ("file", ["pics/1.jpg", "pics/2.PNG"], Look.IMAGE_FILE),
        ("full_price_eur", ["10.5", "3"], Look.PRICE),
        ("x", ["$ 10", "12 EUR"], Look.PRICE),
        ("hp", ["10", "30"], Look.NUMBER),
        ("competence_date", ["2023-11-17", "2023-11-18"], Look.DATE),
        ("detections", ['[{"id": 1}]', "[]"], Look.NESTED),
        ("product_code", ["P00234", "P00235"], Look.CODE),
        ("Uniq Id", ["ab12", "cd34"], Look.ID),
        ("color", [], Look.EMPTY),
        ("currency", ["EUR", "EUR"], Look.CONSTANT),
        ("description", [sentence(1), sentence(2)], Look.CAPTION),
        ("prompt", ["a red fox", "a blue bird"], Look.CAPTION),
        ("notes", [sentence(1), sentence(2)], Look.CAPTION),
        ("title", ["Walking shoe", "Silk dress"], Look.TITLE),
        ("human_annotated", ["true", "false"], Look.FLAG),
        ("__key__", ["a1", "a2"], Look.TEXT),
    ],
)
def test_what_a_column_looks_like(name: str, values: list[str], expected: Look) -> None:
    assert look(name, *values) is expected


def test_a_name_is_a_header_that_says_so_and_values_that_repeat() -> None:
    assert look("brand", "Nike", "Acne Studios", "A.P.C.", times=10) is Look.NAME
    assert look("productBrand", "Nike", "Gucci", times=20) is Look.NAME
    assert look("species", "fox", "owl", times=20) is Look.NAME
    # "name" of something else, and names that never repeat, are no names to learn.
    assert look("website_name", "Shop", "Store", times=20) is not Look.NAME
    assert look("set_name", "Base", "Meadow", times=20) is Look.CATEGORY
    assert look("name", *(f"Playset number {number}" for number in range(40))) is Look.TITLE
    assert look("brand", "GUCCI", times=30) is Look.NAME


def test_a_shop_feed_is_mapped_with_reasons(tmp_path: Path) -> None:
    source = csv_table(tmp_path, SHOP, (shop_rows(number) for number in range(900)))
    survey, proposal, recipe, text = proposed(source)
    chosen = {choice.meaning: choice.column for choice in proposal.choices}
    assert chosen == {"image": "image_link", "name": "Brand", "title": "title", "code": "sku"}
    assert all(choice.why for choice in proposal.choices)
    assert (recipe.table.image, recipe.name.column, recipe.caption.source) == ("image_link", "Brand", "teacher")
    assert recipe.table.source == "feed.csv"
    # 900 rows, three quarters of the links alive, nine tenths of the captions fit: 202 a name, a tenth held out.
    assert (recipe.split.min_per_name, recipe.split.validation, recipe.split.test) == (100, 60, 60)
    assert survey.counted_all
    assert "# model: {base:" in text


def test_one_name_in_all_rows_is_a_warning(tmp_path: Path) -> None:
    source = csv_table(tmp_path, SHOP, (shop_rows(number, brand="GUCCI") for number in range(50)))
    _, proposal, recipe, _ = proposed(source)
    assert recipe.name.column == "Brand"
    assert any("100 % right, so accuracy says nothing" in doubt for doubt in proposal.doubts)


def test_null_texts_are_counted_as_empty_and_new_ones_go_into_the_recipe(tmp_path: Path) -> None:
    rows = [
        (*shop_rows(number)[:4], "-" if number % 2 else f"https://cdn.example/{number}.jpg") for number in range(40)
    ]
    _, proposal, recipe, _ = proposed(csv_table(tmp_path, SHOP, list(rows)))
    assert any("'image_link' is empty in 50% of the rows" in doubt for doubt in proposal.doubts)
    assert "-" in recipe.table.null_values
    assert "N.A." in recipe.table.null_values


def test_a_table_without_names_says_what_that_means(tmp_path: Path) -> None:
    rows = [(f"https://cdn.example/{number}.jpg", sentence(number), f"kind {number % 3}") for number in range(40)]
    _, proposal, recipe, text = proposed(csv_table(tmp_path, ("url", "caption", "colour"), list(rows)))
    assert recipe.name.column is None
    assert not recipe.clean.require_name
    assert recipe.caption.source == "table"
    assert "train and score need names" in text
    (doubt,) = [doubt for doubt in proposal.doubts if "no column looks like a name" in doubt]
    assert "'colour' repeats as names do: set name.column" in doubt


def test_captions_that_do_not_say_the_name_are_left_to_a_teacher(tmp_path: Path) -> None:
    columns = ("brand", "image", "description")
    links = [f"https://cdn.example/{number}.jpg" for number in range(40)]
    silent = [(BRANDS[number % 3], link, sentence(number)) for number, link in enumerate(links)]
    _, _, recipe, text = proposed(csv_table(tmp_path, columns, list(silent)))
    assert recipe.caption.source == "teacher"
    assert "only 0% of the table's texts say the row's name" in text
    told = [(brand, link, f"{said} Made by {brand}.") for brand, link, said in silent]
    _, _, recipe, _ = proposed(csv_table(tmp_path, columns, list(told)))
    assert (recipe.caption.source, recipe.clean.require_name) == ("table", True)


def test_lengths_of_captions_are_let_through(tmp_path: Path) -> None:
    columns = ("image", "caption")
    short = [(f"https://cdn.example/{number}.jpg", f"fox {number} in snow") for number in range(40)]
    _, _, recipe, _ = proposed(csv_table(tmp_path, columns, list(short)))
    assert recipe.clean.min_words == 4
    long = [(link, " ".join([sentence(number)] * 20)) for number, (link, _) in enumerate(short)]
    _, _, recipe, _ = proposed(csv_table(tmp_path, columns, list(long)))
    assert recipe.clean.max_words >= 20 * 15


def test_a_table_without_images_is_refused_with_its_columns(tmp_path: Path) -> None:
    source = csv_table(tmp_path, ("brand", "title"), [("Acme", "Shoe"), ("Zephyr", "Boot")])
    with pytest.raises(InputError, match=r"no column with images.*expected such a column among brand, title"):
        proposed(source)


def test_the_only_links_are_taken_with_a_reason(tmp_path: Path) -> None:
    rows = [(f"https://cdn.example/{number}", sentence(number)) for number in range(10)]
    _, proposal, recipe, _ = proposed(csv_table(tmp_path, ("link", "caption"), list(rows)))
    assert recipe.table.image == "link"
    assert "do not end as image files do" in proposal.choices[0].why


def test_paths_beside_the_table_are_found_and_missing_ones_are_said(tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    for number in range(5):
        (tmp_path / "pics" / f"{number}.jpg").write_bytes(drawing(number))
    rows = [(f"pics/{number}.jpg", sentence(number)) for number in range(8)]
    _, proposal, recipe, _ = proposed(csv_table(tmp_path, ("file", "caption"), list(rows)))
    assert (recipe.table.image, recipe.table.image_root) == ("file", ".")
    assert any("of the first 8 files in 'file' 3 are not under" in doubt for doubt in proposal.doubts)


@pytest.mark.parametrize(
    ("hosts", "allowed"),
    [
        (["127.0.0.1:8123"], ("127.0.0.1/32",)),
        (["localhost", "[::1]:80"], ("127.0.0.1/32", "::1/128")),
        (["127.0.0.1:8123", "cdn.example"], ()),
        (["10.0.0.7"], ()),
        (["127.0.0.1.evil.example"], ()),
    ],
)
def test_this_machine_is_opened_only_when_every_link_leads_here(
    hosts: list[str], allowed: tuple[str, ...], tmp_path: Path
) -> None:
    rows = [(f"http://{hosts[number % len(hosts)]}/{number}.jpg", sentence(number)) for number in range(10)]
    _, proposal, recipe, _ = proposed(csv_table(tmp_path, ("image", "caption"), list(rows)))
    assert recipe.fetch.allow_networks == allowed
    here = any("this machine" in doubt for doubt in proposal.doubts)
    assert here == any(host.startswith(("127.0.0.1:", "localhost")) for host in hosts)


def test_texts_of_the_table_cannot_write_into_the_recipe(tmp_path: Path) -> None:
    header = "brand\n  registry: /etc/passwd #"
    rows = [(BRANDS[number % 3], f"https://cdn.example/{number}.jpg") for number in range(30)]
    _, _, recipe, text = proposed(csv_table(tmp_path, (header, "image: x # y"), list(rows)))
    assert recipe.name.column == header
    assert recipe.name.registry is None
    assert recipe.table.image == "image: x # y"
    assert not any(line.lstrip().startswith("registry") for line in text.splitlines())


def test_malformed_rows_are_counted_with_their_place(tmp_path: Path) -> None:
    rows: list[Sequence[object]] = [shop_rows(number) for number in range(20)]
    rows[6] = rows[6][:3]
    survey, proposal, _, _ = proposed(csv_table(tmp_path, SHOP, rows))
    assert survey.num_looked_at == 19
    assert any("1 of the rows looked at are malformed" in doubt and "line 8" in doubt for doubt in proposal.doubts)


class Counted(Source):
    """A long table that counts what is read of it."""

    name = "counted"
    columns = ("brand", "image")
    image_columns = frozenset({"image"})

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows
        self.num_read = 0
        self.num_images = 0

    def rows(self, *, limit: int | None = None, columns: Any = None) -> Iterator[RawRow]:
        for number in range(min(self.num_rows, limit if limit is not None else self.num_rows)):
            self.num_read += 1
            wanted = columns is None or "image" in columns
            self.num_images += wanted
            yield RawRow(number + 1, {"brand": BRANDS[number % 3]}, {"image": drawing(1)} if wanted else {})

    def fingerprint(self) -> str:
        return "counted"


def test_the_look_is_bounded_and_reads_a_few_images_only() -> None:
    table = Counted(1_000_000)
    survey = survey_table(table)
    assert (survey.num_looked_at, survey.counted_all) == (2_000, False)
    assert table.num_images == 3
    assert table.num_read < 110_000
    assert survey.images["image"] == ("JPEG 96 x 72",) * 3


def test_images_that_cannot_be_opened_are_a_doubt(tmp_path: Path) -> None:
    rows = [
        {"image": {"bytes": b"\xff\xd8\xff junk", "path": None}, "caption": sentence(number)} for number in range(5)
    ]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    _, proposal, _, _ = proposed(str(path))
    assert any("cannot be opened" in doubt for doubt in proposal.doubts)


def test_a_far_table_is_named_by_its_whole_path(tmp_path: Path) -> None:
    source = csv_table(tmp_path, SHOP, (shop_rows(number) for number in range(30)))
    survey = survey_table(open_source(source))
    far = tmp_path / "a" / "b" / "c"
    text = recipe_text(survey, propose(survey), folder=far)
    assert yaml.safe_load(text)["table"]["source"] == source


class Elsewhere(Counted):
    """A table on the Hub that names its images by path."""

    name = "hf://datasets/owner/name"
    columns = ("brand", "file")
    image_columns = frozenset()

    def rows(self, *, limit: int | None = None, columns: Any = None) -> Iterator[RawRow]:
        yield from (RawRow(n + 1, {"brand": BRANDS[n % 3], "file": f"pics/{n}.jpg"}) for n in range(self.num_rows))


def test_paths_of_a_table_elsewhere_cannot_be_followed() -> None:
    with pytest.raises(InputError, match="names images by path, and the table is not on this machine"):
        propose(survey_table(Elsewhere(9)))
