"""DBQ's tables of listings: seventeen columns, images by link, "N.A." where the shop says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nameplate.stages.ingest.presets.base import ImageKind, Meaning, Preset

# As the data sets' viewers show them.
COLUMNS: Final = (
    "website_name", "competence_date", "country_code", "currency_code", "brand", "category1_code", "category2_code",
    "category3_code", "product_code", "title", "itemurl", "imageurl", "full_price", "price", "full_price_eur",
    "price_eur", "flg_discount",
)  # fmt: skip
_MEANINGS: Final[Mapping[Meaning, str]] = {
    "image": "imageurl",
    "name": "brand",
    "title": "title",
    "code": "product_code",
    "category": "category1_code",
    "page": "itemurl",
}


def _dbq(
    name: str,
    *,
    dataset: str = "",
    size: str,
    only_name: str | None = None,
    code_prefix: int | None = None,
    watch_out: tuple[str, ...] = (),
) -> Preset:
    return Preset(
        name=name,
        dataset=dataset,
        image=ImageKind.LINK,
        columns=_MEANINGS,
        others=tuple(column for column in COLUMNS if column not in _MEANINGS.values()),
        signature=frozenset(COLUMNS),
        licence="unknown",
        size=size,
        null_values=("N.A.",),
        only_name=only_name,
        code_prefix=code_prefix,
        watch_out=watch_out,
    )


DBQ: Final = (
    _dbq("dbq", size="any", watch_out=("one product stands in several countries' tables: joined, it leaks",)),
    _dbq(
        "dbq-bottega-us",
        dataset="DBQ/Bottega.Veneta.Product.prices.United.States",
        size="1 to 10 thousand",
        only_name="BOTTEGA VENETA",
        watch_out=(
            "most categories are N.A.",
            "colours of one style differ in the code (717623V01D11019, 717623V2H411019)",
        ),
        code_prefix=6,
    ),
    _dbq(
        "dbq-burberry-uae",
        dataset="DBQ/Burberry.Product.prices.United.Arab.Emirates",
        size="1 to 10 thousand",
        only_name="BURBERRY",
        watch_out=("image links have no file ending",),
    ),
    _dbq(
        "dbq-gucci-au",
        dataset="DBQ/Gucci.Product.prices.Australia",
        size="about 3 thousand",
        only_name="GUCCI",
        code_prefix=6,
        watch_out=(
            "images are 316 x 316",
            "a code is style (6), material (5), colour (4): the first 6 characters are the product",
        ),
    ),
    _dbq(
        "dbq-matches-fr",
        dataset="DBQ/Matches.Fashion.Product.prices.France",
        size="about 44,700",
        watch_out=(
            "the shop closed in June 2024 and its image links are dead: look at a sample before you fetch",
            "every image is called 530.jpg",
            "the names FRAME and RRL are ordinary words",
        ),
    ),
    _dbq(
        "dbq-mytheresa-fr",
        dataset="DBQ/My.Theresa.Product.prices.France",
        size="about 96,500",
        watch_out=("brand and title may be null", "the name VELVET is also a fabric"),
    ),
)
