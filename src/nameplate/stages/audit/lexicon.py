"""What can be seen in a picture and checked there: a closed vocabulary of factors, and where a text states one.

English only: in another language there are no claims, and what rests on them is left open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

KIND: Final = "kind"

FACTORS: Final[Mapping[str, str]] = {
    # The eleven basic colour terms (Berlin and Kay 1969): finer ones ("navy", "crimson") do not exclude each other.
    "colour": "black, white, grey|gray, red, orange, yellow, green, blue, purple, pink, brown",
    "material": "leather, cotton, wool, silk, denim, wooden, metal, plastic, glass, ceramic, rubber",
    "pattern": "striped, checked|checkered|plaid, dotted|polka dot|polka-dot, floral, camouflage",
    KIND: (
        "t-shirt|tee, shirt, blouse, dress, skirt, jeans, trousers|pants, shorts, coat, jacket, hoodie, scarf, "
        "sweater|jumper|pullover, cap, hat, socks, gloves, belt, sunglasses, handbag|purse, backpack|rucksack, "
        "suitcase, wallet, umbrella, running shoe|sneaker|trainer, sandal, boot, necklace, bracelet, earrings, "
        "cup|mug, bottle, lamp, chair, sofa|couch"
    ),
}
"""By factor, its values; after the first spelling of a value come others of the same meaning."""

_GENERAL: Final = frozenset(
    ["accessories", "apparel", "bags", "beauty", "clothing", "home", "jewellery", "other", "shoes"]
)
"""Categories that do not exclude the kinds above."""
_CATEGORY: Final = re.compile(r"[a-z][a-z' -]{1,28}[a-z]")
_SEPARATORS: Final = re.compile(r"[>/|,;]")


class Claim(NamedTuple):
    """A factor's value that a text states."""

    factor: str
    value: str


@dataclass(frozen=True)
class Lexicon:
    """Spellings of values by factor."""

    spellings: Mapping[str, Claim]

    def claims(self, text: str) -> dict[Claim, list[tuple[int, int]]]:
        """What a text states, and all places where it does; of overlapping spellings the longest counts."""
        found: dict[Claim, list[tuple[int, int]]] = {}
        for match in self._pattern.finditer(text):
            found.setdefault(self.spellings[match.group().lower()], []).append(match.span())
        return found

    def values(self, factor: str) -> list[str]:
        """All values of a factor, by their first spelling, in a fixed order."""
        return list(dict.fromkeys(claim.value for claim in self.spellings.values() if claim.factor == factor))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.spellings, key=lambda spelling: (-len(spelling), spelling))
        return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])", re.IGNORECASE)


def build_lexicon(categories: Iterable[str]) -> Lexicon:
    """The built-in factors, with the table's own categories as further kinds ("BAGS > Handbag" gives "handbag")."""
    spellings = {
        spelling: Claim(factor, value.split("|")[0])
        for factor, values in FACTORS.items()
        for value in values.split(", ")
        for spelling in value.split("|")
    }
    for category in sorted(set(categories)):
        last = " ".join(_SEPARATORS.split(category.lower())[-1].split())
        if _CATEGORY.fullmatch(last) and last not in _GENERAL:
            spellings.setdefault(last, Claim(KIND, last))
    return Lexicon(spellings)


def restated(text: str, places: list[tuple[int, int]], value: str) -> str:
    """The text with another value in all these places, its article and first letter to match."""
    for start, end in sorted(places, reverse=True):
        written = value[0].upper() + value[1:] if text[start].isupper() else value
        before = re.sub(r"\b(a)n?(?= $)", r"\1n" if value[0] in "aeiou" else r"\1", text[:start], flags=re.IGNORECASE)
        text = before + written + text[end:]
    return text
