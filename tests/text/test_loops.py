import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.text.listing import loop_reasons

from nameplate.recipe import CleanSection
from nameplate.records import CleanReason as R
from nameplate.text import loops
from nameplate.text.judge import RULES, problems
from nameplate.text.reading import Reading

GOOD = (
    "This is a red leather shoulder bag by Gucci. Its gold logo can be seen in the upper left corner. "
    "It stands out on a plain white background. The surface is smooth and evenly lit."
)
GOOD_ZH = "这是一款由古驰设计的红色真皮单肩包，背景为纯白色，包身正面印有金色的品牌标志。"
LOOPS = (R.TAIL_LOOP, R.INNER_LOOP, R.SENTENCE_REPEAT, R.NGRAM_COVER, R.FEW_WORDS, R.COUNTING)


def found(text, **section):
    return problems(text, finish_reason="stop", section=CleanSection(**section))


def loops_in(text, section=None):
    reading, section = Reading(text), section or CleanSection()
    return {code for code in LOOPS if RULES[code](reading, section) is not None}


def test_a_good_caption_has_no_problem():
    assert found(GOOD) == []
    assert found(GOOD_ZH, language="zh") == []


COLOURS = ["red", "blue", "green", "grey", "pink", "tan", "black", "white"]
SALAD = ["soft", "elegant", "modern", "chic", "sleek", "plain", "new", "neat"]


@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        pytest.param(" The lines are clean and plain." * 30, {R.TAIL_LOOP, R.SENTENCE_REPEAT}, id="sentence x30"),
        pytest.param(" The lines are clean and plain." * 3, {R.TAIL_LOOP, R.SENTENCE_REPEAT}, id="sentence x3"),
        pytest.param(" with a clean and simple design," * 6, {R.TAIL_LOOP}, id="phrase x6"),
        pytest.param(" with a clean and simple design," * 5 + " with a cl", {R.TAIL_LOOP}, id="phrase cut"),
        pytest.param(" leather" * 8, {R.TAIL_LOOP}, id="word x8"),
        pytest.param(" leather" * 8 + ". It has a zip.", {R.INNER_LOOP}, id="word x8, then it recovers"),
        pytest.param(" The bag is red. The strap is long." * 6, {R.TAIL_LOOP}, id="A-B x6"),
        pytest.param(
            "".join(f" There is a {colour} button on the side of it." for colour in COLOURS * 2),
            {R.NGRAM_COVER},
            id="template",
        ),
        pytest.param(" " + ", ".join(map(str, range(1, 80))), {R.COUNTING}, id="counting"),
        pytest.param(
            " " + ", ".join(SALAD[(i * i + i // 3) % 8] for i in range(60)),
            {R.FEW_WORDS},
            id="salad",
        ),
        pytest.param("!" * 60, {R.TAIL_LOOP, R.GARBLED}, id="marks"),
    ],
)
def test_every_family_of_loops_is_found_after_a_good_start(loop, expected):
    assert expected <= set(found(GOOD + loop))


def test_chinese_loops_are_found():
    assert R.TAIL_LOOP in found("这是一款红色的真皮单肩包。" + "包身正面印有标志。" * 3, language="zh")
    assert R.INNER_LOOP in found("这是一款红色的" + "真皮的" * 5 + "单肩包，背景为纯白色。", language="zh")


def test_what_is_said_three_times_in_a_row_may_be_meant():
    assert found("A very, very, very soft sweater by Gucci, with stripes and stripes and stripes all over it.") == []


def test_a_sentence_said_twice_is_for_repair():
    assert found(GOOD + " It stands out on a plain white background.") == []


def test_the_thresholds_come_from_the_section():
    twice = GOOD + " It stands out on a plain white background."
    assert R.SENTENCE_REPEAT in found(twice, loop_min_repeats=2)
    template = Reading("".join(f" It has a {c} button on it." for c in COLOURS[:4]))
    assert loops.ngram_cover(template, max_cover=0.30) is R.NGRAM_COVER
    assert loops.ngram_cover(template, max_cover=1.0) is None
    salad = GOOD + " " + ", ".join(SALAD[(i * i + i // 3) % 8] for i in range(60))
    assert R.FEW_WORDS not in found(salad, few_words=0)
    assert R.COUNTING in found(GOOD + " Sizes 36, 37, 38, 39.", counting=4)


@pytest.mark.parametrize("text", ["no no no no", "no no no no yes", "3 3 3 3 3 3", "it is, it is, it is"])
def test_short_repetitions_do_not_count(text):
    assert loops_in(text) == set()


def test_copies_that_differ_by_a_number_are_a_loop_when_they_are_many():
    assert R.INNER_LOOP in found("A coat with " + ", ".join(f"{n} pockets" for n in range(2, 8)) + " and a hood.")
    assert found("Five bowls by Muji: 12 cm, 15 cm, 18 cm, 21 cm, 24 cm, made of white stoneware.") == []
    assert found("It comes in the sizes 36, 37, 38, 39, 40, 41, 42, 43, 44, 45 and 46, says the label.") == []


# Texts in which copies are likely: few letters, pieces repeated, cut, changed in a word, Chinese among them.
_PIECES = st.one_of(
    st.sampled_from(
        [
            "a",
            "b ",
            " ab",
            "the bag is red. ",
            "It has a zip. ",
            "soft, ",
            "红色",
            "包身正面印有标志。",
            "7 ",
            "12, ",
            "! ",
            "É",
        ]
    ),
    st.text(alphabet="ab 红1.,", max_size=6),
)
_COPIED = st.builds(lambda piece, times: piece * times, _PIECES, st.integers(1, 9))
_TEXTS = st.builds(
    lambda parts, cut: "".join(parts)[: len("".join(parts)) - cut], st.lists(_COPIED, max_size=14), st.integers(0, 8)
)


@given(_TEXTS, st.integers(2, 5), st.sampled_from([0.1, 0.3, 0.6]))
@settings(max_examples=1500, deadline=None)
def test_the_fast_rules_agree_with_the_plain_listing(text, repeats, cover):
    section = CleanSection(loop_min_repeats=repeats, ngram_cover=cover)
    assert loops_in(text, section) - {R.INNER_LOOP} == loop_reasons(text, repeats=repeats, cover=cover)


def has_inner_loop(text, copies):
    """The plain form: any piece of any length from any word on."""
    reading = Reading(text)
    gap, least = ("", 12) if reading.has_cjk else (" ", 24)
    for words, wanted in ((reading.words, copies), (["0" if w.isdigit() else w for w in reading.words], copies + 2)):
        for period in range(1, len(words) // wanted + 1):
            for start in range(len(words)):
                end = start + period
                while end < len(words) and words[end] == words[end - period]:
                    end += 1
                own = reading.words[start:end]
                sizes = words is not reading.words and set(words[start : start + period]) == {"0"} and len(set(own)) > 1
                if end - start >= period * wanted and not sizes and len(gap.join(own)) >= least:
                    return True
    return False


@given(_TEXTS, st.integers(2, 4))
@settings(max_examples=800, deadline=None)
def test_the_fast_look_for_inner_loops_agrees_with_the_plain_one(text, repeats):
    verdict = loops_in(text, CleanSection(loop_min_repeats=repeats))
    assert (R.INNER_LOOP in verdict) == has_inner_loop(text, repeats + 1)


def test_three_copies_of_four_words_far_apart_are_counted():
    """The least repetition that a cover of 30 % can have: the quick look must not overlook it."""
    filler = [f"w{chr(97 + place // 26)}{chr(97 + place % 26)}" for place in range(28)]
    words = [*filler[:9], *["with", "a", "gold", "zip"], *filler[9:18], *["with", "a", "gold", "zip"], *filler[18:]]
    text = " ".join([*words, "with", "a", "gold", "zip"])
    assert loops_in(text) == loop_reasons(text) == {"ngram_cover"}


def test_the_listing_flags_something():
    assert loop_reasons(GOOD + " It is new and clean." * 3) >= {"tail_loop", "sentence_repeat"}
    assert loop_reasons(GOOD) == set()
