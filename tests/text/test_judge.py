import pytest
from hypothesis import given
from hypothesis import strategies as st

from nameplate.recipe import CleanSection
from nameplate.records import CleanReason as R
from nameplate.text.judge import RULES, examine, problems
from nameplate.text.reading import Reading
from nameplate.text.words import count_words

GOOD = "This is a red leather shoulder bag by Gucci on a plain white background."


@pytest.mark.parametrize(
    ("text", "finish_reason", "expected"),
    [
        (GOOD, "stop", []),
        (GOOD, "length", []),
        ("", "stop", [R.EMPTY]),
        (" \n", "stop", [R.EMPTY]),
        ("A red bag.", "stop", [R.TOO_SHORT]),
        (GOOD + " It has a lo", "length", []),
        ("A red bag with a long leather strap and a", "length", [R.NO_WHOLE_SENTENCE]),
        ("A red bag with a long leather strap and zip", "stop", []),
        ("A bag. " + "It has a long and very winding strap of red leather and a", "length", [R.TOO_SHORT]),
        (GOOD, "repetition", [R.TAIL_LOOP]),
        (GOOD, "content_filter", [R.REFUSAL]),
        (GOOD, None, []),
        (GOOD.replace("bag", "b\u200bag"), "stop", []),
        (GOOD.replace("bag", "b\u200b\u200b\u200b\u200bag"), "stop", [R.GARBLED]),
    ],
)
def test_all_reasons_are_given(text, finish_reason, expected):
    assert problems(text, finish_reason=finish_reason, section=CleanSection()) == expected


def test_reasons_come_in_the_order_of_their_enum():
    text = "I'm sorry \ufffd ChloÃ© " + "bag " * 300
    found = problems(text, finish_reason="stop", section=CleanSection())
    assert found == sorted(found, key=list(R).index)
    assert {R.REFUSAL, R.GARBLED, R.MOJIBAKE, R.TAIL_LOOP, R.FEW_WORDS, R.TOO_LONG} <= set(found)


def test_word_limits_come_from_the_section():
    assert problems(GOOD, finish_reason="stop", section=CleanSection(max_words=5)) == [R.TOO_LONG]
    assert problems(GOOD, finish_reason="stop", section=CleanSection(min_words=50)) == [R.TOO_SHORT]


def test_what_a_repair_brings_out_is_judged_not_its_wrapper():
    wrapped = '```json\n{"caption": "' + GOOD + '"}\n```'
    examined = examine(wrapped, finish_reason="stop", section=CleanSection())
    assert examined.reasons == () and examined.repaired.text == GOOD
    assert problems('{"caption": "I\'m sorry, I cannot do that, really not now."}', finish_reason="stop",
                    section=CleanSection()) == [R.REFUSAL]  # fmt: skip


def test_every_rule_gives_its_own_code_or_none():
    assert list(RULES) == [code for code in R if code in RULES]
    loop = "I'm sorry. Let me see <|x|> {" + "ChloÃ© \ufffd xkcdqw bnmzrt 12 12 的" * 40
    for text in (GOOD, loop, "", "今天"):
        for code, rule in RULES.items():
            assert rule(Reading(text), CleanSection()) in (code, None)


@given(st.text(alphabet="ab-'. 红é,!", max_size=60), st.integers(1, 12), st.integers(1, 12))
def test_the_quick_count_of_words_never_errs(text, least, more):
    section = CleanSection(min_words=least, max_words=least + more)
    found = problems(f"x{text}", finish_reason=None, section=section)
    examined = examine(f"x{text}", finish_reason=None, section=section)
    number = count_words(examined.repaired.text)
    assert (R.TOO_SHORT in found) == (number < least)
    assert (R.TOO_LONG in found) == (number > least + more)


@pytest.mark.parametrize(
    "piece",
    [
        "# ",
        "红色的包。",
        "5. A ",
        "**a ",
        "[",
        '{"a":',
        "<p ",
        "Here is a ",
        "“it’s ” ",
        "Ã© ",
        "\u200b",
        "A.P.C. ",
        "`",
        "\\",
    ],
)
def test_a_text_of_any_size_is_read_once(piece):
    """Quadratic work on these would take minutes."""
    text = piece * (400_000 // len(piece))
    assert problems(text, finish_reason="stop", section=CleanSection(), names=("A.P.C.",), prompt="Say what it is.")
