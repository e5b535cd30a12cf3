"""What is sent of an image: its pixels and nothing else, the same bytes each time, smaller only by policy."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, PngImagePlugin

from nameplate.stages.caption.pictures import how_to_send, policy, without_metadata

SECRET = b"52.5200 N 13.4050 E"
KINDS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}


def photo(width: int = 90, height: int = 60) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F] = SECRET.decode()
    tags.get_ifd(0x8825)[1] = "N"
    return tags


def saved(image: Image.Image, ext: str, **how: object) -> bytes:
    stream = BytesIO()
    image.save(stream, KINDS[ext], **how)
    return stream.getvalue()


def with_secrets(ext: str) -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    how: dict[str, object] = {"exif": exif(), "icc_profile": profile}
    if ext == "jpg":
        how |= {"comment": SECRET, "xmp": SECRET, "quality": 88, "progressive": True}
    if ext == "png":
        info = PngImagePlugin.PngInfo()
        info.add_text("Where", SECRET.decode())
        info.add_itxt("XML:com.adobe.xmp", SECRET.decode(), zip=False)
        how |= {"pnginfo": info}
    if ext == "webp":
        how |= {"xmp": SECRET, "lossless": True}
    return saved(photo(), ext, **how)


def pixels(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        image.load()
        return image.convert("RGB")


@pytest.mark.parametrize("ext", KINDS)
def test_metadata_stays_at_home_and_pixels_do_not_change(ext: str) -> None:
    kept = with_secrets(ext)
    assert SECRET in kept
    sent = without_metadata(kept, ext)
    assert SECRET not in sent and b"Exif" not in sent and b"EXIF" not in sent
    assert ImageChops.difference(pixels(kept), pixels(sent)).getbbox() is None
    with Image.open(BytesIO(sent)) as image:
        assert dict(image.getexif()) == {} and "icc_profile" in image.info
    assert without_metadata(sent, ext) == sent


@pytest.mark.parametrize("ext", KINDS)
def test_file_without_metadata_is_sent_byte_for_byte(ext: str) -> None:
    plain = saved(photo(), ext)
    assert how_to_send(ext=ext, width=90, height=60, longest_side=90).prepare(plain) == plain


def test_second_picture_behind_a_phones_jpeg_is_not_sent() -> None:
    first, second = saved(photo(), "jpg"), saved(photo(30, 20), "jpg", exif=exif())
    assert without_metadata(first + second, "jpg") == first


def test_colours_of_an_adobe_jpeg_stay_right() -> None:
    # Only its APP14 segment says that the channels of this file are RGB: without it they would be read as YCbCr.
    rgb = bytearray(saved(photo(), "jpg", quality=95, keep_rgb=True))
    assert b"Adobe" in rgb
    for place in range(3):
        for start, first, step in ((rgb.index(b"\xff\xc0"), 10, 3), (rgb.index(b"\xff\xda"), 5, 2)):
            rgb[start + first + place * step] = place + 1
    sent = without_metadata(bytes(rgb), "jpg")
    assert ImageChops.difference(photo(), pixels(sent)).convert("L").getextrema()[1] < 40
    assert ImageChops.difference(pixels(bytes(rgb)), pixels(sent)).getbbox() is None


@pytest.mark.parametrize(("ext", "media_type"), [("jpg", "image/jpeg"), ("png", "image/png"), ("webp", "image/jpeg")])
def test_larger_images_are_made_smaller_and_lose_their_metadata(ext: str, media_type: str) -> None:
    sending = how_to_send(ext=ext, width=90, height=60, longest_side=45)
    sent = sending.prepare(with_secrets(ext))
    assert sending.media_type == media_type and SECRET not in sent
    with Image.open(BytesIO(sent)) as image:
        assert image.size == (45, 30) and Image.MIME[str(image.format)] == media_type
        assert "exif" not in image.info and "icc_profile" not in image.info
    assert sending.prepare(with_secrets(ext)) == sent


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_every_kept_mode_can_be_made_smaller(mode: str) -> None:
    sent = how_to_send(ext="png", width=90, height=60, longest_side=45).prepare(saved(photo().convert(mode), "png"))
    assert pixels(sent).size == (45, 30)


def test_unknown_size_and_no_policy_send_the_image_as_it_is() -> None:
    assert how_to_send(ext="jpg", width=0, height=0, longest_side=45).size is None
    assert how_to_send(ext="jpg", width=9000, height=1, longest_side=None).size is None
    assert how_to_send(ext="jpg", width=9000, height=1, longest_side=100).size == (100, 1)
    assert policy(None) != policy(1024)


@given(st.sampled_from(sorted(KINDS)), st.binary(max_size=200), st.integers(0, 400))
def test_damaged_files_end_in_some_bytes_and_not_in_a_crash(ext: str, noise: bytes, place: int) -> None:
    plain = saved(photo(8, 8), ext)
    without_metadata(plain[:place] + noise + plain[place:], ext)
    without_metadata(plain[:place], ext)
