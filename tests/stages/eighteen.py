"""Small tables in the layouts of the experiment's data sets: their columns and types, our drawings and texts."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image as Picture

from nameplate.stages.ingest.presets.prices import COLUMNS as DBQ_COLUMNS

NUM_ROWS = 14
WORDS = (
    "amber", "birch", "cobalt", "dune", "ember", "fern", "granite", "harbour", "indigo", "juniper", "kelp", "lilac",
    "maple", "nickel",
)  # fmt: skip


def drawing(seed: int, kind: str = "JPEG") -> bytes:
    """A picture of soft blocks; no two seeds look alike, also to a perceptual hash."""
    blocks = Picture.frombytes("RGB", (8, 6), random.Random(seed).randbytes(8 * 6 * 3))
    stream = io.BytesIO()
    blocks.resize((96, 72), Picture.Resampling.BICUBIC).save(stream, kind, quality=92)
    return stream.getvalue()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sentence(number: int) -> str:
    """A caption that passes the rules of `clean`, another one for each number."""
    first, second = WORDS[number % len(WORDS)], WORDS[(number * 5 + 3) % len(WORDS)]
    return f"A soft drawing of {first} blocks on a {second} ground, bright near the upper edge."


class Shop:
    """Serves pictures on loopback and counts what it is asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pictures: dict[str, bytes] = {}

    def put(self, path: str, picture: bytes) -> str:
        """Offer a picture; gives its link."""
        self.pictures[path.partition("?")[0]] = picture
        return f"{self.url}/{path}"


@contextmanager
def open_shop() -> Iterator[Shop]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = shop.pictures.get(self.path.lstrip("/").partition("?")[0])
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    shop = Shop(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class Expected(NamedTuple):
    """What a row must be after `fetch`: the picture it was made with, and what the table says beside it.

    `name` is in capitals.
    """

    picture: str
    name: str = ""
    text: str | None = None
    code: str | None = None


@dataclass
class Table:
    """A fixture: where it is, and what must come of it."""

    source: str
    kept: list[Expected] = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)


Maker = Callable[[Path, Shop], Table]


def _dbq(
    folder: Path, shop: Shop, *, brands: list[str | None], code: Callable[[int], Any], link: str, name: str
) -> Table:
    table = Table(str(folder / f"{name}.parquet"))
    rows: list[dict[str, Any]] = []
    for number in range(NUM_ROWS):
        picture = drawing(number + 100)
        brand = brands[number % len(brands)]
        url = shop.put(link.format(number), picture)
        rows.append(_listing(number, brand=brand, url=url, code=code(number)))
        if brand in (None, "N.A."):
            table.rejected["missing_name"] = table.rejected.get("missing_name", 0) + 1
        else:
            table.kept.append(Expected(sha(picture), str(brand), None, str(code(number))))
    rows.append(_listing(98, brand=next(filter(None, brands)), url="N.A.", code=code(98)))
    table.rejected["missing_image"] = 1
    pq.write_table(pa.Table.from_pylist(rows), table.source)
    return table


def _listing(number: int, *, brand: str | None, url: str, code: Any) -> dict[str, Any]:
    values = {
        "website_name": "Shop", "competence_date": "2023-11-17", "country_code": "USA", "currency_code": "USD",
        "brand": brand, "category1_code": "N.A." if number % 2 else "BAGS", "category2_code": "N.A.",
        "category3_code": "N.A.", "product_code": code, "title": f"Soft bag {number}" if brand else None,
        "itemurl": f"https://shop.example/p/{number}", "imageurl": url, "full_price": 10.5 + number,
        "price": 9.5 + number, "full_price_eur": 10.0 + number, "price_eur": 9.0 + number, "flg_discount": 0,
    }  # fmt: skip
    return {column: values[column] for column in DBQ_COLUMNS}


def bottega(folder: Path, shop: Shop) -> Table:
    return _dbq(
        folder,
        shop,
        brands=["BOTTEGA VENETA"],
        code=lambda n: f"{717600 + n}V01D11019",
        link="b/{0}.jpg?v=3",
        name="bv",
    )


def burberry(folder: Path, shop: Shop) -> Table:
    link = "is/image/Burberryltd/{0:08x}-aaaa-4bbb-8ccc-1234567890ab"
    return _dbq(folder, shop, brands=["BURBERRY"], code=lambda n: 80_000_000 + n, link=link, name="burberry")


def gucci(folder: Path, shop: Shop) -> Table:
    return _dbq(
        folder,
        shop,
        brands=["GUCCI"],
        code=lambda n: f"{600000 + n}UKO0D2535",
        link="g/style_{0}_316x316.jpg",
        name="gucci",
    )


def matches(folder: Path, shop: Shop) -> Table:
    brands: list[str | None] = ["FRAME", "RRL", "GABRIELA HEARST"]
    return _dbq(folder, shop, brands=brands, code=lambda n: 1_500_000 + n, link="product/{0}/1/530.jpg", name="matches")


def mytheresa(folder: Path, shop: Shop) -> Table:
    brands: list[str | None] = ["VELVET", "TOTEME", "VELVET", "TOTEME", None, "VELVET", "N.A."]
    return _dbq(folder, shop, brands=brands, code=lambda n: f"P{n:08d}", link="images/P{0:08d}.jpg", name="mytheresa")


def _linked(folder: Path, shop: Shop, *, image: str, text: str, more: Callable[[int], dict[str, Any]]) -> Table:
    table = Table(str(folder / "train-00000-of-00001.parquet"))
    rows = []
    for number in range(NUM_ROWS):
        picture = drawing(number + 200, "PNG")
        rows.append({image: shop.put(f"web/{number}.png", picture), text: sentence(number), **more(number)})
        table.kept.append(Expected(sha(picture), "", sentence(number)))
    pq.write_table(pa.Table.from_pylist(rows), table.source)
    return table


def conceptual(folder: Path, shop: Shop) -> Table:
    return _linked(folder, shop, image="image_url", text="caption", more=lambda _: {})


def coyo(folder: Path, shop: Shop) -> Table:
    def more(number: int) -> dict[str, Any]:
        scores = ("clip_similarity_vitb32", "clip_similarity_vitl14", "nsfw_score_opennsfw2", "nsfw_score_gantman")
        return {
            "caption_llava_short": f"Soft {WORDS[number]} blocks.",
            "caption": f"{WORDS[number]} drawing",
            "tags_open_images": ["drawing"],
            "tags_booru": ["abstract"],
            "key": f"{number:09d}",
            **dict.fromkeys((*scores, "watermark_score"), 0.25),
        }

    return _linked(folder, shop, image="url", text="caption_llava", more=more)


def humancaption(folder: Path, shop: Shop) -> Table:
    return _linked(folder, shop, image="image_url", text="human_caption", more=lambda _: {})


def pixmo(folder: Path, shop: Shop) -> Table:
    return _linked(folder, shop, image="image_url", text="caption", more=lambda n: {"transcripts": [f"so, {WORDS[n]}"]})


def pokemon(folder: Path, shop: Shop) -> Table:
    table = Table(str(folder / "train.csv"))
    with Path(table.source).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "image_url", "caption", "name", "hp", "set_name"])
        for number in range(NUM_ROWS):
            picture, name = drawing(number + 300, "PNG"), ("Blossail", "Cindrake")[number % 2]
            told = f'A Basic Card of type Grass with the title "{name}" and {30 + number} HP from the set Meadow'
            attack = f'It has the attack "{WORDS[number].title()} Spin" with the cost Grass.'
            raw = f'{told} and the flavor text: "None". {attack}'.replace('"', '""')
            writer.writerow(
                [f"md1-{number}", shop.put(f"md1/{number}_hires.png", picture), raw, name, 30 + number, "Meadow"]
            )
            table.kept.append(Expected(sha(picture), name.upper(), f"{told}. {attack}"))
    return table


def text_to_image(folder: Path, shop: Shop) -> Table:
    table = Table(str(folder / "data_000000.tar"))
    with tarfile.open(table.source, "w") as tar:
        for number in range(NUM_ROWS):
            picture = drawing(number + 400)
            for ending, data in (("jpg", picture), ("json", json.dumps({"prompt": sentence(number)}).encode())):
                member = tarfile.TarInfo(f"data_{number:06d}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            table.kept.append(Expected(sha(picture), "", sentence(number)))
    return table


def _embedded(
    folder: Path, *, text: str, texts: Callable[[int], tuple[str, str]], more: Callable[[int], dict[str, Any]]
) -> Table:
    """Pictures as `datasets` stores them, a struct of bytes and path. `texts`: as a text stands, as it must be read."""
    table = Table(str(folder / "train-00000-of-00001.parquet"))
    rows = []
    for number in range(NUM_ROWS):
        picture = drawing(number + 500)
        raw, read = texts(number)
        # One path for all: a name must never decide which picture is meant.
        rows.append({"image": {"bytes": picture, "path": "image.jpg"}, text: raw, **more(number)})
        table.kept.append(Expected(sha(picture), "", read))
    made = pa.Table.from_pylist(rows)
    pq.write_table(made.replace_schema_metadata(_image_feature(made.schema)), table.source)
    return table


def _image_feature(schema: pa.Schema) -> dict[bytes, bytes]:
    """What `datasets` writes into a Parquet file so that it knows its column `image` again."""
    from datasets import Features, Image

    features = Features.from_arrow_schema(schema)
    return dict(Features({**features, "image": Image()}).arrow_schema.metadata)


def groundcap(folder: Path, shop: Shop) -> Table:
    def texts(number: int) -> tuple[str, str]:
        word = WORDS[number]
        tagged = (
            f'<gdo class="person" person-0 person-1>Two {word} figures</gdo> <gda class="stand" person-0>stand</gda> '
            f'<gdl class="wall" wall-0>beside a wall</gdl>, one of them taller than 3 &lt; 4 blocks.'
        )
        return tagged, f"Two {word} figures stand beside a wall, one of them taller than 3 < 4 blocks."

    def more(number: int) -> dict[str, Any]:
        box = {"x": 0.1, "y": 0.1, "w": 0.5, "h": 0.5}
        detections = [{"id": 0, "label": "person", "score": 0.9, "box": box}]
        return {"id": f"f{number}", "detections": detections, "human_annotated": number % 2 == 0}

    return _embedded(folder, text="caption", texts=texts, more=more)


def _plain(number: int) -> tuple[str, str]:
    return sentence(number), sentence(number)


def amazon(folder: Path, shop: Shop) -> Table:
    def more(number: int) -> dict[str, Any]:
        return {
            "Uniq Id": f"{number:032x}",
            "Product Name": f"{WORDS[number].title()} Playset with {number + 3} Pieces",
            "Category": "Toys & Games | Building Toys",
            "Selling Price": f"${number}.99",
            "About Product": None,
            "Product Specification": "ASIN:B00",
            "Technical Details": None,
        }

    return _embedded(folder, text="description", texts=_plain, more=more)


def captioned(folder: Path, shop: Shop) -> Table:
    return _embedded(folder, text="caption", texts=_plain, more=lambda _: {})


def cool_images(folder: Path, shop: Shop) -> Table:
    return _embedded(folder, text="text", texts=_plain, more=lambda _: {})


def manfaclens(folder: Path, shop: Shop) -> Table:
    table = Table(str(folder / "dataset"))
    images = folder / "dataset" / "images"
    images.mkdir(parents=True)
    with (folder / "dataset" / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file_name", "text"])
        # Listed in another order than the files: the name in the list decides, not the place.
        for number in reversed(range(NUM_ROWS)):
            picture = drawing(number + 600)
            (images / f"part_{number}.jpg").write_bytes(picture)
            writer.writerow([f"images/part_{number}.jpg", sentence(number)])
            table.kept.append(Expected(sha(picture), "", sentence(number)))
    return table


def antzet(folder: Path, shop: Shop) -> Table:
    table = Table(str(folder / "clothes"))
    (folder / "clothes").mkdir()
    lines = []
    for number in range(NUM_ROWS):
        picture, file_name = drawing(number + 700), f"0032T-25X-{number:03d}-1_4 (1).jpg"
        (folder / "clothes" / file_name).write_bytes(picture)
        lines.append(json.dumps({"file_name": file_name, "text": sentence(number)}))
        table.kept.append(Expected(sha(picture), "", sentence(number)))
    (folder / "clothes" / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return table


EIGHTEEN: dict[str, Maker] = {
    "dbq-bottega-us": bottega,
    "dbq-burberry-uae": burberry,
    "dbq-gucci-au": gucci,
    "dbq-matches-fr": matches,
    "dbq-mytheresa-fr": mytheresa,
    "conceptual-captions": conceptual,
    "coyo-hd": coyo,
    "humancaption-hq": humancaption,
    "pixmo-cap": pixmo,
    "pokemon-cards": pokemon,
    "text-to-image-2m": text_to_image,
    "groundcap": groundcap,
    "amazon-vlm": amazon,
    "takara-captions": captioned,
    "appleflair-blip": captioned,
    "cool-images": cool_images,
    "manfaclens": manfaclens,
    "antzet-clothes": antzet,
}
"""By preset."""
