import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nameplate.records import CleanReason
from nameplate.text.garble import garbled
from nameplate.text.places import find_place
from nameplate.text.quotes import has_stray_quotes, stray_quotes
from nameplate.text.reading import Reading
from nameplate.text.words import count_words

PLAIN = "We see a white cup from the brand Adidas and a large mark is placed in the upper left corner"

HONEST = {
    "English": "“Just Do It,” it says, “now.” The tag reads “new ‘air’ sole”, and ‘it’s a “soft” sole’ too.",
    "straight": "The shirts say \"LOVE\", \"PEACE\" and 'JOY'; the tag ('new') says \"made in 'old' Rome\".",
    "apostrophes": "Levi’s rock ’n’ roll jeans of the ’90s: the boys’ best, ’tis said; bag o’ fun, rockin’, ol’ red.",
    "names": "‘Levi’s’ of O’Ahu, Hawai‘i, L´Oréal and Rock`n`Roll, l’Été and Ka‘anapali, Nu‘uanu and Ko‘olau.",
    "straight apostrophes": "Levi's rock 'n' roll jeans of the '90s: the boys' best, 'tis said; dogs' bowls, rockin'.",
    "curly inches": "A case of 12” x 9” x 3½” with a strap (40” long), for a man of 5’ 8” or 6’2” or one of 6’.",
    "straight inches": 'Frames of 8"x10", 8" x 10" and 12½", a 27" screen and a man of 5\' 8" or 6\'2" or 6\'.',
    "primes": "A case of 12″ x 9″ x 3″ with a strap, for a man of 5′ 8″ or 6′ 2″ with an arm of 2′ 6″ or 31″.",
    "German": "Auf dem Etikett steht „neu“, auf dem Hemd „Das ist ‚echt‘ schön“ und „Größe M“.",
    "German, books": "Auf dem Etikett steht »neu«, auf dem Hemd »Das ist ›echt‹ schön« und »Größe M«.",
    "Swedish": "På etiketten står ”ny”, på tröjan ”Det är ’äkta’ ull” och ”storlek M”, och på knappen ’X’.",
    "French": "L’étiquette dit « neuf », l’image « C’est “vrai” », d’autres « l’été » et « l’hiver ».",
    "French, hard spaces": "L’étiquette dit «\u00a0neuf\u00a0», l’image «\u202fC’est vrai\u202f», «\u00a0l’été\u00a0».",
    "Polish": "Na metce jest „nowy”, na koszulce „To jest «prawdziwa» wełna” i „rozmiar M”.",
    "Chinese": "这款包上写着“新款”，吊牌上写着“经典‘手工’”，系列三“限量”，还有型号12“小号”和16”的屏幕。",
    "corner marks": "バッグには「新作」と『限定「赤」』と「東京」の文字があり、タグには「本物」とあります。",
    "TeX and Unix": "The bag says ``new'' and ``red''; its tags say `small' and `large', and the code is `RB1`.",
    "lists": "Sizes 'S','M','L' and (“XL”/“XXL”); [‘red’|‘blue’]; \"one\"-\"two\", —“three”— and “four”: “five”.",
    "tables": 'The shirt says ""LOVE"" and ""PEACE"", and the back says ""JOY"" in red.',
}

GARBLED = {
    "curly": "We’ see’ a’ pair of’ grey “jeans from’ the’ brand “Uniqlo. “Its Uniqlo logo’ can’ be’ seen in’ a corner.",
    "only opened": "We “see a white “cup from the “brand Adidas. A “large Adidas mark is “placed in the corner.",
    "only closed": "We see’ a white’ cup from the brand’ Adidas. A large’ Adidas mark’ is placed in the corner.",
    "straight": "We' see a' white \"cup from' the' brand \"Adidas. \"A large' Adidas mark is \"placed in the corner.",
    "low and angular": "We „see a «white cup „from the brand «Adidas. A „large «Adidas mark is placed in the corner.",
    "paired by chance": "We see” a “white cup” from” the “brand Adidas. A large” Adidas “mark “is” placed” in it.",
    "Unix": "We `see a `white cup from the `brand `Adidas. A large `Adidas mark is placed in the corner.",
}


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST)
def test_all_marks_of_honest_text_belong_to_something(text):
    assert stray_quotes(text) == []
    assert garbled(Reading(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        *("the boys’ bag", "a bag o’ tricks", "rock n’ roll", "him an’ her", "th’ end", "ol’ blue", "a rockin’ bag"),
        *("'tis red", "the ’90s", "’tis of the ’90s", "a man of 6’ in red", "12½” wide", "it’s ‘it’s’", "型号12“小号”"),
        *('系列三"限量"', "16”的屏幕", "see :class:`-x` now", "he said:“yes”", "“red («wool») bag”", "“‘red’ bag”"),
    ],
)
def test_a_mark_alone_may_belong_to_its_word(text):
    assert stray_quotes(text) == []


@pytest.mark.parametrize(
    ("text", "stray"),
    [
        ("in’ red", "’"),
        ("mugs” and", "”"),
        ("a’ and the’ red’ bag", "’’’"),
        ("“red” bag”", "”"),
        ("12“ wide", "“"),
        ("“red “bag”", "“"),
        ("“red “bag", "““"),
        ("‘red bag", "‘"),
        ("“red bag‘", "“‘"),
        ("a“b", "“"),
        ("a ` b", "`"),
    ],
)
def test_a_mark_without_another_is_stray(text, stray):
    assert "".join(text[place] for place in stray_quotes(text)) == stray


@pytest.mark.parametrize("text", GARBLED.values(), ids=GARBLED)
def test_marks_thrown_in_are_garbled(text):
    assert garbled(Reading(text)) is CleanReason.GARBLED


def test_a_quotation_may_open_anew_with_each_paragraph():
    paragraphs = [f"“{PLAIN}, {number}." for number in range(6)]
    text = "\n\n".join(paragraphs) + "”"
    assert len(stray_quotes(text)) == 5
    assert garbled(Reading(text)) is None


@pytest.mark.parametrize(
    ("num_stray", "num_words", "found"), [(3, 4, False), (4, 4, True), (4, 39, True), (4, 40, False), (5, 40, True)]
)
def test_three_slips_are_forgiven_and_one_in_ten_words(num_stray, num_words, found):
    words = ["“red"] * num_stray + ["bag"] * (num_words - num_stray)
    assert has_stray_quotes(Reading(" ".join(words))) == found


def test_the_place_of_a_garble_is_its_first_stray_mark():
    text = 'A café’s bag "of" red "leather ' + '"wool ' * 9
    assert text[find_place(CleanReason.GARBLED, text).start :].startswith('"leather')
    assert find_place(CleanReason.GARBLED, "A café’s b\ufffdg") == (5, 7)


@given(st.lists(st.sampled_from([("“", ""), ("„", ""), ("«", ""), ('"', ""), ("‘", ""), ("", "’"), ("", "")])))
def test_each_mark_thrown_in_is_counted_unless_two_make_a_pair(marks):
    text = " ".join(before + "cup" + after for before, after in marks)
    thrown = "".join(before + after for before, after in marks)
    in_pairs = 2 * len(re.findall("‘’", re.sub("[^‘’]", "", thrown)))
    assert len(stray_quotes(text)) == len(thrown) - in_pairs


_PAIRS = ["“”", "„“", "„”", "””", "»«", "«»", "‹›", '""', "‘’", "‚‘", "’’", "''", "`'"]


@given(st.lists(st.tuples(st.sampled_from(["cup", "red", "dogs", "12"]), st.sampled_from(_PAIRS) | st.none())))
def test_words_in_pairs_of_marks_belong_to_them(words):
    text = " ".join(f"{pair[0]}{word}{pair[1]}" if pair else word for word, pair in words)
    assert stray_quotes(text) == []


@given(st.text(alphabet="a b1s.(-\"'“”„«»‘’´`ß好", max_size=80))
@settings(max_examples=500)
def test_the_quick_look_agrees_with_the_count(text):
    assert has_stray_quotes(Reading(text)) == (len(stray_quotes(text)) > max(3, count_words(text) * 0.1))
