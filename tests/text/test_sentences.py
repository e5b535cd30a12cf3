import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nameplate.text.repair import mend_sentences
from nameplate.text.sentences import MarkedNames, is_whole, sentence_ends

NAMES = MarkedNames(
    ["A.P.C.", "St. John", "No. 21", "3.1 Phillip Lim", "J. Crew", "Yahoo!", "Gucci", "Mr & Mrs. Italy"]
)


def trimmed(text, names=NAMES):
    return mend_sentences(text, finish_reason="stop", names=names).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The bag is red. It has a lo", "The bag is red."),
        ("The bag is red! It has a lo", "The bag is red!"),
        ("Is it red? It has a lo", "Is it red?"),
        ("The bag is red.", "The bag is red."),
        ("The bag is “red.”", "The bag is “red.”"),
        ('It reads "Go!"', 'It reads "Go!"'),
        ('It reads "Go!" and then', None),
        ('He said "red." It has', 'He said "red."'),
        ("The bag is red. It is by A.P.C. in blue and", "The bag is red."),
        ("The bag is by A.P.C. It has a lo", "The bag is by A.P.C."),
        ("The bag is by A.P.C. Paris and has a lo", None),
        ("The bag is red. It is by a. p. c. Paris in", "The bag is red."),
        ("Red. A coat by St. John Knits in", "Red."),
        ("A coat by St. John in", None),
        ("A bag by No. 21 in", None),
        ("A bag by 3.1 Phillip Lim in", None),
        ("A bag by J. Crew in", None),
        ("A T-shirt by Yahoo! Sports in", None),
        ("A T-shirt by yahoo! Sports in", None),
        ("A bag by Mr & Mrs. Italy Milano in", None),
        ("A bag, e.g. Black or red, in", None),
        ("It is Dr. Martens in", None),
        ("It costs $ 12.50 only in", None),
        ("It costs $ 12. 50 only in", None),
        ("It costs $ 12. The strap is", "It costs $ 12."),
        ("1. First there is", None),
        ("It is 30 cm. wide and", None),
        ("The bag is... well, red and", None),
        ("包是红色的。它有一个", "包是红色的。"),
        ("好看吗？是的，它", "好看吗？"),
        ("no mark at all", None),
        ("", None),
        ("**The bag is red.** It", "**The bag is red.**"),
    ],
)
def test_a_cut_off_text_ends_with_its_last_whole_sentence(text, expected):
    assert trimmed(text) == (text if expected is None else expected)


def test_without_the_name_its_full_stop_is_only_guessed_by_its_form():
    nice = "A sweater by Mr.Nice. Guys in"
    assert trimmed(nice, MarkedNames(["Gucci"])) == "A sweater by Mr.Nice."
    assert trimmed(nice, MarkedNames(["Mr.Nice. Guys"])) == nice


def test_sentences_end_right_after_their_marks():
    text = "One bag. By A.P.C. in red!  And a rest"
    assert [text[:end] for end in sentence_ends(text, NAMES)] == ["One bag.", "One bag. By A.P.C. in red!"]


@given(
    st.lists(
        st.sampled_from(["A.P.C.", "red", "bag.", "It", "!", "$ 12.50", "St. John", "。", '"', "e.g."]), max_size=12
    )
)
@settings(max_examples=200, deadline=None)
def test_trimming_only_takes_from_the_end_and_once(words):
    text = " ".join(words)
    once = trimmed(text)
    assert text.startswith(once)
    assert trimmed(once) == once
    if once != text:
        assert is_whole(once) and not is_whole(text)


def test_a_heap_of_marks_is_read_once():
    heap = "!" * 20_000 + "x"
    assert trimmed(heap) == heap
