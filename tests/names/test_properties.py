"""What holds for every text. Where a property has an exception, its test says which."""

import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nameplate.names import Matcher, NameEntry, Registry, is_right, normalise, tokens
from nameplate.names.display import clean_spelling
from nameplate.names.normalise import name_key
from nameplate.records import NameVerdict as V

from .shelf import CASED, CONTEXT, MATCHER, PLAIN, REGISTRY

FULL_WIDTH = str.maketrans({0x21 + place: 0xFF01 + place for place in range(94)} | {0x20: 0x3000})
WORDS = [
    *PLAIN, *CASED, *CONTEXT, "not", "similar to", "a", "bag", "by", "and", "or", ".", ",", "brand", "logo", "isn't",
    "DOLCE&GABBANA", "Yves Saint Laurent", "velvet", "the", "fake", "Brand:", "\n",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
NAMES = st.sampled_from([*PLAIN, *CASED, *CONTEXT, "Saint Laurent", "Dolce & Gabbana"])
CHECKS = settings(max_examples=150, deadline=None)


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_normalising_twice_is_once(text):
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(max_size=40) | st.sampled_from(WORDS))
@CHECKS
def test_cleaning_a_spelling_twice_is_once(spelling):
    assert clean_spelling(clean_spelling(spelling)) == clean_spelling(spelling)


@pytest.mark.parametrize("name", [entry.display for entry in REGISTRY.entries])
def test_every_name_alone_is_its_own_exact_claim(name):
    judgement = MATCHER.judge(name, name)
    assert judgement.verdict is V.EXACT and judgement.claimed == (name,)


@given(TEXTS, NAMES)
@CHECKS
def test_unicode_form_does_not_change_a_verdict(text, name):
    """Exception: trade-mark signs. NFKC makes letters of them, and "Prada™" becomes "PradaTM"; no text here has one."""
    verdicts = {
        MATCHER.judge(unicodedata.normalize(form, text), name).verdict for form in ("NFC", "NFD", "NFKC", "NFKD")
    }
    assert len(verdicts) == 1


@given(TEXTS, NAMES)
@CHECKS
def test_width_does_not_change_a_judgement(text, name):
    wide, narrow = MATCHER.judge(text.translate(FULL_WIDTH), name), MATCHER.judge(text, name)
    assert wide == narrow


@given(TEXTS, st.sampled_from(PLAIN), st.sampled_from([str.upper, str.lower, str.title, str.swapcase]))
@CHECKS
def test_case_does_not_decide_about_plain_names(text, name, change):
    """Exceptions: `cased` and `context` names, where case is the point, and the spelling itself: which of the right
    verdicts it is says how the name is written."""
    matcher = Matcher(Registry(tuple(NameEntry(plain) for plain in PLAIN)))
    before, after = matcher.judge(text, name), matcher.judge(change(text), name)
    assert before.claimed == after.claimed and is_right(before) == is_right(after)
    assert is_right(before) or before.verdict is after.verdict


@given(st.lists(st.text(max_size=12) | st.sampled_from(WORDS), max_size=8).map(" ".join), NAMES)
@CHECKS
def test_a_text_without_a_word_of_a_name_never_names_it(text, name):
    """Words that only together make the name ("super dry") are words of it."""
    entry = REGISTRY.lookup(name)
    words = {token.text for token in tokens(text)}
    assume(not any(name_key(spelling).startswith(word) for spelling in entry.spellings for word in words))
    judgement = MATCHER.judge(text, name)
    assert judgement.verdict in (V.ABSENT, V.OTHER_NAME)
    assert entry.display not in judgement.claimed and judgement.start is None


CLAUSES = st.sampled_from(
    [
        "it is made of wool",
        "a bag with two pockets",
        "there is no zip",
        "the lining is not visible",
        "它是黑色的",
        "SIZE 42",
    ]
)


@given(TEXTS, NAMES, CLAUSES, st.sampled_from([". ", "; ", "\n", "。", "! "]))
@CHECKS
def test_unrelated_clauses_take_no_claim_away(text, name, clause, stop):
    """Exceptions: names that are not `plain` and stand alone, which is a claim only while they do, or in a text without
    small letters, whose surroundings decide. Both are about one word as the whole text or about shouting."""
    assume(REGISTRY.lookup(name).match_policy == "plain")
    claims = MATCHER.judge(text, name).claimed.count(REGISTRY.lookup(name).display)
    assert MATCHER.judge(text + stop + clause, name).claimed.count(REGISTRY.lookup(name).display) == claims
    assert MATCHER.judge(clause + stop + text, name).claimed.count(REGISTRY.lookup(name).display) == claims


@given(TEXTS, NAMES)
@CHECKS
def test_writing_back_twice_is_once_and_makes_a_right_text_exact(text, name):
    written, _ = MATCHER.canonicalise(text, name)
    assert MATCHER.canonicalise(written, name) == (written, False)
    if is_right(MATCHER.judge(text, name)):
        assert MATCHER.judge(written, name).verdict is V.EXACT


ODD = st.text(alphabet=st.characters() | st.sampled_from("\x00\ud800\udfff\u202e\u200d&;<>#"), max_size=60)


@given(ODD, ODD)
@CHECKS
def test_no_text_and_no_name_makes_the_matcher_fail(text, name):
    shown = clean_spelling(name)
    assume(name_key(shown))
    matcher = Matcher(Registry((NameEntry(shown),)))
    matcher.judge(text, shown)
    assert is_right(matcher.judge(shown, shown))
    assert Registry.from_json(matcher.registry.to_json().encode("utf-8").decode("utf-8")) == matcher.registry
