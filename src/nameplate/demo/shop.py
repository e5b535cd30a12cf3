"""The embedded shop: draws its pictures once, and serves them over loopback with the faults of real links."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageDraw
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from nameplate.demo.feed import Fault, Listing, feed_csv, make_listings
from nameplate.demo.render import SIDE, encode_jpeg, render
from nameplate.progress import Progress, SilentProgress, bar
from nameplate.store.files import explaining_disk_errors, write_bytes, write_json, write_text

NUM_LISTINGS: Final = 2400
VERSION: Final = 1
"""Raise it when listings or pictures change: existing shops are then drawn again."""
UNSERVED: Final = "http://127.0.0.1:1"
"""Address in the feed of a shop that has never been served; nothing listens there."""

SLOW_SECONDS: Final = 1.5
TOO_SLOW_SECONDS: Final = 30.0
KEPT_BY_TRUNCATION: Final = 0.6

# These links never show their own picture, so it is not drawn.
_WITHOUT_PICTURE: Final = {Fault.NOT_FOUND, Fault.HTML, Fault.PLACEHOLDER, Fault.TOO_SLOW}
_PLACEHOLDER: Final = "placeholder"
_ERROR_PAGE: Final = "<!doctype html><html><head><title>Oops</title></head><body>This item has moved.</body></html>"


@dataclass(frozen=True)
class Shop:
    """A shop's folder: `feed.csv`, `images/`, `truth.json`, and `shop.json`, which says that all is there."""

    folder: Path
    seed: int
    num_listings: int

    @property
    def feed(self) -> Path:
        """The product table."""
        return self.folder / "feed.csv"

    def write_feed(self, address: str) -> None:
        """Write the feed for a shop that is served at `address`, unless it is already for this address."""
        text = feed_csv(make_listings(seed=self.seed, num_listings=self.num_listings), address=address)
        if not self.feed.exists() or self.feed.read_text(encoding="utf-8") != text:
            write_text(self.feed, text)


def build_shop(
    folder: Path, *, seed: int = 0, num_listings: int = NUM_LISTINGS, progress: Progress | None = None
) -> Shop:
    """Make a shop, or reuse the one in `folder` if it has the same seed, size and version.

    Raises:
        RunDirectoryError: the folder cannot be written or the disk is full.
    """
    shop = Shop(folder, seed, num_listings)
    stamp = {"version": VERSION, "seed": seed, "num_listings": num_listings}
    if _stamp(folder) == stamp:
        return shop
    listings = make_listings(seed=seed, num_listings=num_listings)
    with explaining_disk_errors(folder):
        (folder / "images").mkdir(parents=True, exist_ok=True)
        (folder / "shop.json").unlink(missing_ok=True)
        with bar(progress or SilentProgress(), "draw the shop", len(listings)) as advance:
            hashes = {}
            for listing in listings:
                hashes[listing.listing_id] = _draw(folder, listing)
                advance(1)
        placeholder = _placeholder_jpeg()
        write_bytes(_image_path(folder, _PLACEHOLDER), placeholder)
    write_json(folder / "truth.json", _truth(listings, hashes, placeholder))
    shop.write_feed(UNSERVED)
    write_json(folder / "shop.json", stamp)
    return shop


def open_shop(folder: Path) -> Shop:
    """The shop that was built in `folder`."""
    stamp = _stamp(folder)
    assert stamp is not None, f"no shop in {folder}: build_shop comes first"
    return Shop(folder, stamp["seed"], stamp["num_listings"])


def read_truth(folder: Path) -> dict[str, Any]:
    """`{"placeholder": sha256, "listings": {id: facts}}` as :func:`build_shop` wrote it."""
    tree: dict[str, Any] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    return tree


def shop_app(folder: Path) -> Starlette:
    """The web shop: `/images/ID.jpg`, each with its fault, and `/stats`: requests by path."""
    faults = {key: Fault(facts["fault"]) for key, facts in read_truth(folder)["listings"].items()}
    counts: Counter[str] = Counter()

    async def image(request: Request) -> Response:
        counts[request.url.path] += 1
        listing_id = request.path_params["listing_id"]
        fault = faults.get(listing_id, Fault.NOT_FOUND)
        return await _serve(folder, listing_id, fault, visit=counts[request.url.path], request=request)

    async def stats(request: Request) -> Response:
        return JSONResponse(dict(counts))

    return Starlette(routes=[Route("/images/{listing_id}.jpg", image), Route("/stats", stats)])


async def _serve(folder: Path, listing_id: str, fault: Fault, *, visit: int, request: Request) -> Response:
    if fault is Fault.NOT_FOUND:
        return Response("not found", status_code=404)
    if fault is Fault.HTML:
        return HTMLResponse(_ERROR_PAGE)
    if fault is Fault.FLAKY and visit == 1:
        return Response("try again", status_code=503)
    if fault is Fault.TOO_SLOW:
        await _wait(TOO_SLOW_SECONDS, request)
        return Response("too late", status_code=504)
    if fault is Fault.SLOW and visit == 1:
        await _wait(SLOW_SECONDS, request)
    name = _PLACEHOLDER if fault is Fault.PLACEHOLDER else listing_id
    data = _image_path(folder, name).read_bytes()
    if fault is Fault.TRUNCATED:
        # The length is right for what is sent: only decoding shows that the picture is not whole.
        data = data[: int(len(data) * KEPT_BY_TRUNCATION)]
    return Response(data, media_type="image/jpeg")


async def _wait(seconds: float, request: Request) -> None:
    """Let the visitor wait, but not a visitor who has gone."""
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until and not await request.is_disconnected():
        await asyncio.sleep(0.1)


def _stamp(folder: Path) -> dict[str, Any] | None:
    try:
        tree: dict[str, Any] = json.loads((folder / "shop.json").read_text(encoding="utf-8"))
        return tree
    except (FileNotFoundError, ValueError):
        return None


def _image_path(folder: Path, name: str) -> Path:
    return folder / "images" / f"{name}.jpg"


def _draw(folder: Path, listing: Listing) -> str | None:
    """Draw one picture and return its SHA-256, or None where the link never shows one."""
    if listing.fault in _WITHOUT_PICTURE or not listing.has_image:
        return None
    picture = render(listing.scene, brand=listing.brand, seed=listing.picture_seed)
    data = encode_jpeg(picture, seed=listing.picture_seed)
    # Plain writes: 2,400 fsyncs would take longer than drawing; `shop.json`, written last, vouches for all of them.
    _image_path(folder, listing.listing_id).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _placeholder_jpeg() -> bytes:
    picture = Image.new("RGB", (SIDE, SIDE), (226, 226, 226))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((32, 48, SIDE - 32, SIDE - 48), outline=(150, 150, 150), width=4)
    pen.text((SIDE // 2, SIDE // 2), "no image", fill=(120, 120, 120), anchor="mm")
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _truth(listings: Sequence[Listing], hashes: dict[str, str | None], placeholder: bytes) -> dict[str, Any]:
    facts = {
        listing.listing_id: {
            "sha256": hashes[listing.listing_id],
            "brand": listing.brand,
            "kind": listing.scene.kind,
            "colour": listing.scene.colour,
            "background": listing.scene.background,
            "place": listing.scene.place,
            "product_code": listing.product_code,
            "fault": listing.fault.value,
        }
        for listing in listings
    }
    return {"placeholder": hashlib.sha256(placeholder).hexdigest(), "listings": facts}
