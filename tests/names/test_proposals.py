import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nameplate.names import Matcher, build_registry
from nameplate.names.counted import CountedNames, NameFlag
from nameplate.names.offenders import NamedText, find_offenders
from nameplate.names.overrides import read_overrides
from nameplate.names.proposals import MAX_GROUP, Likeness, propose_pairs
from nameplate.names.registry_file import RegistryDraft, registry_text

from .messy import ROWS


def proposed(counts, **options):
    return {
        (pair.name.display, pair.other.display): pair.likeness
        for pair in propose_pairs(CountedNames(counts), **options)
    }


@pytest.mark.parametrize(
    ("counts", "likeness"),
    [
        ({"Saint Laurent": 9, "Saint Laurent Paris": 2}, Likeness.ENDING),
        ({"Nike": 9, "Nike, Inc.": 2}, Likeness.ENDING),
        ({"Marni": 9, "Marni Milano": 2}, Likeness.ENDING),
        ({"Kooples": 9, "The Kooples": 2}, Likeness.ENDING),
        ({"Farfetch": 9, "Farfetch.com": 2}, Likeness.ENDING),
        ({"Dolce & Gabbana": 9, "D&G": 2}, Likeness.INITIALS),
        ({"Yves Saint Laurent": 9, "YSL": 2}, Likeness.INITIALS),
        ({"Hennes and Mauritz": 2, "H & M": 1}, Likeness.INITIALS),
        ({"Burberry": 9, "Burbery": 2}, Likeness.TYPO),
        ({"Gucci": 9, "Gucic": 2}, Likeness.TYPO),
        ({"Balenciaga": 9, "Balanciaga": 2}, Likeness.TYPO),
        ({"Saint Laurent": 9, "Laurent Saint": 2}, Likeness.WORD_ORDER),
        ({"Salvatore Ferragamo": 9, "Salvatore Feragammo": 2}, Likeness.SIMILAR),
        ({"Alexander McQueen": 9, "Alexanders Mcqeen": 2}, Likeness.SIMILAR),
        ({"Marc Jacobs": 9, "Marc by Marc Jacobs": 2}, Likeness.INSIDE),
        ({"Saint Laurent": 9, "Yves Saint Laurent": 2}, Likeness.INSIDE),
    ],
)
def test_what_may_be_one_name_is_proposed_with_its_reason(counts, likeness):
    name, other = counts
    assert proposed(counts) == {(name, other): likeness}


@pytest.mark.parametrize(
    "names",
    [
        ("No. 21", "No. 22"),
        ("Fila", "Fola"),
        ("Gucci", "Prada"),
        ("Levi 501", "Levi 505"),
        ("Armani", "Aramis"),
        ("Y-3", "Y-8"),
    ],
)
def test_different_names_are_left_alone(names):
    assert proposed(dict.fromkeys(names, 5)) == {}


def test_the_frequent_spelling_is_the_name_and_chains_have_one_head():
    found = proposed({"Burbery": 3, "Burberry": 90, "Burbbery": 1})
    assert set(found) == {("Burberry", "Burbery"), ("Burberry", "Burbbery")}


def test_the_likely_comes_first_and_two_established_names_later():
    counts = {"Burberry": 900, "Burbery": 2, "Marlin": 500, "Marlon": 400, "Nike": 9, "Nike Inc": 1}
    names = [pair.other.display for pair in propose_pairs(CountedNames(counts))]
    assert names == ["Nike Inc", "Burbery", "Marlon"]


def test_what_a_person_has_decided_is_not_asked_again(tmp_path):
    counts = {"Gucci": 9, "Guccii": 2}
    assert proposed(counts, decided=["Gucci", "Guccii"]) == {}
    assert set(proposed(counts, decided=["Guccii"])) == {("Guccii", "Gucci")}
    path = tmp_path / "names.yaml"
    path.write_text("Gucci: {aliases: [Guccii]}")
    assert propose_pairs(CountedNames(counts, path)) == []


def test_large_groups_are_not_compared_with_each_other(monkeypatch):
    """The bound: a word that more than MAX_GROUP names share brings none of them together, one letter less does."""
    monkeypatch.setattr("nameplate.names.proposals.process.cdist", lambda texts, *_, **__: pytest.fail(str(len(texts))))
    letters = random.Random(0)
    counts = {f"Shared {''.join(letters.choices(string.ascii_lowercase, k=12))}": 1 for _ in range(MAX_GROUP + 1)}
    assert proposed(counts) == {}


def test_the_work_does_not_grow_with_the_square_of_the_names(monkeypatch):
    """Counted, not timed: pairs that are looked at, for names that share words, starts and ends as real ones do."""
    looked = []
    real = __import__("rapidfuzz").process.cdist
    monkeypatch.setattr(
        "nameplate.names.proposals.process.cdist",
        lambda one, other, **options: (looked.append(len(one) ** 2), real(one, other, **options))[1],
    )
    chance = random.Random(1)
    words = ["".join(chance.choices(string.ascii_lowercase, k=6)) for _ in range(900)]

    def pairs(num_names):
        looked.clear()
        names = {f"{chance.choice(words)} {chance.choice(words)}".title(): 1 for _ in range(num_names)}
        propose_pairs(CountedNames(names))
        return sum(looked)

    assert pairs(8_000) < 8_000 * 4 * MAX_GROUP


def test_flags_say_what_to_look_at_twice():
    counted = CountedNames({**ROWS, "7": 1, "LI": 2, "<b>Zara</b>": 1, "x" * 10_000: 1, "Air Max\x00": 1})
    flags = {name.display: set(counted.flags(name)) for name in counted.names if counted.flags(name)}
    assert flags == {
        "Velvet": {NameFlag.ORDINARY_WORD}, "Frame": {NameFlag.ORDINARY_WORD}, "Coach": {NameFlag.ORDINARY_WORD},
        "Theory": {NameFlag.ORDINARY_WORD}, "7": {NameFlag.NUMBER}, "1017": {NameFlag.NUMBER}, "LI": {NameFlag.SHORT},
        "Saint Laurent": {NameFlag.INSIDE_ANOTHER}, "Marc Jacobs": {NameFlag.INSIDE_ANOTHER},
        "Net-a-Porter": {NameFlag.INSIDE_ANOTHER}, "Unknown": {NameFlag.NO_VALUE}, "H&M": {NameFlag.ODD},
        "Zara": {NameFlag.ODD},
        "x" * 10_000: {NameFlag.ODD}, "Air Max": {NameFlag.ODD}, "N.A.": {NameFlag.SHORT, NameFlag.NO_VALUE},
    }  # fmt: skip


def texts(**by_name):
    return [NamedText(name, text) for name, said in by_name.items() for text in said]


def test_offenders_are_counted_on_texts_of_other_names():
    registry = build_registry({"Velvet": 3, "Gucci": 5, "Prada": 5})
    found = find_offenders(
        texts(
            Gucci=["A velvet bag by Gucci."] * 4 + ["A Velvet bag by Gucci."],
            Prada=["A bag by Prada.", "A bag by Prada, not velvet."],
            Velvet=["A dress by Velvet in velvet."] * 3,
            Nobody=["velvet velvet velvet"],
        ),
        Matcher(registry),
    )
    (one,) = found
    assert one.name == "Velvet" and one.policy == "cased" and (one.num_own, one.num_others) == (3, 7)
    assert one.wrong == {"plain": 5, "cased": 1, "context": 0} and one.own == {"plain": 3, "cased": 3, "context": 3}
    assert one.suggests == "context" and one.found_share == 5 / 7 and one.expected_share == 0.3
    assert one.examples[0] == "A velvet bag by Gucci."


def test_a_policy_that_costs_more_than_it_saves_is_not_suggested():
    registry = build_registry({"Zuri": 9, "Gucci": 5})
    wrong = texts(Gucci=["a bag with Zuri on it"] * 3)
    (one,) = find_offenders([*wrong, *texts(Zuri=["a Zuri bag"] * 9)], Matcher(registry))
    assert one.policy == "plain" and one.suggests is None
    (one,) = find_offenders([*wrong, *texts(Zuri=["a bag by Zuri"] * 9)], Matcher(registry))
    assert one.suggests == "context"


def test_chance_is_no_offence():
    registry = build_registry({"Velvet": 3, "Gucci": 5})
    assert find_offenders(texts(Gucci=["A velvet bag"] * 2), Matcher(registry)) == []


def draft(counts, *, decided=(), overrides=None):
    names = CountedNames(counts, overrides)
    pairs = propose_pairs(names, decided=[each.display for each in decided])
    offenders = find_offenders([NamedText("Gucci", "a velvet bag")] * 5, Matcher(names.registry))
    return RegistryDraft(names, pairs, offenders, decided, {"Guccii": ["A 'red' bag\n#: x"]})


def registry_after(text, counts, folder):
    path = folder / "names.yaml"
    path.write_text(text, encoding="utf-8")
    return build_registry(counts, path)


def test_the_file_changes_nothing_as_it_stands(tmp_path):
    text = registry_text(draft(ROWS), origin="x")
    assert registry_after(text, ROWS, tmp_path) == build_registry(ROWS)


HARD_IN_YAML = ["No", "~", "1e3", "null", "- a", "'", '"', "a: b", "#x", "? a"]
NAMES = st.dictionaries(st.text(max_size=20) | st.sampled_from([*ROWS, *HARD_IN_YAML]), st.integers(1, 50), max_size=12)


@given(NAMES)
@settings(max_examples=100, deadline=None)
def test_the_file_is_valid_for_any_names(tmp_path_factory, counts):
    text = registry_text(draft({**counts, "Gucci": 2}), origin="a\nb")
    counts = {**counts, "Gucci": 2}
    assert registry_after(text, counts, tmp_path_factory.mktemp("any")) == build_registry(counts)


def test_every_proposal_only_has_to_be_uncommented(tmp_path):
    counts = {**ROWS, "GUCCII": 1}  # a name of its own in two spellings, which otherwise gets a line
    text = registry_text(draft(counts), origin="x")
    lines = [
        line.replace("# ", "", 1) if line.startswith(("    # - ", "  # line_of")) else line
        for line in text.splitlines()
    ]
    assert len([line for line in lines if line not in text.splitlines()]) == 8
    registry = registry_after("\n".join(lines), counts, tmp_path)
    assert registry.lookup("D&G") is registry.lookup("Dolce & Gabbana")
    assert registry.lookup("Guccii").display == "Gucci"
    assert registry.lookup("Saint Laurent Paris") is registry.lookup("Saint Laurent")
    assert registry.lookup("YSL").line_of == "Saint Laurent"


def test_the_file_quotes_what_it_says_of_rows():
    text = registry_text(draft({"Gucci": 9, "Guccii": 1, "Velvet": 1}), origin="x")
    assert "    # - Guccii  # 1 row; one letter differs; 'A 'red' bag #: x'\n" in text
    assert "  policy: cased  # ordinary words; stands in 100.0% of others' texts; none of 5 claim it\n" in text


def test_decisions_are_carried_over(tmp_path):
    path = tmp_path / "names.yaml"
    path.write_text(
        "Gucci: {aliases: [Gucc], former_names: [House of Gucci], parent: Kering, policy: plain}\nG: {line_of: Gucci}\n"
    )
    counts = {"Gucci": 5, "Guccii": 2, "G": 1}
    text = registry_text(draft(counts, decided=read_overrides(path), overrides=path), origin="x")
    assert "    # - Guccii  # 2 rows" in text
    assert registry_after(text, counts, tmp_path) == build_registry(counts, path)
    assert read_overrides(path)[0].former_names == ("House of Gucci",)
