import string

import pytest
from ftfy.badness import is_bad
from hypothesis import given, settings
from hypothesis import strategies as st

from nameplate.records import CleanReason
from nameplate.text.garble import garbled, has_broken_characters, is_lopsided, mojibake
from nameplate.text.reading import Reading

FINE = [
    "A Chloé bag with a €1.080 price tag — “new” and 100 % cotton.",
    "Kenzo 高田賢三 sweatshirt with a tiger, size M, in the classic cut of the house.",
    "这是一款红色的真皮单肩包，背景为纯白色。",
    "A 5 µm thin film, 12 kΩ, 3/4 sleeve & 30 × 40 cm.",
    "Tabs\tand\nlines are fine 👩‍👩‍👧 too.",
    "aaah",
]


@pytest.mark.parametrize("text", FINE)
def test_honest_text_is_not_broken(text):
    assert garbled(Reading(text)) is None and mojibake(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "A red b\ufffdg by Gucci.",
        "A red bag\x07 by Gucci.",
        "A red bag\x9d by Gucci.",
        "A red bag \ue000 by Gucci.",
        "A red bag \udc80 by Gucci.",
        "A red bag ------------------------",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bag",
        "@ # $ % & * ( ) red [ ] { } < > | ~ ^",
        "A rеd lеathеr bag",
        "A bag сумка กระเป๋า תיק bolso",
        "A red bag\u200b\u200b\u200b by Gucci.",
    ],
    ids=[
        "fffd",
        "bell",
        "c1",
        "private",
        "surrogate",
        "dashes",
        "letter",
        "signs",
        "cyrillic e",
        "four scripts",
        "invisible",
    ],
)
def test_broken_text_is_garbled(text):
    assert garbled(Reading(text)) is CleanReason.GARBLED


@pytest.mark.parametrize("text", ["A ChloÃ© bag", "Itâ€™s red", "锟斤拷锟斤拷", "烫烫烫烫", "Ä°stanbul"])
def test_wrong_encodings_are_mojibake(text):
    assert mojibake(text) is CleanReason.MOJIBAKE


@given(st.text(alphabet=string.printable, max_size=40), st.integers(1, 9))
def test_the_quick_look_at_ascii_agrees_with_the_long_one(text, times):
    text *= times
    visible = [char for char in text if not char.isspace()]
    counts = {char: visible.count(char) for char in visible}
    letters = [count for char, count in counts.items() if char.isalnum()]
    marks = [count for char, count in counts.items() if not char.isalnum()]
    lopsided = len(visible) >= 20 and (
        sum(letters) < 0.5 * len(visible)
        or max(letters, default=0) > 0.35 * len(visible)
        or max(marks, default=0) > 0.2 * len(visible)
    )
    assert is_lopsided(Reading(text)) == lopsided
    assert has_broken_characters(Reading(text)) == bool(set(text) & {"\x0b", "\x0c"})


# All of Latin, Greek, Cyrillic, punctuation, signs and boxes, where mojibake is made of.
_BEYOND_ASCII = [chr(code) for code in range(0xA0, 0x2800) if chr(code) not in "ŒœÃÂ"]


@given(st.lists(st.tuples(st.sampled_from(_BEYOND_ASCII), st.text(alphabet=string.printable, min_size=1, max_size=3))))
@settings(max_examples=1000)
def test_without_two_neighbours_beyond_ascii_nothing_is_mojibake(pairs):
    """What the quick look before ftfy's patterns relies on."""
    assert not is_bad("".join(char + ascii_text for char, ascii_text in pairs))


@given(st.text(alphabet="aÃÂœé€™“ ²°Ð'\x9d", max_size=8))
@settings(max_examples=1000)
def test_the_quick_look_overlooks_no_mojibake(text):
    assert (mojibake(text) is not None) == is_bad(text)
