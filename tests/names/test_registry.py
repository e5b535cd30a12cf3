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
    "name",
    [
        *(
            "Theory",
            "Coach",
            "FRAME",
            "Velvet",
            "Supreme",
            "Express",
            "Boss",
            "Guess",
            "Gap",
            "Vans",
            "Diesel",
            "Fossil",
        ),
        *(
            "Vince",
            "Free People",
            "Reformation",
            "Toast",
            "Rag & Bone",
            "The Row",
            "Off-White",
            "Sea",
            "Jordan",
            "Zoom",
        ),
        *("Mother", "Closed", "Mango", "Converse", "Hunter", "Shell", "Lush", "Golden Goose", "Stone Island", "Only"),
        *("Nothing", "Pieces", "Rails", "Obey", "Carbon", "Native", "Animal", "Hush Puppies", "Everything", "No. 21"),
    ],
)
def test_ordinary_words_need_their_case(name):
    assert build_registry({name: 1}).entries[0].match_policy == "cased"


@pytest.mark.parametrize(
    "name", ["Gucci", "Nike", "Free Gucci", "A.P.C.", "McDonald's", "Emporio Armani", "Hermes", "Zara", "古驰"]
)
def test_other_names_do_not(name):
    assert build_registry({name: 1}).entries[0].match_policy == "plain"


def test_a_registry_file_decides_over_the_table(tmp_path):
    path = tmp_path / "brands.yaml"
    path.write_text("Saint Laurent: {aliases: [YSL, Yves Saint Laurent]}\nApple: {policy: plain}\nKenzo:\n")
    registry = build_registry({"YSL": 5, "SAINT LAURENT": 3, "APPLE": 2}, path)
    assert [entry.display for entry in registry.entries] == ["Apple", "Kenzo", "Saint Laurent"]
    assert registry.lookup("ysl").display == "Saint Laurent"
    assert registry.lookup("apple").match_policy == "plain"


def test_a_registry_file_says_what_a_name_was_and_whose_line_it_is(tmp_path):
    path = tmp_path / "brands.yaml"
    path.write_text(
        "Saint Laurent: {former_names: [Yves Saint Laurent], parent: Kering}\n"
        "Marc by Marc Jacobs: {line_of: Marc Jacobs, policy: context}\n"
    )
    registry = build_registry({"YVES SAINT LAURENT": 2, "Marc Jacobs": 3}, path)
    entry = registry.lookup("Yves Saint-Laurent")
    assert entry.display == "Saint Laurent" and entry.parent == "Kering" and entry.aliases == ()
    assert entry.former_names == ("YVES SAINT LAURENT", "Yves Saint Laurent")
    assert registry.former_keys == {"yvessaintlaurent"}
    line = registry.lookup("Marc by Marc Jacobs")
    assert line.line_of == "Marc Jacobs" and line.match_policy == "context"
    assert Registry.from_json(registry.to_json()) == registry


def test_where_a_former_name_is_written_decides_whether_it_counts(tmp_path):
    path = tmp_path / "brands.yaml"
    path.write_text("Saint Laurent: {former_names: [YSL], aliases: [YSL]}\n")
    assert build_registry({}, path).former_keys == frozenset()


def test_registries_of_earlier_runs_are_read():
    text = '{"names": [{"display": "Nike", "aliases": ["NIKE"], "match_policy": "plain"}]}'
    assert Registry.from_json(text).entries == (NameEntry("Nike", ("NIKE",)),)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("H&amp;M", "H&M"),
        ("H&amp;amp;amp;M", "H&M"),
        ("Rock&Reg Co", "Rock&Reg Co"),
        ("<b>Zara</b>", "Zara"),
        ("&lt;i&gt;Zara&lt;/i&gt; ", "Zara"),
        ("I <3 NY", "I <3 NY"),
        ("Nike\x00\x07Air", "Nike Air"),
        ("\u202eGucci\u202c\ufeff", "Gucci"),
        ("Acme\ud800", "Acme\ufffd"),
        ("Nike&trade;", "Nike"),
        ("\u0646\u0627\u06cc\u06a9\u06cc\u200c\u0627\u06cc", "\u0646\u0627\u06cc\u06a9\u06cc\u200c\u0627\u06cc"),
        ("\U0001f525 Hot", "\U0001f525 Hot"),
    ],
)
def test_names_are_shown_as_a_person_sees_them(raw, shown):
    registry = build_registry({raw: 1})
    assert registry.lookup(raw).display == shown
    assert Registry.from_json(registry.to_json().encode().decode()) == registry


@pytest.mark.parametrize("raw", ["", "\x00", "\U0001f525", "&nbsp;", "<br/>", "\ud800", "\u0301", "!!"])
def test_what_has_no_letter_or_digit_is_no_name(raw):
    registry = build_registry({raw: 1, "Nike": 1})
    assert registry.lookup(raw) is None and len(registry.entries) == 1


@pytest.mark.parametrize(
    ("name", "policy"), [("7", "context"), ("1017", "context"), ("X", "context"), ("X-", "context"), ("XY", "plain")]
)
def test_numbers_and_single_letters_count_only_where_a_name_belongs(name, policy):
    assert build_registry({name: 1}).entries[0].match_policy == policy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- Nike", "a list"),
        ("Nike: {alias: [x]}", "unknown key 'alias'"),
        ("Nike: {aliases: x}", "a list of texts"),
        ("Nike: {policy: loud}", "plain or cased or context"),
        ("Nike: {policy: [plain]}", "plain or cased or context"),
        ("Nike: {former_names: Blue Ribbon}", "a list of texts"),
        ("Nike: {aliases: [1017]}", "numbers in quotes"),
        ("Nike: {parent: 7}", "a text"),
        ("Nike: {line_of: Reebok}", "'Reebok' is no other name"),
        ("Nike: {line_of: nike}", "'nike' is no other name"),
        ("Nike: {aliases: [Swoosh]}\nPuma:\nNike:", "line 3: 'Nike' stands above already"),
        ("Nike: {aliases: [a], aliases: [b]}", "'aliases' stands above already"),
        ("Nike: {former_names: [Swoosh]}\nPuma: {aliases: [swoosh]}", "stands for both 'Nike' and 'Puma'"),
        ("? {a: 1}\n: {}", "cannot be read"),
        ("Nike: \x00", "cannot be read"),
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
