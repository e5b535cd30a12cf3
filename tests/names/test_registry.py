import pytest

from nameplate.errors import InputError
from nameplate.names.registry import NameEntry, Registry, build_registry


def displays(counts, overrides=None):
    return [entry.display for entry in build_registry(counts, overrides).entries]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"NIKE": 50, "Nike": 3, "nike": 20}, ["Nike"]),
        ({"CHLOE": 9, "Chloé": 2, "Chloe": 1}, ["Chloé"]),
        ({"DOLCE&GABBANA": 9}, ["Dolce&Gabbana"]),
        ({"BURBERRY": 9}, ["Burberry"]),
        ({"L'OCCITANE": 9, "LEVI'S": 1}, ["L'Occitane", "Levi's"]),
        ({"NBA": 9, "H&M": 3, "A.P.C.": 1}, ["A.P.C.", "H&M", "NBA"]),
        ({"adidas": 9}, ["adidas"]),
        ({"adidas": 5, "ADIDAS": 9}, ["Adidas"]),
        ({"Nike®": 5, " Nike  ": 1}, ["Nike"]),
        ({"3.1 PHILLIP LIM": 1}, ["3.1 Phillip Lim"]),
        ({"Gucci": 1, "Guccii": 1}, ["Gucci", "Guccii"]),
        ({"—": 5, "": 2, "Fila": 1}, ["Fila"]),
        ({}, []),
    ],
)
def test_spellings_of_a_table_become_one_name_each(counts, expected):
    assert displays(counts) == expected


def test_every_spelling_finds_its_entry():
    registry = build_registry({"DOLCE&GABBANA": 2, "Dolce & Gabbana": 3, "Chloé": 1})
    for raw in ("Dolce and Gabbana", "dolce+gabbana", "Dolce & Gabbana™"):
        assert registry.lookup(raw).display == "Dolce & Gabbana"
    assert registry.lookup("CHLOE").display == "Chloé"
    assert registry.lookup("Prada") is None
    assert registry.lookup("—") is None


@pytest.mark.parametrize(
    "name", ["Theory", "FRAME", "Coach", "The Row", "Off-White", "Toast", "Jordan", "Sea", "Velvet"]
)
def test_ordinary_words_need_their_case(name):
    assert build_registry({name: 1}).entries[0].match_policy == "cased"


@pytest.mark.parametrize("name", ["Gucci", "Nike", "Free Gucci", "A.P.C.", "McDonald's", "Emporio Armani"])
def test_other_names_do_not(name):
    assert build_registry({name: 1}).entries[0].match_policy == "plain"


def test_a_registry_file_decides_over_the_table(tmp_path):
    path = tmp_path / "brands.yaml"
    path.write_text("Saint Laurent: {aliases: [YSL, Yves Saint Laurent]}\nApple: {policy: plain}\nKenzo:\n")
    registry = build_registry({"YSL": 5, "SAINT LAURENT": 3, "APPLE": 2}, path)
    assert [entry.display for entry in registry.entries] == ["Apple", "Kenzo", "Saint Laurent"]
    assert registry.lookup("ysl").display == "Saint Laurent"
    assert registry.lookup("apple").match_policy == "plain"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- Nike", "a list"),
        ("Nike: {alias: [x]}", "unknown key 'alias'"),
        ("Nike: {aliases: x}", "a list of texts"),
        ("Nike: {policy: loud}", "plain or cased"),
        ("On: {}", "put it in quotes"),
        ("Nike: {aliases: [Swoosh]}\nPuma: {aliases: [swoosh]}", "stands for both 'Nike' and 'Puma'"),
        ("'—': {}", "no letter or digit"),
        ("Nike: [", "cannot be read"),
    ],
)
def test_a_bad_registry_file_explains_itself(tmp_path, text, message):
    path = tmp_path / "brands.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        build_registry({"Fila": 1}, path)


def test_a_missing_registry_file_explains_itself(tmp_path):
    with pytest.raises(InputError, match="no such registry file"):
        build_registry({}, tmp_path / "none.yaml")


def test_json_keeps_everything():
    registry = build_registry({"CHLOE": 1, "Chloé": 2, "Frame": 1})
    assert Registry.from_json(registry.to_json()) == registry
    assert Registry.from_json(registry.to_json()).fingerprint == registry.fingerprint


def test_from_json_refuses_other_texts():
    for text in ("", "[]", '{"names": [{"display": "x"}]}'):
        with pytest.raises(InputError, match="not a registry"):
            Registry.from_json(text)


def test_the_order_of_the_table_does_not_matter_but_every_entry_does():
    first, second = build_registry({"Nike": 2, "Puma": 1}), build_registry({"Puma": 1, "Nike": 2})
    assert first == second and first.fingerprint == second.fingerprint
    assert Registry((NameEntry("Nike"),)).fingerprint != Registry((NameEntry("Nike", ("Swoosh",)),)).fingerprint
