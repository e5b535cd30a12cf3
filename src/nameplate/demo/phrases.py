"""The words of the embedded shop: descriptions of a picture that its maker knows everything of.

Pure functions of a scene's words, the brand's display name and a seed. Every description contains
``"{colour} {kind}"`` and ``"{background} background"`` verbatim, so that what a model says can be checked by eye and
by code, and the brand's name exactly as it was given.
"""

from __future__ import annotations

import random
from typing import Final

_PAIRS: Final = ("jeans", "socks")

_OPENERS: Final = (
    "This is {item} by {brand}.",
    "The picture shows {item} from {brand}.",
    "Here is {item} made by {brand}.",
    "This product is {item} by {brand}.",
    "{brand} offers {item} here.",
    "We see {item} from the brand {brand}.",
)
_MARKS: Final = (
    "The {brand} logo is large and sits in the {place}.",
    "A large {brand} mark is placed in the {place}.",
    "Its {brand} logo can be seen in the {place}.",
    "In the {place} there is a clear {brand} logo.",
)
_SETTINGS: Final = (
    "It is shown against a {background} background.",
    "The photo was taken on a {background} background.",
    "Behind it is a {background} background.",
    "It stands out on a {background} background.",
)
_CLOSERS: Final = (
    "The shape is simple and the lines are clean.",
    "It looks new and well made.",
    "The style is casual and easy to wear.",
    "The surface is smooth and evenly lit.",
    "Nothing else is in the picture.",
    "It would suit everyday use.",
)
_ANONYMOUS_OPENERS: Final = (
    "This is {item}.",
    "The picture shows {item}.",
    "Here is {item}.",
    "We see {item}.",
)
_ANONYMOUS_MARKS: Final = (
    "A large logo sits in the {place}.",
    "A logo can be seen in the {place}.",
)
_SHORT: Final = (
    "{item_start} by {brand} on a {background} background.",
    "{item_start} from {brand} against a {background} background.",
    "{item_start} with a {brand} logo on a {background} background.",
    "Against a {background} background: {item} by {brand}.",
)


def item_phrase(colour: str, kind: str) -> str:
    """The product with its article: ``an orange cap``, ``a pair of blue jeans``."""
    if kind in _PAIRS:
        return f"a pair of {colour} {kind}"
    return f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {kind}"


def place_phrase(place: str) -> str:
    """Where the mark is, to follow ``in the``: ``centre`` or ``upper left corner``."""
    return place if place == "centre" else f"{place} corner"


def detail(*, kind: str, colour: str, background: str, place: str, brand: str, seed: int) -> str:
    """Three or four sentences, 30 to 60 tokens, that name the brand once or twice."""
    rng = random.Random(f"nameplate-detail-{seed}")
    words = {
        "item": item_phrase(colour, kind),
        "brand": brand,
        "background": background,
        "place": place_phrase(place),
    }
    middle = [rng.choice(_MARKS), rng.choice(_SETTINGS)]
    if rng.random() < 0.3:
        middle.reverse()
    sentences = [rng.choice(_OPENERS), *middle]
    if rng.random() < 0.6:
        sentences.append(rng.choice(_CLOSERS))
    return " ".join(sentence.format(**words) for sentence in sentences)


def anonymous(*, kind: str, colour: str, background: str, place: str, seed: int) -> str:
    """The same without any brand: what a teacher says that did not notice it."""
    rng = random.Random(f"nameplate-anonymous-{seed}")
    words = {"item": item_phrase(colour, kind), "background": background, "place": place_phrase(place)}
    slots = (_ANONYMOUS_OPENERS, _ANONYMOUS_MARKS, _SETTINGS, _CLOSERS)
    return " ".join(rng.choice(slot).format(**words) for slot in slots)


def short(*, kind: str, colour: str, background: str, brand: str, seed: int) -> str:
    """One sentence with kind, colour, background and brand."""
    item = item_phrase(colour, kind)
    words = {"item": item, "item_start": item[0].upper() + item[1:], "brand": brand, "background": background}
    return random.Random(f"nameplate-short-{seed}").choice(_SHORT).format(**words)
