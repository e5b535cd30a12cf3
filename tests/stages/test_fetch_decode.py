"""What a body is, whether it is whole, and what size it has."""

import struct
import warnings
import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageFile

from nameplate.recipe import ImageSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.pixels.decode import can_read_heic, kind_of, strict_pillow
from nameplate.stages.fetch.pixels.prepare import PreparedImage, prepare_image
from nameplate.stages.fetch.result import LinkFailed

SECTION = ImageSection()


def _picture(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    return Image.linear_gradient("L").resize((width, height)).convert(mode)


def _encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def _png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(bytes(1000))
    chunks = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (header, body))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + struct.pack(">I", 0) + b"IEND" + b"\xaeB`\x82"


def _decoded(data: bytes, section: ImageSection = SECTION) -> PreparedImage | FetchStatus:
    with strict_pillow():
        try:
            return prepare_image(data, section)
        except LinkFailed as failure:
            return failure.status


FORMATS = [
    ("JPEG", "jpg"),
    ("PNG", "png"),
    ("GIF", "gif"),
    ("WEBP", "webp"),
    ("BMP", "bmp"),
    ("TIFF", "tif"),
    ("AVIF", "avif"),
    *([("HEIF", "heic")] if can_read_heic() else []),
]


@pytest.mark.parametrize(("form", "ext"), FORMATS)
def test_each_format_is_known_by_its_bytes(form: str, ext: str) -> None:
    data = _encoded(_picture(), form)
    found = _decoded(data)
    assert isinstance(found, PreparedImage)
    assert (kind_of(data[:512]).ext, found.width, found.height) == (ext, 64, 48)
    assert found.ext == {"gif": "png", "bmp": "png", "tif": "png", "avif": "jpg", "heic": "jpg"}.get(ext, ext)


@pytest.mark.parametrize("form", [form for form, _ in FORMATS if form != "TIFF"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_without_its_end_is_truncated(form: str, share: float) -> None:
    data = _encoded(Image.effect_noise((200, 150), 80).convert("RGB"), form)
    assert _decoded(data[: int(len(data) * share)]) is FetchStatus.TRUNCATED


@pytest.mark.parametrize("form", ["JPEG", "GIF", "BMP"])
def test_a_half_file_is_refused_even_when_the_process_tolerates_half_files(form: str) -> None:
    data = _encoded(_picture(200, 150), form)
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        assert _decoded(data[: len(data) // 2]) is FetchStatus.TRUNCATED
        assert ImageFile.LOAD_TRUNCATED_IMAGES
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def test_damage_inside_a_whole_file_is_a_decode_error() -> None:
    data = bytearray(_encoded(_picture(), "PNG"))
    data[60:80] = bytes(20)
    assert _decoded(bytes(data)) is FetchStatus.DECODE_ERROR


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><html><body>Not found</body></html>",
        b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
        b'{"error": "no such image"}',
        b"BMW is a brand and not a bitmap header at all",
        b"RIFF\0\0\0\0WAVEfmt ",
        bytes(600),
    ],
)
def test_a_body_that_is_no_image_is_not_decoded(data: bytes) -> None:
    assert _decoded(data) is FetchStatus.NOT_AN_IMAGE


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (8_000, 8_000), (12_000, 8_000)])
def test_a_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    assert _decoded(_png_header(width, height)) is FetchStatus.TOO_MANY_PIXELS


def test_a_bomb_warning_does_not_pass_when_the_recipe_allows_more_than_pillow() -> None:
    section = ImageSection(max_pixels=200_000_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert _decoded(_png_header(12_000, 8_000), section) is FetchStatus.TOO_MANY_PIXELS


def test_the_limits_on_size_are_inclusive() -> None:
    data = _encoded(_picture(64, 48), "PNG")
    assert isinstance(_decoded(data, ImageSection(min_side=48, max_pixels=64 * 48)), PreparedImage)
    assert _decoded(data, ImageSection(min_side=49)) is FetchStatus.TOO_SMALL
    assert _decoded(data, ImageSection(max_pixels=64 * 48 - 1)) is FetchStatus.TOO_MANY_PIXELS


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_the_limit_on_shape_is_inclusive_and_the_same_both_ways(form: str) -> None:
    for size in ((640, 32), (32, 640)):
        assert isinstance(_decoded(_encoded(_picture(*size), form)), PreparedImage)
    for size in ((641, 32), (32, 641)):
        assert _decoded(_encoded(_picture(*size), form)) is FetchStatus.BAD_ASPECT


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("colour", ["white", (13, 99, 201)])
def test_one_colour_is_blank(form: str, colour: object) -> None:
    assert _decoded(_encoded(Image.new("RGB", (64, 64), colour), form)) is FetchStatus.BLANK


def test_a_picture_that_cannot_be_seen_is_blank_and_a_silhouette_is_not() -> None:
    unseen = _picture(mode="RGBA")
    unseen.putalpha(0)
    silhouette = Image.new("RGBA", (64, 48), "black")
    silhouette.putalpha(_picture(mode="L"))
    assert _decoded(_encoded(unseen, "PNG")) is FetchStatus.BLANK
    assert isinstance(_decoded(_encoded(silhouette, "PNG")), PreparedImage)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_pixel_mode_is_judged(mode: str) -> None:
    image = Image.new("I;16", (64, 48), 40_000) if mode == "I;16" else _picture(mode=mode)
    image.paste(500 if mode == "I;16" else 0, (0, 0, 20, 20))
    assert isinstance(_decoded(_encoded(image, "PNG")), PreparedImage)
