"""What a column looks like, and why: rules over its header and its values, the first that holds wins. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from nameplate.stages.ingest.profile import ColumnProfile


class Look(StrEnum):
    """What a column looks like."""

    IMAGE = "image"
    IMAGE_LINK = "image link"
    IMAGE_FILE = "image file"
    LINK = "link"
    NAME = "name"
    CAPTION = "caption"
    TITLE = "title"
    CATEGORY = "category"
    CODE = "code"
    ID = "id"
    PRICE = "price"
    NUMBER = "number"
    DATE = "date"
    NESTED = "nested"
    CONSTANT = "constant"
    EMPTY = "empty"
    FLAG = "flag"
    REPEATING = "repeating"
    TEXT = "text"


class Finding(NamedTuple):
    """What a column looks like, and the reason in a few words."""

    look: Look
    why: str


MOSTLY: Final = 0.9
LONG_WORDS: Final = 8
"""So many words on average make a text a caption rather than a title."""

_HEADERS: Final = {
    Look.IMAGE_LINK: "image img photo picture pic thumbnail thumb imageurl imgurl",
    Look.NAME: (
        "brand brands maker manufacturer designer label artist author painter photographer species genus breed make "
        "vendor marque name"
    ),
    Look.CAPTION: "caption captions text description desc prompt summary about alt alttext",
    Look.TITLE: "title headline productname",
    Look.CATEGORY: "category categories type class department dept gender section group set subcategory",
    Look.CODE: "code sku asin ref reference style mpn ean upc gtin barcode article model",
    Look.ID: "id uid uuid guid uniq identifier",
    Look.PRICE: "price cost amount msrp rrp saleprice",
}
_WORDS: Final = {look: frozenset(words.split()) for look, words in _HEADERS.items()}
_FLAGS: Final = frozenset({"true", "false", "yes", "no", "y", "n", "t", "f"})
_TOKEN = re.compile(r"[A-Za-z0-9._/\\:-]+$")


def hinted(header: str, look: Look) -> bool:
    """Whether a header says it, by one of its words: "productName" and "Product Name" have two, "imageurl" one."""
    words = [word for word in re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header).lower()) if word]
    return any(word.rstrip("0123456789") in _WORDS[look] for word in (*words, "".join(words)))


def look_at(profile: ColumnProfile) -> Finding:
    """What a column looks like."""
    for rule in _RULES:
        finding = rule(profile)
        if finding is not None:
            return finding
    return Finding(Look.TEXT, "text")


def _images(p: ColumnProfile) -> Finding | None:
    return Finding(Look.IMAGE, "holds the images themselves") if p.holds_images else None


def _empty(p: ColumnProfile) -> Finding | None:
    if p.values:
        return None
    return Finding(Look.EMPTY, f"only {', '.join(p.nulls)}" if p.nulls else "no value in any row")


def _links(p: ColumnProfile) -> Finding | None:
    if p.links < MOSTLY:
        return None
    if p.image_endings >= 0.5:
        return Finding(Look.IMAGE_LINK, "links that end as image files do")
    if hinted(p.name, Look.IMAGE_LINK):
        return Finding(Look.IMAGE_LINK, f"links, under the header '{p.name}'")
    return Finding(Look.LINK, "web links")


def _files(p: ColumnProfile) -> Finding | None:
    is_file = p.image_endings >= MOSTLY and p.links == 0
    return Finding(Look.IMAGE_FILE, "paths that end as image files do") if is_file else None


def _nested(p: ColumnProfile) -> Finding | None:
    return Finding(Look.NESTED, "lists or objects") if p.nested >= MOSTLY else None


def _dates(p: ColumnProfile) -> Finding | None:
    return Finding(Look.DATE, "dates") if p.dates >= MOSTLY else None


def _prices(p: ColumnProfile) -> Finding | None:
    if p.money >= MOSTLY:
        return Finding(Look.PRICE, "amounts with a currency")
    if hinted(p.name, Look.PRICE) and p.numbers >= MOSTLY:
        return Finding(Look.PRICE, "numbers, under the header of a price")
    return None


def _ids(p: ColumnProfile) -> Finding | None:
    unique = p.distinct == len(p.values) == p.num_rows > 1
    if unique and hinted(p.name, Look.ID) and p.spaced == 0:
        return Finding(Look.ID, "different in every row")
    return None


def _codes(p: ColumnProfile) -> Finding | None:
    tokens = all(_TOKEN.match(value) for value in p.values) and any(c.isdigit() for value in p.values for c in value)
    if not (tokens and hinted(p.name, Look.CODE)) or _repeats(p) >= 10:
        return None
    return Finding(Look.CODE, "letters and digits without spaces, under the header of a code")


def _numbers(p: ColumnProfile) -> Finding | None:
    return Finding(Look.NUMBER, "numbers") if p.numbers >= MOSTLY else None


def _flags(p: ColumnProfile) -> Finding | None:
    is_flag = p.values and {value.lower() for value in p.values} <= _FLAGS
    return Finding(Look.FLAG, "yes or no") if is_flag else None


def _names(p: ColumnProfile) -> Finding | None:
    # A header that says "name" of something ("website_name", "set_name") says it of that thing, not of the row.
    if hinted(p.name, Look.CATEGORY) or not hinted(p.name, Look.NAME) or p.mean_words > 5:
        return None
    own = [word for word in re.split(r"[^a-z]+", p.name.lower()) if word]
    if "name" in own and len(own) > 1 and not set(own) & (_WORDS[Look.NAME] - {"name"}):
        return None
    said = f"the header '{p.name}'"
    if p.distinct == 1:
        return Finding(Look.NAME, f"{said}, but one name in all rows")
    if _repeats(p) >= 1.5 or p.num_rows < 20:
        return Finding(Look.NAME, f"{said}, {p.distinct} names, each {_repeats(p):.0f} times")
    return Finding(Look.TITLE, f"{said}, but hardly any repeats")


def _constants(p: ColumnProfile) -> Finding | None:
    return Finding(Look.CONSTANT, "the same in every row") if p.distinct == 1 and p.num_rows > 1 else None


def _captions(p: ColumnProfile) -> Finding | None:
    if p.mean_words >= LONG_WORDS and _repeats(p) < 3:
        return Finding(Look.CAPTION, f"long text, {p.mean_words:.0f} words on average")
    if hinted(p.name, Look.CAPTION) and p.mean_words >= 2:
        return Finding(Look.CAPTION, f"text, {p.mean_words:.0f} words on average, under the header of a caption")
    return None


def _categories(p: ColumnProfile) -> Finding | None:
    if hinted(p.name, Look.CATEGORY) and (_repeats(p) >= 1.5 or p.num_rows < 20):
        return Finding(Look.CATEGORY, f"{p.distinct} values, under the header of a category")
    return None


def _titles(p: ColumnProfile) -> Finding | None:
    if p.mean_words >= 1.5 and _repeats(p) < 3 and (hinted(p.name, Look.TITLE) or _is_named(p)):
        return Finding(Look.TITLE, f"short text, {p.mean_words:.0f} words on average")
    return None


def _repeating(p: ColumnProfile) -> Finding | None:
    if p.mean_words <= 4 and _repeats(p) >= 3 and p.distinct > 1:
        return Finding(Look.REPEATING, f"short text that repeats, {p.distinct} values: perhaps names")
    return None


_RULES: Final[Sequence[Callable[[ColumnProfile], Finding | None]]] = (
    _images, _empty, _links, _files, _nested, _dates, _prices, _ids, _codes, _flags, _names, _numbers, _constants,
    _captions, _categories, _titles, _repeating,
)  # fmt: skip


def _is_named(p: ColumnProfile) -> bool:
    return p.name.lower().endswith("name")


def _repeats(p: ColumnProfile) -> float:
    return len(p.values) / p.distinct if p.distinct else 0.0
