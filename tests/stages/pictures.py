"""Pictures in every format and form that a table or a shop may hold, made by us."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from . import icc

ORIENTATION, GPS = 0x0112, 0x8825


def scene(width: int = 64, height: int = 48) -> Image.Image:
    """Soft colours with a red patch at the top left, so that turned pictures can be told."""
    across = np.linspace(40, 220, width)[None, :].repeat(height, 0)
    down = np.linspace(40, 220, height)[:, None].repeat(width, 1)
    pixels = np.stack([across * 0.5, down, 200 - across * 0.5], -1).astype(np.uint8)
    pixels[: height // 3, : width // 3] = (230, 20, 20)
    return Image.fromarray(pixels)


def alpha(width: int = 64, height: int = 48) -> Image.Image:
    """Opaque on the left, through on the right."""
    return Image.fromarray(np.linspace(255, 0, width).astype(np.uint8)[None, :].repeat(height, 0))


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def exif(orientation: int, *, place: bool = False) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    if place:
        tags.get_ifd(GPS)[1] = "N"
    return tags.tobytes()


def cut_out() -> Image.Image:
    image = scene().convert("RGBA")
    image.putalpha(alpha())
    return image


def palette(*, hole: bool) -> bytes:
    image = scene().quantize(31)
    return encoded(image, "PNG", transparency=int(image.getpixel((40, 40))) if hole else 255)


def deep_png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel; (H, W, C) uint16, C = 1 to 4. Pillow writes only the grey one."""
    height, width, channels = pixels.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        png_chunk(key, body) for key, body in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    )


def png_chunk(key: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + key + body + struct.pack(">I", zlib.crc32(key + body))


def deep_pixels(channels: int) -> np.ndarray:
    grey = np.asarray(scene().convert("L")).astype(np.uint16) * 257
    return np.stack([grey, grey[::-1], grey[:, ::-1], grey | 0x8000][:channels], -1)


def inks(profile: bytes | None = None, form: str = "JPEG", **options: object) -> bytes:
    return encoded(scene().convert("CMYK"), form, icc_profile=profile, **options)


def plain() -> dict[str, bytes]:
    """Pictures that are kept byte for byte."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    opaque = scene().convert("RGBA")
    return {
        "jpeg": encoded(scene(), "JPEG"),
        "jpeg grey": encoded(scene().convert("L"), "JPEG"),
        "jpeg progressive": encoded(scene(), "JPEG", progressive=True),
        "jpeg with bytes behind": encoded(scene(), "JPEG") + b"trailing bytes" * 9,
        "jpeg upright with a place": encoded(scene(), "JPEG", exif=exif(1, place=True)),
        "jpeg with a second picture": encoded(scene(), "MPO", save_all=True, append_images=[scene(32, 32)]),
        "jpeg sRGB": encoded(scene(), "JPEG", icc_profile=srgb),
        "jpeg sRGB by a table": encoded(scene(), "JPEG", icc_profile=icc.rgb_profile(icc.SRGB, icc.srgb_curve())),
        "jpeg broken profile": encoded(scene(), "JPEG", icc_profile=b"no profile at all" * 20),
        "jpeg grey with a colour profile": encoded(scene().convert("L"), "JPEG", icc_profile=srgb),
        "png": encoded(scene(), "PNG"),
        "png grey": encoded(scene().convert("L"), "PNG"),
        "png one bit": encoded(scene().convert("1"), "PNG"),
        "png palette": encoded(scene().quantize(31), "PNG"),
        "png palette without a hole": palette(hole=False),
        "png alpha that hides nothing": encoded(opaque, "PNG"),
        "png grey alpha that hides nothing": encoded(opaque.convert("LA"), "PNG"),
        "webp": encoded(scene(), "WEBP"),
        "webp lossless": encoded(scene(), "WEBP", lossless=True),
        "webp alpha that hides nothing": encoded(opaque, "WEBP", lossless=True, exact=True),
    }


def frames(form: str, **options: object) -> bytes:
    return encoded(scene(), form, save_all=True, append_images=[scene().rotate(90), scene().rotate(180)], **options)


def changed() -> dict[str, tuple[bytes, list[str]]]:
    """Pictures that are converted, each with what is done to it."""
    p3 = icc.rgb_profile(icc.DISPLAY_P3, icc.srgb_curve())
    adobe = icc.rgb_profile(icc.ADOBE_RGB, 2.19921875)
    cut_grey = scene().convert("LA")
    cut_grey.putalpha(alpha())
    made = {
        "jpeg turned": (encoded(scene(), "JPEG", exif=exif(6)), ["upright"]),
        "png turned": (encoded(scene(), "PNG", exif=exif(3)), ["upright"]),
        "webp turned": (encoded(scene(), "WEBP", exif=exif(5)), ["upright"]),
        "tiff turned": (encoded(scene(), "TIFF", exif=exif(8)), ["upright"]),
        "avif turned": (encoded(scene(), "AVIF", exif=exif(6)), ["upright"]),
        "png 16-bit grey": (deep_png(deep_pixels(1)), ["eight_bit"]),
        "png 16-bit grey cut out": (deep_png(deep_pixels(2)), ["eight_bit", "matted"]),
        "png 16-bit colour": (deep_png(deep_pixels(3)), ["eight_bit"]),
        "png 16-bit cut out": (deep_png(deep_pixels(4)), ["eight_bit", "matted"]),
        "tiff 16-bit grey": (encoded(Image.fromarray(deep_pixels(1)[..., 0]), "TIFF"), ["eight_bit"]),
        "jpeg Display P3": (encoded(scene(), "JPEG", icc_profile=p3), ["srgb"]),
        "png Adobe RGB": (encoded(scene(), "PNG", icc_profile=adobe), ["srgb"]),
        "webp Display P3": (encoded(scene(), "WEBP", icc_profile=p3), ["srgb"]),
        "avif Display P3": (encoded(scene(), "AVIF", icc_profile=p3), ["srgb"]),
        "jpeg grey gamma": (encoded(scene().convert("L"), "JPEG", icc_profile=icc.grey_profile(1.8)), ["srgb"]),
        "png cut out Adobe RGB": (encoded(cut_out(), "PNG", icc_profile=adobe), ["srgb", "matted"]),
        "jpeg inks": (inks(), ["srgb"]),
        "jpeg inks with profile": (inks(icc.ink_profile()), ["srgb"]),
        "jpeg inks with broken profile": (inks(b"broken" * 30), ["srgb"]),
        "tiff inks": (inks(None, "TIFF"), ["srgb"]),
        "tiff inks with profile": (inks(icc.ink_profile(), "TIFF"), ["srgb"]),
        "tiff Lab": (encoded(scene().convert("LAB"), "TIFF"), ["srgb"]),
        "png cut out": (encoded(cut_out(), "PNG"), ["matted"]),
        "png grey cut out": (encoded(cut_grey, "PNG"), ["matted"]),
        "png palette with a hole": (palette(hole=True), ["matted"]),
        "png colour key": (encoded(scene(), "PNG", transparency=(230, 20, 20)), ["matted"]),
        "webp cut out": (encoded(cut_out(), "WEBP"), ["matted"]),
        "webp lossless cut out": (encoded(cut_out(), "WEBP", lossless=True), ["matted"]),
        "avif cut out": (encoded(cut_out(), "AVIF"), ["matted"]),
        "tiff cut out": (encoded(cut_out(), "TIFF"), ["matted"]),
        "gif with a hole": (encoded(Image.open(BytesIO(palette(hole=True))), "GIF"), ["matted"]),
        "gif moving": (frames("GIF"), ["first_frame"]),
        "png moving": (frames("PNG"), ["first_frame"]),
        "webp moving": (frames("WEBP"), ["first_frame"]),
        "avif moving": (frames("AVIF"), ["first_frame"]),
        "tiff pages": (frames("TIFF"), ["first_frame"]),
        "bmp": (encoded(scene(), "BMP"), []),
        "gif": (encoded(scene(), "GIF"), []),
        "tiff": (encoded(scene(), "TIFF"), []),
        "tiff deflate": (encoded(scene(), "TIFF", compression="tiff_deflate"), []),
        "tiff jpeg": (encoded(scene(), "TIFF", compression="jpeg"), []),
        "avif": (encoded(scene(), "AVIF"), []),
    }
    return {name: (data, [*changes, "reencoded"]) for name, (data, changes) in made.items()}


def heic() -> dict[str, tuple[bytes, list[str]]]:
    """Pictures that need pillow-heif to make and to read."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    p3 = icc.rgb_profile(icc.DISPLAY_P3, icc.srgb_curve())
    return {
        "heic": (encoded(scene(), "HEIF"), ["reencoded"]),
        "heic Display P3": (encoded(scene(), "HEIF", icc_profile=p3), ["srgb", "reencoded"]),
        "heic cut out": (encoded(cut_out(), "HEIF"), ["matted", "reencoded"]),
        "heic turned": (encoded(scene(), "HEIF", exif=exif(6)), ["reencoded"]),
        "heic burst": (frames("HEIF"), ["first_frame", "reencoded"]),
    }
