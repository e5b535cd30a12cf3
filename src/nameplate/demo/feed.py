"""The embedded shop's listings and its feed: 17 columns as the DBQ tables have them, with their usual flaws.

Pure: everything follows from a seed. Pictures are drawn and served by :mod:`nameplate.demo.shop`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES
from nameplate.demo.render import Logo, Scene, load_logos

COLUMNS: Final = (
    "website_name",
    "competence_date",
    "country_code",
    "currency_code",
    "brand",
    "category1_code",
    "category2_code",
    "category3_code",
    "product_code",
    "title",
    "itemurl",
    "imageurl",
    "full_price",
    "price",
    "full_price_eur",
    "price_eur",
    "flg_discount",
)
NULL: Final = "N.A."
"""How these tables write "no value"."""

LONGEST_TO_SHORTEST: Final = 15.0
"""A brand with most listings has so many times those of the one with fewest: 180 to 12 of 2,400."""
TAIL_BEND: Final = 1.0884
"""Above 1 the long tail is a little flatter than geometric; solved so that 36 brands from 180 to 12 make 2,400."""

UPPER_SHARE: Final = 0.15
LOWER_SHARE: Final = 0.03
NO_BRAND_SHARE: Final = 0.003
NO_IMAGE_SHARE: Final = 0.003
DISCOUNT_SHARE: Final = 0.25

_FAMILY: Final = {
    "t-shirt": "CLOTHING",
    "dress": "CLOTHING",
    "jeans": "CLOTHING",
    "coat": "CLOTHING",
    "socks": "CLOTHING",
    "running shoe": "SHOES",
    "handbag": "BAGS",
    "backpack": "BAGS",
    "suitcase": "BAGS",
}
_TITLES: Final = (
    "{colour} {kind}",
    "{kind} in {colour}",
    "{word} {colour} {kind}",
    "{word} {kind}, {colour}",
    "{kind} with logo, {colour}",
)
_WORDS: Final = ("classic", "everyday", "light", "casual", "modern", "city", "travel", "soft")


class Fault(StrEnum):
    """What is wrong with a link. The server shows it; the fetch stage has to find it out."""

    NONE = "none"
    NOT_FOUND = "not_found"
    HTML = "html"
    TRUNCATED = "truncated"
    PLACEHOLDER = "placeholder"
    FLAKY = "flaky"
    SLOW = "slow"
    TOO_SLOW = "too_slow"


# Share of all links, about 8 % together, and the fewest of any shop. `flaky` and `slow` end well; each `too_slow` costs
# a whole timeout a try. Six placeholders: fewer would not look like one to the fetch stage.
_FAULT_SHARES: Final = (
    (Fault.NOT_FOUND, 0.022, 1),
    (Fault.HTML, 0.014, 1),
    (Fault.TRUNCATED, 0.014, 1),
    (Fault.PLACEHOLDER, 0.014, 6),
    (Fault.FLAKY, 0.008, 1),
    (Fault.SLOW, 0.005, 1),
    (Fault.TOO_SLOW, 0.003, 1),
)


@dataclass(frozen=True)
class Listing:
    """One row of the feed and the facts behind it."""

    listing_id: str
    brand: str
    brand_as_written: str
    product: str
    scene: Scene
    title: str
    picture_seed: int
    fault: Fault
    has_image: bool
    price_cents: int
    full_price_cents: int

    @property
    def product_code(self) -> str:
        """Product number, then the colour: variants of one product share the part before the dash."""
        return f"{self.product}-{self.scene.colour.upper()}"


def make_listings(*, seed: int, num_listings: int) -> list[Listing]:
    """All listings of a shop, in the order of its feed, which mixes the brands."""
    rng = random.Random(f"nameplate-shop-{seed}")
    listings: list[Listing] = []
    num_products = 0
    for logo, count in zip(load_logos(), brand_sizes(len(load_logos()), num_listings), strict=True):
        while count > 0:
            num_products += 1
            product = f"{_prefix(logo)}{num_products:04d}"
            kind, variants = rng.choice(KINDS), min(rng.randint(1, 4), count)
            for colour in rng.sample(list(COLOURS), variants):
                scene = Scene(kind, colour, rng.choice(BACKGROUNDS), rng.choice(list(PLACES)))
                listings.append(_listing(logo.title, product, scene, seed=seed, number=len(listings), rng=rng))
            count -= variants
    rng.shuffle(listings)
    return _with_faults(listings, rng)


def brand_sizes(num_brands: int, num_listings: int) -> list[int]:
    """Listings per brand, a long tail that sums to `num_listings`; each brand has at least one."""
    steps = max(1, num_brands - 1)
    weights = [LONGEST_TO_SHORTEST ** -((rank / steps) ** TAIL_BEND) for rank in range(num_brands)]
    sizes = [max(1, round(weight * num_listings / sum(weights))) for weight in weights]
    assert num_listings >= num_brands, f"{num_listings} listings are too few for {num_brands} brands"
    # What rounding left goes to the second, so that the largest stays as round as it is.
    sizes[1] += max(0, num_listings - sum(sizes))
    while sum(sizes) > num_listings:
        sizes[sizes.index(max(sizes))] -= 1
    return sizes


def feed_csv(listings: Sequence[Listing], *, address: str) -> str:
    """The feed as CSV, with links to the shop at `address` (such as `http://127.0.0.1:8001`)."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_feed_row(listing, address) for listing in listings)
    return stream.getvalue()


def _listing(brand: str, product: str, scene: Scene, *, seed: int, number: int, rng: random.Random) -> Listing:
    full_price = rng.randrange(9_00, 400_00, 50)
    discounted = rng.random() < DISCOUNT_SHARE
    title = rng.choice(_TITLES).format(colour=scene.colour, kind=scene.kind, word=rng.choice(_WORDS))
    return Listing(
        listing_id=hashlib.sha256(f"nameplate-listing-{seed}-{number}".encode()).hexdigest()[:16],
        brand=brand,
        brand_as_written=_written(brand, rng),
        product=product,
        scene=scene,
        title=title[0].upper() + title[1:],
        # Numbers of two shops never meet: a picture of one seed is not a picture of the other.
        picture_seed=seed * 1_000_000 + number,
        fault=Fault.NONE,
        has_image=rng.random() >= NO_IMAGE_SHARE,
        full_price_cents=full_price,
        price_cents=round(full_price * 0.8) if discounted else full_price,
    )


def _prefix(logo: Logo) -> str:
    return "".join(c for c in logo.slug.upper() if c.isascii() and c.isalnum())[:3].ljust(3, "X")


def _written(brand: str, rng: random.Random) -> str:
    """The brand as a careless merchant types it."""
    draw = rng.random()
    if draw < NO_BRAND_SHARE:
        return NULL
    draw = rng.random()
    if draw < UPPER_SHARE:
        return brand.upper()
    return brand.lower() if draw < UPPER_SHARE + LOWER_SHARE else brand


def _with_faults(listings: Sequence[Listing], rng: random.Random) -> list[Listing]:
    """Give each fault its share of the links, and at least its fewest, so that a small shop shows them all."""
    faulty = list(listings)
    places = iter(rng.sample(range(len(faulty)), len(faulty)))
    for fault, share, fewest in _FAULT_SHARES:
        for _ in range(max(fewest, round(share * len(faulty)))):
            place = next(places)
            faulty[place] = replace(faulty[place], fault=fault)
    return faulty


def _feed_row(listing: Listing, address: str) -> dict[str, str]:
    price, full_price = f"{listing.price_cents / 100:.2f}", f"{listing.full_price_cents / 100:.2f}"
    return {
        "website_name": "Nameplate Demo Shop",
        "competence_date": "2025-01-15",
        "country_code": "FRA",
        "currency_code": "EUR",
        "brand": listing.brand_as_written,
        "category1_code": _FAMILY.get(listing.scene.kind, "ACCESSORIES"),
        "category2_code": listing.scene.kind.upper(),
        "category3_code": NULL,
        "product_code": listing.product_code,
        "title": listing.title,
        "itemurl": f"{address}/items/{listing.listing_id}",
        "imageurl": f"{address}/images/{listing.listing_id}.jpg" if listing.has_image else NULL,
        "full_price": full_price,
        "price": price,
        "full_price_eur": full_price,
        "price_eur": price,
        "flg_discount": str(int(listing.price_cents < listing.full_price_cents)),
    }
