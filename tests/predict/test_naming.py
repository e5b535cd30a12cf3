"""Which name an answer is said to claim."""

from __future__ import annotations

import pytest

from nameplate.names import Matcher, build_registry
from nameplate.predict.naming import find_name

MATCHER = Matcher(build_registry({"Acme": 5, "Z\u00ebta": 5, "Gap": 5, "On": 5}))


@pytest.mark.parametrize(
    ("text", "name", "verdict"),
    [
        ("Acme", "Acme", "exact"),
        ("a mug by ACME.", "Acme", "case_variant"),
        ("a mug by Zeta", "Z\u00ebta", "diacritic_variant"),
        ("a mug by Acme, not by Gap", "Acme", "exact"),
        ("a mug by Acme and a shoe by Gap", "Acme", "other_name"),
        ("a gap on the side", "Gap", "ambiguous"),
        ("a gap in the mug by Acme", "Acme", "exact"),
        ("a mug without a mark", "", "absent"),
        ("", "", "absent"),
    ],
)
def test_first_claimed_name_and_what_the_matcher_says_of_it(text: str, name: str, verdict: str) -> None:
    assert find_name(text, MATCHER) == (name, verdict)
