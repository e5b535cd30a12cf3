"""Which column means what: a preset is checked against the table, and nothing is guessed in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nameplate.errors import InputError, RecipeError
from nameplate.recipe import NameSection, TableSection
from nameplate.stages.ingest import PRESETS, ColumnMap, find_preset, map_columns, open_source
from nameplate.stages.ingest.presets import Concern, ImageKind, apply_rules, preset_of_columns, preset_of_source

LINK = "http://a.example/{}.jpg"
LONG = "A soft drawing with many amber blocks on a darker ground, number {}."


def mapped(folder: Path, columns: dict[str, str], *, name: str | None = None, **table: Any) -> ColumnMap:
    """The map of a table whose values are made from patterns of the row's number."""
    rows = [{column: text.format(number) for column, text in columns.items()} for number in range(30)]
    path = folder / "table.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    section = TableSection(source=str(path), **table)
    return map_columns(section, NameSection(column=name), source=open_source(str(path)))


def test_a_preset_settles_the_columns_and_the_recipe_overrides_it(tmp_path: Path) -> None:
    columns = dict.fromkeys(("id", "image_url", "caption", "name", "hp", "set_name", "other"), "{}")
    found = mapped(tmp_path, columns, preset="pokemon-cards", title="other", name="name")
    assert (found.id, found.image, found.text, found.category, found.name, found.title) == (
        "id", "image_url", "caption", "set_name", "name", "other",
    )  # fmt: skip
    assert found.text_rules == PRESETS["pokemon-cards"].text_rules
    assert found.used() == {"id", "image_url", "caption", "set_name", "name", "other"}
    assert mapped(tmp_path, columns, preset="pokemon-cards", text="other").text == "other"


def test_nulls_of_the_preset_are_added_to_those_of_the_recipe(tmp_path: Path) -> None:
    columns = dict.fromkeys(("brand", "imageurl", "title", "product_code", "category1_code", "itemurl"), "{}")
    found = mapped(tmp_path, columns, preset="dbq", null_values=["", "-"])
    assert found.null_values == {"", "-", "N.A."}


def test_a_certain_column_that_is_absent_is_an_error_with_the_nearest_one(tmp_path: Path) -> None:
    columns = dict.fromkeys(("brand", "image_url", "title", "product_code", "category1_code", "itemurl"), "{}")
    with pytest.raises(InputError, match=r"no column 'imageurl'.*preset dbq.*set table.image: image_url"):
        mapped(tmp_path, columns, preset="dbq")


def test_an_inferred_column_that_is_absent_is_replaced_only_by_the_one_of_its_kind(tmp_path: Path) -> None:
    found = mapped(tmp_path, {"url": LINK, "human_caption": LONG, "width": "{}"}, preset="humancaption-hq")
    assert (found.image, found.text) == ("url", "human_caption")
    (note,) = found.notes
    assert "infers a column 'image_url'" in note
    assert "'url' is taken, the only column of that kind" in note


def test_of_two_columns_of_the_kind_none_is_guessed(tmp_path: Path) -> None:
    columns = {"small_url": LINK, "large_url": LINK, "human_caption": LONG}
    with pytest.raises(InputError) as caught:
        mapped(tmp_path, columns, preset="humancaption-hq")
    for words in ("infers a column 'image_url'", "small_url, large_url", "set table.image to small_url or large_url"):
        assert words in str(caught.value)
    assert mapped(tmp_path, columns, preset="humancaption-hq", image="large_url").image == "large_url"


def test_without_any_image_the_tables_columns_are_shown(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"of that kind are none; expected one of width, human_caption"):
        mapped(tmp_path, {"width": "{}", "human_caption": LONG}, preset="humancaption-hq")


def test_rows_can_do_without_an_inferred_caption_and_id_and_the_note_says_so(tmp_path: Path) -> None:
    found = mapped(tmp_path, {"image_url": LINK}, preset="humancaption-hq")
    assert found.text is None
    assert "rows go without captions" in found.notes[0]
    columns = {"image": LINK, "Product Name": "{}", "Category": "{}", "description": LONG}
    found = mapped(tmp_path, columns, preset="amazon-vlm")
    assert found.id is None
    assert "'Uniq Id'" in found.notes[0]


def test_a_name_column_that_is_absent_points_to_the_presets(tmp_path: Path) -> None:
    columns = dict.fromkeys(("id", "image_url", "caption", "name", "set_name"), "{}")
    with pytest.raises(InputError, match=r"no column 'brand'.*set name.column: name, as preset pokemon-cards has it"):
        mapped(tmp_path, columns, preset="pokemon-cards", name="brand")
    with pytest.raises(InputError, match=r"no column 'brand'.*has no names: set name.column: null"):
        mapped(tmp_path, {"image_url": LINK, "caption": LONG}, preset="conceptual-captions", name="brand")


def test_without_preset_and_image_the_error_lists_the_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected table.image or table.preset; one of url, width"):
        mapped(tmp_path, {"url": LINK, "width": "{}"})


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"no preset 'pokemon-card'.*did you mean pokemon-cards"):
        find_preset("pokemon-card")


@pytest.mark.parametrize(
    "source",
    [
        "hf://datasets/TheFusion21/PokemonCards",
        "hf://datasets/thefusion21/pokemoncards@main",
        "hf://datasets/TheFusion21/PokemonCards?config=default&split=train",
        "hf://datasets/TheFusion21/PokemonCards@abc/train.csv",
    ],
)
def test_a_data_set_is_known_by_its_address(source: str) -> None:
    preset = preset_of_source(source)
    assert preset is not None
    assert preset.name == "pokemon-cards"


def test_other_addresses_are_not_known() -> None:
    for source in ("hf://datasets/TheFusion21/PokemonCards2", "PokemonCards", "https://TheFusion21/PokemonCards"):
        assert preset_of_source(source) is None


def test_common_columns_give_no_data_set_away() -> None:
    assert preset_of_columns(["image", "caption"]) is None
    assert preset_of_columns(["image_url", "caption"]) is None
    assert preset_of_columns(["id", "image_url", "caption"]) is None


def test_every_data_set_of_the_experiment_has_one_preset_with_its_licence() -> None:
    data_sets = [preset.dataset for preset in PRESETS.values() if preset.dataset]
    assert len(data_sets) == len(set(data_sets)) == 18
    for preset in PRESETS.values():
        assert preset.column("image") is not None
        assert isinstance(preset.image, ImageKind)
        assert bool(preset.warning) == bool(preset.concerns)
        assert not set(preset.columns) & set(preset.inferred)
    concerns = {name: PRESETS[name].concerns for name in ("dbq-gucci-au", "coyo-hd", "amazon-vlm", "pixmo-cap")}
    assert concerns == {
        "dbq-gucci-au": (Concern.UNKNOWN,),
        "coyo-hd": (Concern.SHARE_ALIKE,),
        "amazon-vlm": (Concern.NON_COMMERCIAL,),
        "pixmo-cap": (),
    }


@pytest.mark.parametrize(
    ("preset", "raw", "text"),
    [
        ("pokemon-cards", 'the title ""Absol""', 'the title "Absol"'),
        ("pokemon-cards", 'from the set Base and the flavor text: ""None"". It has', "from the set Base. It has"),
        ("pokemon-cards", "from the set Base and the flavor text: None. It", "from the set Base. It"),
        ("pokemon-cards", 'with the attack ""None Shall Pass"". It', 'with the attack "None Shall Pass". It'),
        ("pokemon-cards", "None of the cards say: Nonetheless.", "None of the cards say: Nonetheless."),
        ("groundcap", '<gdo class="person" person-0>the man</gdo> sits', "the man sits"),
        ("groundcap", '<gda class="run" a-0 b-1>running</gda> <gdl class="x" x-0>on it</gdl>', "running on it"),
        ("groundcap", "3 < 4 &amp; 5 > 4", "3 < 4 & 5 > 4"),
        ("pixmo-cap", ' <b>kept</b> ""as it is"" ', ' <b>kept</b> ""as it is"" '),
    ],
)
def test_texts_are_mended_by_the_rules_of_their_data_set(preset: str, raw: str, text: str) -> None:
    assert apply_rules(raw, PRESETS[preset].text_rules) == text
