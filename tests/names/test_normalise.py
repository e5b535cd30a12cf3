import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nameplate.names.normalise import _tokens_by_character as tokens_by_character
from nameplate.names.normalise import fold_accents, name_key, normalise, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Chloé", "chloe"),
        ("CHLOE", "chloe"),
        ("Chloe\u0301", "chloe"),
        ("ＧＵＣＣＩ", "gucci"),
        ("Ｐｒａｄａ™", "prada"),
        ("Nike® (China)", "nike china"),
        ("Dolce&Gabbana", "dolce and gabbana"),
        ("1 + IN THE FAMILY", "1 and in the family"),
        ("L’Occitane", "l occitane"),
        ("OFF‑WHITE", "off white"),
        ("M·A·C", "m a c"),
        ("Sønderhaus", "sonderhaus"),
        ("Žižka", "zizka"),
        ("Straße Œuvre Æsop Łódź Đuro", "strasse oeuvre aesop lodz duro"),
        ("Ёлка и йод", "елка и иод"),
        ("Ὀδυσσεύς", "οδυσσευσ"),
        ("½ price", "1 2 price"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("", ""),
        ("—!?", ""),
    ],
)
def test_words_compare_without_case_accents_signs_and_punctuation(text, expected):
    assert normalise(text) == expected


def test_marks_of_other_scripts_are_letters():
    assert normalise("が") != normalise("か")
    assert normalise("ｶﾞ") == normalise("ガ")
    assert normalise("한국") == normalise(unicodedata.normalize("NFD", "한국")) == "한국"


@pytest.mark.parametrize("text", ["A Chloe\u0301 bag & more", "plain words, 3.1", "№5 ™ ｶﾞ x"])
def test_tokens_stand_where_they_say(text):
    found = tokens(text)
    assert found
    assert all(text[token.start : token.end] == token.raw for token in found)
    assert [token.start for token in found] == sorted(token.start for token in found)


def test_a_dropped_accent_belongs_to_its_word():
    assert tokens("Chloe\u0301!")[0].raw == "Chloe\u0301"


def test_spellings_of_one_name_have_one_key():
    assert len({name_key(text) for text in ("A.P.C.", "APC", "a p c", "Ａ.Ｐ.Ｃ")}) == 1
    assert len({name_key(text) for text in ("Off-White", "Off White", "offwhite", "OFF‑WHITE")}) == 1


def test_folding_accents_keeps_punctuation():
    assert fold_accents("L'Été—Ø") == "l'ete—o"


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_canonical_unicode_form_does_not_matter(text):
    assert normalise(unicodedata.normalize("NFD", text)) == normalise(unicodedata.normalize("NFC", text))


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=40))
@settings(max_examples=100, deadline=None)
def test_plain_ascii_is_read_as_any_other_text(text):
    assert tokens(text) == tokens_by_character(text, 0)


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_words_are_the_same_whether_the_text_is_read_whole_or_between_spaces(text):
    assert tokens(text) == tokens_by_character(text, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("这是Gucci的包", ["这", "是", "gucci", "的", "包"]),
        ("グッチのバッグ", ["グッチ", "の", "バッグ"]),
        ("Gucci의 가방", ["gucci", "의", "가방"]),
        ("กระเป๋าGucci", ["กระเป๋า", "gucci"]),
        ("Y-3系列", ["y", "3", "系", "列"]),
        ("حقيبة Gucci", ["حقيبة", "gucci"]),
    ],
)
def test_a_change_of_script_ends_a_word_where_no_spaces_do(text, words):
    assert [token.text for token in tokens(text)] == words
