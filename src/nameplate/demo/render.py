"""Renders the embedded shop's product pictures: a recoloured drawing, a background and a large brand mark.

Everything follows from the arguments and the seed, so the same listing has the same bytes on every run of one
machine kind. SVG is rasterised once a process (resvg) and cached; a picture is then composed in 2 to 4 ms.
"""

from __future__ import annotations

import io
import json
import math
import random
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from nameplate.demo.palette import COLOURS, PLACES, Rgb

SIDE: Final = 192
"""Width and height of a product picture, in pixels."""
MARK_SIDE: Final = 128
"""Width and height of a rasterised mark, in pixels."""
MARK_INNER: Final = 112
"""Longer side of the mark's ink inside its raster; the rest is room for the halo."""
HALO_PIXELS: Final = 9
"""Diameter of the contrasting outline around a mark that has no plate, in mark pixels."""

SIZE_RANGE: Final = (0.46, 0.62)
MAX_ROTATION_DEGREES: Final = 12.0
MAX_SHEAR: Final = 0.06
MAX_STRETCH: Final = 0.06
PLACE_JITTER: Final = 0.03
PLATE_CHANCE: Final = 0.7
PLATE_SCALE: Final = 1.12
OCCLUDER_CHANCE: Final = 0.12
MIN_CONTRAST: Final = 2.6

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Logo:
    """One brand's mark: title as it is written, slug, colour as RRGGBB and the path of its 24x24 drawing."""

    title: str
    slug: str
    hex: str
    path: str

    @property
    def rgb(self) -> Rgb:
        """The brand's colour."""
        return int(self.hex[0:2], 16), int(self.hex[2:4], 16), int(self.hex[4:6], 16)


@dataclass(frozen=True)
class Scene:
    """What a picture shows, in the words of :mod:`nameplate.demo.palette`."""

    kind: str
    colour: str
    background: str
    place: str


@dataclass(frozen=True)
class Pose:
    """Where and how a mark lies: centre and side as fractions of the picture, angle in radians."""

    x: float
    y: float
    side: float
    angle: float
    shear: float
    stretch: float

    def inverse_affine(self, scale: float = 1.0) -> tuple[float, ...]:
        """PIL's affine coefficients from picture pixels to mark pixels, for a tile ``scale`` times the mark's."""
        reach = MARK_SIDE / (self.side * SIDE * scale * MARK_SIDE / MARK_INNER)
        cos, sin = math.cos(self.angle) * reach, math.sin(self.angle) * reach
        a, b = cos * self.stretch, sin * self.stretch
        d, e = -sin + self.shear * cos, cos + self.shear * sin
        x, y = self.x * SIDE, self.y * SIDE
        half = MARK_SIDE / 2
        return a, b, half - a * x - b * y, d, e, half - d * x - e * y


@cache
def _asset(name: str) -> Any:
    return json.loads(files("nameplate.demo").joinpath("assets", name).read_text(encoding="utf-8"))


@cache
def load_logos() -> tuple[Logo, ...]:
    """The 36 brands of the shop, in the order of the vendored file."""
    return tuple(Logo(**entry) for entry in _asset("logos.json")["logos"])


def logo_titled(title: str) -> Logo:
    """The shop's logo with this display name."""
    return next(logo for logo in load_logos() if logo.title == title)


def _rasterise(svg: str, side: int) -> Image.Image:
    data = resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side)
    return Image.open(io.BytesIO(bytes(data))).convert("RGBA")


def rasterise_mark(path: str) -> Image.Image:
    """The ink of a 24x24 path as an "L" picture of MARK_SIDE, cropped, centred and scaled to MARK_INNER."""
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="{path}"/></svg>'
    ink = _rasterise(svg, 2 * MARK_SIDE).getchannel("A")
    ink = ink.crop(ink.getbbox())
    scale = MARK_INNER / max(ink.size)
    size = max(1, round(ink.width * scale)), max(1, round(ink.height * scale))
    mark = Image.new("L", (MARK_SIDE, MARK_SIDE))
    mark.paste(ink.resize(size, Image.Resampling.LANCZOS), ((MARK_SIDE - size[0]) // 2, (MARK_SIDE - size[1]) // 2))
    return mark


@lru_cache(maxsize=4096)
def _mark_and_halo(path: str) -> tuple[Image.Image, Image.Image]:
    mark = rasterise_mark(path)
    return mark, mark.filter(ImageFilter.MaxFilter(HALO_PIXELS))


@cache
def _plate() -> Image.Image:
    """A rounded square that fills its MARK_SIDE tile."""
    # A little inside the tile, so that a turned plate keeps smooth edges.
    rectangle = '<rect x=".3" y=".3" width="23.4" height="23.4" rx="4"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">{rectangle}</svg>'
    return _rasterise(svg, MARK_SIDE).getchannel("A")


@cache
def _drawing(kind: str) -> tuple[Pixels, Image.Image]:
    """Brightness (SIDE, SIDE) relative to the drawing's own middle, and its alpha."""
    entry = next(e for e in _asset("drawings.json")["drawings"] if e["kind"] == kind)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {entry["size"]} {entry["size"]}">{entry["body"]}</svg>'
    )
    rgba = _rasterise(svg, SIDE)
    grey = np.asarray(rgba.convert("L"), np.float32)
    alpha = rgba.getchannel("A")
    middle = float(np.median(grey[np.asarray(alpha) > 200]))
    return np.clip(grey / middle, 0.35, 1.6).astype(np.float32), alpha


@cache
def _product(kind: str, colour: str) -> Image.Image:
    """The drawing of a kind in a colour, RGBA, SIDE wide. Dark and light shades stay visible on black and white."""
    relative, alpha = _drawing(kind)
    base = np.array(COLOURS[colour], np.float32)
    shade = np.where(relative < 1, relative, 1.0)[..., None]
    shine = np.clip(relative - 1, 0, 0.6)[..., None]
    rgb = base * shade + (255 - base) * shine * 0.8
    image = Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8), "RGB")
    image.putalpha(alpha)
    return image


@cache
def _grid() -> tuple[Pixels, Pixels]:
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    return x, y


def _blend(low: Rgb, high: Rgb, weight: Pixels) -> Pixels:
    """(SIDE, SIDE, 3) from ``low`` where weight is 0 to ``high`` where it is 1."""
    first, second = np.array(low, np.float32), np.array(high, np.float32)
    return first + (second - first) * weight[..., None]


@lru_cache(maxsize=256)
def _background(name: str, variant: int) -> Pixels:
    """(SIDE, SIDE, 3) pixels of a named background; ``variant`` 0 to 15 shifts its pattern."""
    x, y = _grid()
    shift, tilt = variant / 16, (variant % 4 - 1.5) * 0.1
    if name == "plain white":
        return _blend((250, 250, 250), (238, 238, 240), y)
    if name == "plain grey":
        return _blend((176, 178, 182), (150, 152, 158), y)
    if name == "sky blue":
        return _blend((120, 184, 240), (214, 236, 252), y + tilt * (x - 0.5))
    if name == "sunset":
        return _blend((250, 190, 110), (196, 96, 150), np.clip(y + tilt * (x - 0.5), 0, 1))
    if name == "wooden":
        grain = np.sin(60 * y + 4 * np.sin(5 * x + 6 * shift) + 20 * shift) * 0.5 + 0.5
        return _blend((172, 122, 76), (206, 158, 108), grain * 0.8 + 0.2 * ((y * 4 + shift) % 1 > 0.06))
    if name == "striped":
        return _blend((232, 226, 212), (150, 178, 190), (((x + tilt * y) * 8 + shift) % 1 > 0.5).astype(np.float32))
    if name == "checked":
        cells = ((x * 6 + shift) // 1 + (y * 6 + shift) // 1) % 2
        return _blend((236, 236, 232), (184, 200, 176), cells)
    assert name == "dotted", name
    distance = np.hypot((x * 9 + shift) % 1 - 0.5, (y * 9) % 1 - 0.5)
    return _blend((216, 160, 170), (246, 238, 230), np.clip((distance - 0.24) * 18, 0, 1))


def _luminance(rgb: Rgb) -> float:
    red, green, blue = (math.pow(c / 255, 2.2) for c in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: Rgb, second: Rgb) -> float:
    """Contrast ratio of two colours, 1 (none) to 21, as WCAG defines it."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


WHITE: Final[Rgb] = (250, 250, 250)
INK: Final[Rgb] = (24, 24, 28)


def mark_colours(brand: Rgb, plate: Rgb) -> Rgb:
    """The mark's colour on a plate: the brand's own when it can be seen, else black or white."""
    if contrast(brand, plate) >= MIN_CONTRAST:
        return brand
    return max((WHITE, INK), key=lambda tone: contrast(tone, plate))


def _sample_pose(place: str, rng: random.Random) -> Pose:
    centre = PLACES[place]
    side = rng.uniform(*SIZE_RANGE)
    # Large marks move towards the middle, so that a plate is never cut by the frame by more than a sliver.
    reach = max(0.0, 0.53 - side * PLATE_SCALE / 2)
    x = 0.5 + max(-reach, min(reach, centre.x - 0.5 + rng.uniform(-PLACE_JITTER, PLACE_JITTER)))
    y = 0.5 + max(-reach, min(reach, centre.y - 0.5 + rng.uniform(-PLACE_JITTER, PLACE_JITTER)))
    return Pose(
        x=x,
        y=y,
        side=side,
        angle=math.radians(rng.uniform(-MAX_ROTATION_DEGREES, MAX_ROTATION_DEGREES)),
        shear=rng.uniform(-MAX_SHEAR, MAX_SHEAR),
        stretch=1 + rng.uniform(-MAX_STRETCH, MAX_STRETCH),
    )


def _warp(tile: Image.Image, pose: Pose, scale: float = 1.0) -> Image.Image:
    return tile.transform(
        (SIDE, SIDE), Image.Transform.AFFINE, pose.inverse_affine(scale), resample=Image.Resampling.BILINEAR
    )


def _paint_mark(canvas: Image.Image, logo: Logo, pose: Pose, product: Rgb, rng: random.Random) -> None:
    mark, halo = _mark_and_halo(logo.path)
    if rng.random() < PLATE_CHANCE:
        plate = rng.choice((WHITE, WHITE, INK, logo.rgb))
        canvas.paste(plate, mask=_warp(_plate(), pose, PLATE_SCALE * MARK_INNER / MARK_SIDE))
        colour = mark_colours(logo.rgb, plate)
    else:
        colour = mark_colours(logo.rgb, product)
        outline = max((WHITE, INK), key=lambda tone: contrast(tone, colour))
        canvas.paste(outline, mask=_warp(halo, pose))
    canvas.paste(colour, mask=_warp(mark, pose))


def _paint_occluder(canvas: Image.Image, pose: Pose, rng: random.Random) -> None:
    """A slip of paper over one side of the mark, about a fifth of it."""
    tone = rng.choice(((226, 214, 190), (190, 196, 204), (120, 116, 112)))
    edge, side = rng.uniform(0.30, 0.38), rng.choice((-1, 1))
    along = rng.random() < 0.5
    dx, dy = (side * pose.side * (edge + 0.14), 0.0) if along else (0.0, side * pose.side * (edge + 0.14))
    width, height = (0.28, 0.8) if along else (0.8, 0.28)
    box = (
        round((pose.x + dx - pose.side * width / 2) * SIDE),
        round((pose.y + dy - pose.side * height / 2) * SIDE),
        round((pose.x + dx + pose.side * width / 2) * SIDE),
        round((pose.y + dy + pose.side * height / 2) * SIDE),
    )
    canvas.paste(tone, box)


def _light(canvas: Image.Image, rng: random.Random) -> Image.Image:
    """Uneven lighting: a linear falloff across the picture and an overall gain."""
    x, y = _grid()
    angle, strength, gain = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.22), rng.uniform(0.86, 1.06)
    light = gain * (1 + strength * ((x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle)))
    lit = np.asarray(canvas, np.float32) * light[..., None]
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8), "RGB")


def compose(scene: Scene, *, logo: Logo | None, seed: int) -> Image.Image:
    """One picture: (SIDE, SIDE) RGB. ``logo`` None leaves the mark out (used to train the starter model's eyes)."""
    rng = random.Random(f"nameplate-picture-{seed}")
    background = _background(scene.background, rng.randrange(16))
    canvas = Image.fromarray(np.clip(background, 0, 255).astype(np.uint8), "RGB")
    scale = rng.uniform(0.86, 1.0)
    product = _product(scene.kind, scene.colour).resize((round(SIDE * scale),) * 2, Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        product = product.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    room = SIDE - product.width
    canvas.paste(product, (rng.randint(0, room), rng.randint(0, room)), product)
    # The light is drawn from here on with or without a mark, so that both pictures differ by the mark alone.
    light = random.Random()
    light.setstate(rng.getstate())
    if logo is not None:
        pose = _sample_pose(scene.place, rng)
        _paint_mark(canvas, logo, pose, COLOURS[scene.colour], rng)
        if rng.random() < OCCLUDER_CHANCE:
            _paint_occluder(canvas, pose, rng)
    return _light(canvas, light)


def render(scene: Scene, *, brand: str, seed: int) -> Image.Image:
    """The picture of one listing of a shop brand (display name): (SIDE, SIDE) RGB, the same for the same arguments."""
    return compose(scene, logo=logo_titled(brand), seed=seed)


def encode_jpeg(image: Image.Image, *, seed: int) -> bytes:
    """JPEG bytes at a quality of 60 to 95 that follows from the seed."""
    quality = random.Random(f"nameplate-jpeg-{seed}").randint(60, 95)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
