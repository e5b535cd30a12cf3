import pytest

from nameplate.records import CleanReason
from nameplate.text.garble import garbled, mojibake

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
    assert garbled(text) is None and mojibake(text) is None


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
    ],
    ids=["fffd", "bell", "c1", "private", "surrogate", "dashes", "letter", "signs", "cyrillic e", "four scripts"],
)
def test_broken_text_is_garbled(text):
    assert garbled(text) is CleanReason.GARBLED


@pytest.mark.parametrize("text", ["A ChloÃ© bag", "Itâ€™s red", "锟斤拷锟斤拷", "烫烫烫烫", "Ä°stanbul"])
def test_wrong_encodings_are_mojibake(text):
    assert mojibake(text) is CleanReason.MOJIBAKE
