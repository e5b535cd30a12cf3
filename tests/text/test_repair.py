import pytest

from nameplate.recipe import CleanSection
from nameplate.records import Repair
from nameplate.text.judge import examine
from nameplate.text.repair import Repaired, fix_mojibake, mend_sentences, open_up

GOOD = "This is a red leather shoulder bag by Gucci on a plain white background."


def repair(text: str, *, finish_reason: str | None) -> Repaired:
    return examine(text, finish_reason=finish_reason, section=CleanSection()).repaired


@pytest.mark.parametrize(
    ("text", "expected", "repairs"),
    [
        (GOOD, GOOD, ()),
        (f"  {GOOD}\n\nIt is  new. ", f"{GOOD} It is new.", (Repair.COLLAPSED_WHITESPACE,)),
        ("A soft\u00ad ly\u200b worn bag.", "A soft ly worn bag.", (Repair.COLLAPSED_WHITESPACE,)),
        (f"{GOOD} It has a lo", GOOD, (Repair.TRIMMED_TO_SENTENCE,)),
        (f"{GOOD} It is new. {GOOD}", f"{GOOD} It is new.", (Repair.DROPPED_REPEATED_SENTENCE,)),
        (f"{GOOD} It is new. {GOOD.upper()}", f"{GOOD} It is new.", (Repair.DROPPED_REPEATED_SENTENCE,)),
        ("It is red. It is red.", "It is red. It is red.", ()),
        (f"{GOOD} {GOOD}  It ha", GOOD, tuple(Repair[n] for n in
            ("COLLAPSED_WHITESPACE", "TRIMMED_TO_SENTENCE", "DROPPED_REPEATED_SENTENCE"))),
        ("a phrase by Gucci", "a phrase by Gucci", ()),
        (f"Caption: {GOOD}", GOOD, (Repair.UNWRAPPED,)),
        (f"ChloÃ© bag. {GOOD}", f"Chloé bag. {GOOD}", (Repair.FIXED_ENCODING,)),
        (f"Itâ€™s a bag. {GOOD}", f"It’s a bag. {GOOD}", (Repair.FIXED_ENCODING,)),
        (f"“Caption: Itâ€™s new. {GOOD}”", f"It’s new. {GOOD}", (Repair.FIXED_ENCODING, Repair.UNWRAPPED)),
        ("这是一款红色的真皮单肩包。肩带很长。这是一款红色的真皮单肩包。包身正", "这是一款红色的真皮单肩包。肩带很长。",
            (Repair.TRIMMED_TO_SENTENCE, Repair.DROPPED_REPEATED_SENTENCE)),
    ],
)  # fmt: skip
def test_a_text_is_mended_once_and_every_repair_is_named(text, expected, repairs):
    repaired = repair(text, finish_reason="stop")
    assert (repaired.text, repaired.repairs) == (expected, repairs)
    again = repair(repaired.text, finish_reason="stop")
    assert (again.text, again.changes) == (expected, ())


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        (f"{GOOD} It has a lo", " plain white background. It has a lo", " plain white background."),
        (f"{GOOD} Yes. {GOOD}", f"n white background. Yes. {GOOD}", "n white background. Yes."),
        (f"The ChloÃ© bag. {GOOD}", "The ChloÃ© bag. This is a red leat", "The Chloé bag. This is a red leat"),
    ],
)
def test_a_change_shows_the_place_before_and_after(text, before, after):
    (change,) = repair(text, finish_reason="stop").changes
    assert (change.before, change.after) == (before, after)


def test_a_long_change_is_clipped_in_its_middle():
    loop = " It is red and shiny and new." * 100
    (change,) = mend_sentences(GOOD + loop, finish_reason="stop").changes
    assert len(change.before) <= 160 and " ... " in change.before
    assert len(change.after) <= 160


def test_only_an_encoding_that_comes_out_good_is_mended():
    assert fix_mojibake("Curly “quotes” and Chloé, €1.080") == "Curly “quotes” and Chloé, €1.080"
    assert fix_mojibake("锟斤拷 bag") == "锟斤拷 bag"
    lost = "A b\ufffdg, itâ€™s"
    assert fix_mojibake(lost) == lost


@pytest.mark.parametrize(
    ("text", "finish_reason", "expected", "has_sentence"),
    [
        ("Red bag. Gold zip. Cotton lining", None, "Red bag. Gold zip. Cotton lining", True),
        ("Red bag. Gold zip. Cotton lining", "stop", "Red bag. Gold zip.", True),
        ("Red bag. Gold zip. It has a", None, "Red bag. Gold zip.", True),
        ("Red bag. Gold zip. Soft,", None, "Red bag. Gold zip.", True),
        ("Red bag with a gold", "length", "Red bag with a gold", False),
        ("Red bag with a gold", "max_tokens", "Red bag with a gold", False),
        ("Red bag with a gold zip", "stop", "Red bag with a gold zip", True),
        ("Red bag with a gold zip.", "length", "Red bag with a gold zip.", True),
    ],
)
def test_a_title_from_a_table_keeps_its_open_end_and_a_teachers_text_does_not(
    text, finish_reason, expected, has_sentence
):
    mended = mend_sentences(text, finish_reason=finish_reason)
    assert (mended.text, mended.has_sentence) == (expected, has_sentence)


def test_opening_up_does_not_touch_sentences():
    assert open_up(f"Caption:  {GOOD} It ha").text == f"{GOOD} It ha"
