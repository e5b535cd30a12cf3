import pytest

from nameplate.recipe import CleanSection
from nameplate.records import CleanReason as R
from nameplate.records import Repair
from nameplate.text.judge import problems
from nameplate.text.language import script_shares, wrong_script
from nameplate.text.refusals import refusal
from nameplate.text.repair import repair

GOOD = "This is a red leather shoulder bag by Gucci on a plain white background."


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "Sorry, I cannot identify brands.",
        "As an AI language model, I see a bag.",
        "I cannot see the picture well.",
        "Okay, let me look at the picture first.",
        "So, I need to describe this bag in detail.",
        "Let's see what is there.",
        "Based on the metadata provided, this is a bag.",
        "Describe this product in detail. Its brand is Gucci.",
        "<think>The user wants a caption.</think> A red bag.",
        "A red bag.<|im_end|>",
        "The answer is \\boxed{Gucci}",
        '{"caption": "A red bag"}',
        "```json",
        "作为一个人工智能助手，我看到一个包。",
        "抱歉，我不能回答。",
        "Assistant: A red bag.",
    ],
)
def test_what_is_no_caption_is_refused(text):
    assert refusal(text) is R.REFUSAL


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "The back of the bag cannot be seen in the picture. I'm sorry is printed on it.",
        "Well-made boots in brown.",
        "First-class leather in black.",
        'A T-shirt with the words "I\'m sorry" on it.',
        "The user can carry it on the shoulder.",
        "In the picture, a bag lies on a table.",
    ],
)
def test_an_honest_caption_is_not_refused(text):
    assert refusal(text) is None


@pytest.mark.parametrize(
    ("text", "language", "wrong"),
    [
        (GOOD, "en", False),
        (GOOD, "zh", True),
        ("这是一款红色的真皮单肩包。", "en", True),
        ("这是一款由 Gucci 设计的红色真皮单肩包，背景为纯白色。", "zh", False),
        ("A grey sweatshirt by Kenzo 高田賢三 with long sleeves, a round neck, a tiger and ribbed cuffs.", "en", False),
        ("A grey sweatshirt 这是一款红色的包 with long sleeves, a round neck, a tiger and ribbed cuffs.", "en", True),
        ("高田賢三", "en", True),
        ("これは赤い革のバッグです。", "zh", True),
        ("Это красная сумка.", "en", True),
        ("123 !", "en", False),
    ],
)  # fmt: skip
def test_the_script_must_fit_the_language(text, language, wrong):
    assert wrong_script(text, language=language) == (R.WRONG_SCRIPT if wrong else None)


def test_script_shares_are_of_letters():
    assert script_shares("ab 12 高田") == {"latin": 0.5, "han": 0.5}


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


@pytest.mark.parametrize(
    ("text", "expected", "repairs"),
    [
        (GOOD, GOOD, ()),
        (f"  {GOOD}\n\nIt is  new. ", f"{GOOD} It is new.", (Repair.COLLAPSED_WHITESPACE,)),
        (f"{GOOD} It has a lo", GOOD, (Repair.TRIMMED_TO_SENTENCE,)),
        (f"{GOOD} It is new. {GOOD}", f"{GOOD} It is new.", (Repair.DROPPED_REPEATED_SENTENCE,)),
        ("It is red. It is red.", "It is red. It is red.", ()),
        (f"{GOOD} {GOOD}  It ha", GOOD, tuple(Repair[n] for n in
            ("TRIMMED_TO_SENTENCE", "DROPPED_REPEATED_SENTENCE", "COLLAPSED_WHITESPACE"))),
        ("a phrase by Gucci", "a phrase by Gucci", ()),
    ],
)  # fmt: skip
def test_repairs_only_leave_out(text, expected, repairs):
    repaired = repair(text, finish_reason="stop")
    assert (repaired.text, repaired.repairs) == (expected, repairs)
    assert repair(repaired.text, finish_reason="stop").text == repaired.text
