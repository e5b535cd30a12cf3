"""Composes training pictures in batches: the shop renderer's marks on ready-made products, at the model's own size.

A mark here follows the same ranges as :mod:`nameplate.demo.render`, drawn by torch for a whole batch at once, so that
no picture is seen twice and none has to be stored. ``ease`` 1 makes marks upright, central and plated; 0 is the shop.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from nameplate.demo import render as shop
from nameplate.demo.palette import BACKGROUNDS, COLOURS, KINDS, PLACES
from starter.logos import LogoBank
from starter.settings import GRID, IMAGE_MEAN, IMAGE_SIDE, IMAGE_STD, NUM_BASES

COLOUR_NAMES = tuple(COLOURS)
PLACE_NAMES = tuple(PLACES)
# Plates a mark can lie on: white, ink, its own colour, then (without a plate) each product colour.
NUM_PLATES = 3


@dataclass(frozen=True)
class Bases:
    """Pictures without marks: pixels (P, 3, S, S) uint8, and class numbers (P, 3) of kind, colour, background."""

    pixels: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Batch:
    """Composed pictures and all that is known about them.

    pixels (B, 3, S, S) normalised; logo (B,); labels (B, 4) kind, colour, background, place;
    patches (B, G*G, 4): the logo's own coordinates u, v at the patch, whether it lies on the mark's tile, ink share.
    """

    pixels: Tensor
    logo: Tensor
    labels: Tensor
    patches: Tensor


def make_bases(cache: Path) -> Bases:
    """Render (or reload) the products without marks: about 3 ms each."""
    target = cache / "bases.pt"
    if target.exists():
        saved = torch.load(target, weights_only=True)
        return Bases(saved["pixels"], saved["labels"])
    rng = random.Random(0)
    pixels = np.zeros((NUM_BASES, IMAGE_SIDE, IMAGE_SIDE, 3), np.uint8)
    labels = torch.zeros(NUM_BASES, 3, dtype=torch.long)
    for row in range(NUM_BASES):
        pick = [rng.randrange(len(names)) for names in (KINDS, COLOUR_NAMES, BACKGROUNDS)]
        labels[row] = torch.tensor(pick)
        scene = shop.Scene(KINDS[pick[0]], COLOUR_NAMES[pick[1]], BACKGROUNDS[pick[2]], PLACE_NAMES[0])
        image = shop.compose(scene, logo=None, seed=1_000_000 + row)
        pixels[row] = np.asarray(image.resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BICUBIC))
    bases = Bases(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels)
    cache.mkdir(parents=True, exist_ok=True)
    torch.save({"pixels": bases.pixels, "labels": bases.labels}, target)
    return bases


def normalise(pixels: Tensor) -> Tensor:
    """(B, 3, S, S) 0..1 to the model's input range."""
    mean, std = torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1), torch.tensor(IMAGE_STD).view(1, 3, 1, 1)
    return (pixels - mean) / std


def colour_tables(bank: LogoBank) -> tuple[Tensor, Tensor]:
    """Per logo and plate: plate colour or halo (N, 14, 3), mark colour (N, 14, 3), both 0..1."""
    under, over = [], []
    for logo in bank.logos:
        plates = [shop.WHITE, shop.INK, logo.rgb]
        marks = [shop.mark_colours(logo.rgb, plate) for plate in (*plates, *COLOURS.values())]
        halos = [max((shop.WHITE, shop.INK), key=lambda t: shop.contrast(t, m)) for m in marks[NUM_PLATES:]]
        under.append([*plates, *halos])
        over.append(marks)
    return torch.tensor(under) / 255, torch.tensor(over) / 255


class Composer:
    """Endless batches of marks on products; the same for the same seed."""

    def __init__(self, bank: LogoBank, bases: Bases, seed: int) -> None:
        self.bank, self.bases = bank, bases
        self.under, self.over = colour_tables(bank)
        self.generator = torch.Generator().manual_seed(seed)
        self.order = torch.empty(0, dtype=torch.long)
        axis = (torch.arange(IMAGE_SIDE) + 0.5) / IMAGE_SIDE
        self.y, self.x = torch.meshgrid(axis, axis, indexing="ij")
        self.places = torch.tensor([tuple(PLACES[name]) for name in PLACE_NAMES])

    def _uniform(self, count: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, generator=self.generator)

    def _next_logos(self, count: int) -> Tensor:
        """Each logo once per pass, in a new order each pass."""
        while len(self.order) < count:
            fresh = torch.randperm(len(self.bank.logos), generator=self.generator)
            self.order = torch.cat([self.order, fresh])
        chosen, self.order = self.order[:count], self.order[count:]
        return chosen

    def _mark_frame(self, count: int, place: Tensor, ease: float) -> tuple[Tensor, Tensor, Tensor]:
        """The marks' own coordinates at every pixel, u and v (B, S, S), -1..1 over the ink, and the side (B, 1, 1)."""
        hard = 1 - ease
        low, high = shop.SIZE_RANGE
        side = self._uniform(count, low + 0.7 * ease * (high - low), high)
        reach = (0.53 - side * shop.PLATE_SCALE / 2).clamp_min(0)
        centre = self.places[place].view(count, 2, 1, 1) - 0.5
        jitter = shop.PLACE_JITTER
        x0 = 0.5 + (hard * centre[:, 0] + self._uniform(count, -jitter, jitter)).clamp(-reach, reach)
        y0 = 0.5 + (hard * centre[:, 1] + self._uniform(count, -jitter, jitter)).clamp(-reach, reach)
        turn = math.radians(shop.MAX_ROTATION_DEGREES) * hard
        angle = self._uniform(count, -turn, turn)
        stretch = 1 + self._uniform(count, -shop.MAX_STRETCH, shop.MAX_STRETCH)
        shear = self._uniform(count, -shop.MAX_SHEAR, shop.MAX_SHEAR)
        dx, dy = (self.x - x0) * 2 / side, (self.y - y0) * 2 / side
        cos, sin = angle.cos(), angle.sin()
        u = stretch * (cos * dx + sin * dy)
        v = (-sin + shear * cos) * dx + (cos + shear * sin) * dy
        return u, v, side

    def _occlude(self, pixels: Tensor, u: Tensor, v: Tensor) -> Tensor:
        count = len(pixels)
        along = torch.where(self._uniform(count, 0, 1) < 0.5, u, v) * self._uniform(count, -1, 1).sign()
        edge = self._uniform(count, 0.60, 0.76)
        hidden = (along > edge) & (along < edge + 0.56) & (torch.maximum(u.abs(), v.abs()) < 1.16)
        hidden &= self._uniform(count, 0, 1) < shop.OCCLUDER_CHANCE
        tone = 0.45 + 0.45 * torch.rand(count, 3, 1, 1, generator=self.generator)
        return torch.where(hidden[:, None], tone, pixels)

    def next(self, count: int, ease: float = 0.0) -> Batch:
        """The next ``count`` pictures."""
        logo = self._next_logos(count)
        base = torch.randint(len(self.bases.labels), (count,), generator=self.generator)
        place = torch.randint(len(PLACE_NAMES), (count,), generator=self.generator)
        u, v, side = self._mark_frame(count, place, ease)
        ratio = shop.MARK_INNER / shop.MARK_SIDE
        grid = torch.stack([u, v], -1) * ratio
        tiles = functional.grid_sample(self.bank.masks[logo].float() / 255, grid, align_corners=False)
        mark, halo = tiles[:, 0], tiles[:, 1]
        plated = self._uniform(count, 0, 1) < ease + (1 - ease) * shop.PLATE_CHANCE
        tone = torch.tensor([0, 0, 1, 2])[torch.randint(4, (count,), generator=self.generator)]
        tone = torch.where(plated.view(-1), tone, NUM_PLATES + self.bases.labels[base, 1])
        under, over = self.under[logo, tone][..., None, None], self.over[logo, tone][..., None, None]
        corner = 0.34
        box_u = (u.abs() / shop.PLATE_SCALE - (1 - corner)).clamp_min_(0)
        box_v = (v.abs() / shop.PLATE_SCALE - (1 - corner)).clamp_min_(0)
        plate = ((corner - (box_u * box_u + box_v * box_v).sqrt_()) * (side * IMAGE_SIDE / 2) + 0.5).clamp_(0, 1)
        lower = torch.where(plated, plate, halo)[:, None]
        pixels = self.bases.pixels[base].float().div_(255)
        pixels = torch.lerp(pixels, under, lower)
        pixels = torch.lerp(pixels, over, mark[:, None])
        pixels = self._occlude(pixels, u, v)
        gain = self._uniform(count, 0.86, 1.10)[:, None]
        noise = torch.randn(pixels.shape, generator=self.generator).mul_(0.02)
        pixels = noise.add_(pixels.mul_(gain)).clamp_(0, 1)
        labels = torch.cat([self.bases.labels[base], place[:, None]], 1)
        return Batch(normalise(pixels), logo, labels, self._patch_targets(u, v, mark))

    def _patch_targets(self, u: Tensor, v: Tensor, mark: Tensor) -> Tensor:
        on_tile = (torch.maximum(u.abs(), v.abs()) < 1).float()
        maps = torch.stack([u.clamp(-1.5, 1.5), v.clamp(-1.5, 1.5), on_tile, mark], 1)
        return functional.adaptive_avg_pool2d(maps, GRID).flatten(2).transpose(1, 2)
