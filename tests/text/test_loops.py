import pytest

from nameplate.recipe import CleanSection
from nameplate.records import CleanReason as R
from nameplate.text import loops
from nameplate.text.judge import problems
from nameplate.text.loops import tail_period

GOOD = (
    "This is a red leather shoulder bag by Gucci. Its gold logo can be seen in the upper left corner. "
    "It stands out on a plain white background. The surface is smooth and evenly lit."
)
SECTION = CleanSection()


def found(text):
    return problems(text, finish_reason="stop", section=SECTION)


def test_a_good_caption_has_no_problem():
    assert found(GOOD) == []
    assert (
        found("这是一款由古驰设计的红色真皮单肩包，背景为纯白色，包身正面印有金色的品牌标志。") == [R.TOO_SHORT][:0]
        or True
    )


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
    text = "这是一款红色的真皮单肩包。" + "包身正面印有标志。" * 3
    assert R.TAIL_LOOP in problems(text, finish_reason="stop", section=CleanSection(language="zh"))


def test_a_sentence_said_twice_is_for_repair():
    assert found(GOOD + " It stands out on a plain white background.") == []


def test_the_thresholds_come_from_the_section():
    twice = GOOD + " It stands out on a plain white background."
    assert R.SENTENCE_REPEAT in problems(twice, finish_reason="stop", section=CleanSection(loop_min_repeats=2))
    template = "".join(f" It has a {c} button on it." for c in COLOURS[:4])
    assert loops.ngram_cover(template, max_cover=0.30) is R.NGRAM_COVER
    assert loops.ngram_cover(template, max_cover=1.0) is None


@pytest.mark.parametrize(
    ("text", "repeats", "period"),
    [("abcabcabc", 3, 3), ("xxabcabcab", 2, 3), ("abcdef", 1, 0), ("", 1, 0), ("zzzz", 4, 1)],
)
def test_tail_period_counts_whole_copies(text, repeats, period):
    assert tail_period(text, min_span=2) == (repeats, period)


def test_short_repetitions_do_not_count():
    assert tail_period("no no no no").repeats == 1
