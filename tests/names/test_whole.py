"""What counts as answering with the name and nothing else, as a table."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nameplate.names import is_mentioned, is_right, is_strict

from .shelf import MATCHER, REGISTRY


@pytest.mark.parametrize(
    ("text", "name", "strict"),
    [
        # the name, in any accepted spelling
        ("Gucci", "Gucci", True),
        ("GUCCI", "Gucci", True),
        ("Chloe", "Chlo\u00e9", True),
        ("APC", "A.P.C.", True),
        ("D&G", "Dolce & Gabbana", True),
        ("dolce and gabbana", "Dolce & Gabbana", True),
        ("YSL", "Saint Laurent", True),
        ("Theory", "Theory", True),
        ("7", "7", True),
        # marks around it
        ("Gucci.", "Gucci", True),
        (' "Gucci" \n', "Gucci", True),
        ("\u201cGucci\u201d", "Gucci", True),
        ("**Gucci**", "Gucci", True),
        ("H&amp;M", "H&M", True),
        # one label
        ("Brand: Gucci", "Gucci", True),
        ("brand: gucci.", "Gucci", True),
        ("**Brand:** Gucci", "Gucci", True),
        ("Name: Gucci", "Gucci", True),
        ("Answer: Gucci", "Gucci", True),
        ("Brand\uff1a Gucci", "Gucci", True),
        ("Brand: Theory", "Theory", True),
        # more than that
        ("Brand: Brand: Gucci", "Gucci", False),
        ("Answer: theory", "Theory", False),
        ("The brand is Gucci.", "Gucci", False),
        ("This is Gucci", "Gucci", False),
        ("Gucci bag", "Gucci", False),
        ("Gucci Gucci", "Gucci", False),
        ("Colour: Gucci", "Gucci", False),
        ("Gucci, I think", "Gucci", False),
        # another one, a former one, a part of one, none
        ("Prada", "Gucci", False),
        ("Gucci or Prada", "Gucci", False),
        ("Not Gucci", "Gucci", False),
        ("Yves Saint Laurent", "Saint Laurent", False),
        ("Armani", "Emporio Armani", False),
        ("Emporio Armani", "Armani", False),
        ("", "Gucci", False),
        ("Brand:", "Gucci", False),
        ("...", "A.P.C.", False),
    ],
)
def test_a_strict_answer_is_the_name_and_nothing_else(text: str, name: str, strict: bool) -> None:
    assert is_strict(text, name, MATCHER) is strict


@pytest.mark.parametrize(
    ("text", "name", "mentioned"),
    [
        ("A Gucci bag", "Gucci", True),
        ("Gucci or Prada", "Gucci", True),
        ("Gucci or Prada", "Prada", True),
        ("Prada", "Gucci", False),
        ("not Gucci but Prada", "Gucci", False),
        ("similar to Gucci", "Gucci", False),
        ("the theory is", "Theory", False),
        ("Yves Saint Laurent", "Saint Laurent", False),
        ("", "Gucci", False),
    ],
)
def test_mentioned_is_claimed_beside_whatever_else(text: str, name: str, mentioned: bool) -> None:
    assert is_mentioned(MATCHER.judge(text, name)) is mentioned


SPELLINGS = sorted({spelling for entry in REGISTRY.entries for spelling in entry.spellings})
PIECES = [*SPELLINGS, "Brand:", "the", "not", "or", "by", ".", '"', "bag", "\n"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=5), st.sampled_from(SPELLINGS))
def test_the_three_ways_to_be_right_are_nested(pieces: list[str], name: str) -> None:
    text = " ".join(pieces)
    judgement = MATCHER.judge(text, name)
    assert not is_strict(text, name, MATCHER) or is_right(judgement)
    assert not is_right(judgement) or is_mentioned(judgement)
