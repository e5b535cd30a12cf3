"""The logos of other brands than the shop's: chosen, rasterised and stacked for batched composing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from nameplate.demo.render import HALO_PIXELS, MARK_INNER, MARK_SIDE, Logo, load_logos, rasterise_mark
from starter.settings import CANONICAL_SIDE, DUPLICATE_COSINE, MASK_SIDE, TWIN_COSINE

PATH_DATA = re.compile(r'<path[^>]*\sd="([^"]+)"')


@dataclass(frozen=True)
class LogoBank:
    """Logos with their pictures: masks (N, 2, M, M) uint8 of ink and halo, canonical (N, C*C) float 0 to 1."""

    logos: tuple[Logo, ...]
    masks: Tensor
    canonical: Tensor

    def pick(self, rows: list[int]) -> LogoBank:
        """The logos of these rows."""
        return LogoBank(tuple(self.logos[r] for r in rows), self.masks[rows], self.canonical[rows])


def read_simple_icons(folder: Path) -> list[Logo]:
    """All brands of an installed simple-icons package, in its own order."""
    icons = json.loads((folder / "data" / "simple-icons.json").read_text(encoding="utf-8"))
    logos = []
    for icon in icons:
        match = PATH_DATA.search((folder / "icons" / f"{icon['slug']}.svg").read_text(encoding="utf-8"))
        if match:
            logos.append(Logo(title=icon["title"], slug=icon["slug"], hex=icon["hex"], path=match.group(1)))
    return logos


def shares_a_name(title: str, shop: Logo) -> bool:
    """Whether a title contains a shop brand's name as whole words (PlayStation 4, Apple Music)."""
    return re.search(rf"(?<!\w){re.escape(shop.title)}(?!\w)", title, re.IGNORECASE) is not None


def stack(logos: list[Logo]) -> LogoBank:
    """Rasterise logos: about 2 ms each."""
    masks = np.zeros((len(logos), 2, MASK_SIDE, MASK_SIDE), np.uint8)
    canonical = np.zeros((len(logos), CANONICAL_SIDE**2), np.float32)
    edge = (MARK_SIDE - MARK_INNER) // 2
    small = (MASK_SIDE, MASK_SIDE)
    for row, logo in enumerate(logos):
        ink = rasterise_mark(logo.path)
        masks[row, 0] = np.asarray(ink.resize(small, Image.Resampling.BOX))
        masks[row, 1] = np.asarray(ink.filter(ImageFilter.MaxFilter(HALO_PIXELS)).resize(small, Image.Resampling.BOX))
        inner = ink.crop((edge, edge, MARK_SIDE - edge, MARK_SIDE - edge))
        canonical[row] = np.asarray(inner.resize((CANONICAL_SIDE,) * 2, Image.Resampling.BOX)).reshape(-1) / 255
    return LogoBank(tuple(logos), torch.from_numpy(masks), torch.from_numpy(canonical))


def _directions(canonical: Tensor) -> Tensor:
    centred = canonical - canonical.mean(1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-6)


def keep_strangers(bank: LogoBank, shop: LogoBank) -> LogoBank:
    """The logos that neither share a name nor a shape with the shop's, one of each shape."""
    own = _directions(bank.canonical)
    near_shop = (own @ _directions(shop.canonical).T).max(1).values > TWIN_COSINE
    alike = (own @ own.T) > DUPLICATE_COSINE
    earlier_twin = torch.tril(alike, diagonal=-1).any(1)
    rows = [
        row
        for row, logo in enumerate(bank.logos)
        if not (near_shop[row] or earlier_twin[row] or any(shares_a_name(logo.title, s) for s in shop.logos))
    ]
    return bank.pick(rows)


def training_bank(simple_icons: Path, cache: Path) -> LogoBank:
    """The other brands' bank, rasterised once and kept under ``cache``."""
    target = cache / "bank.pt"
    logos = read_simple_icons(simple_icons)
    if target.exists():
        saved = torch.load(target, weights_only=True)
        by_slug = {logo.slug: logo for logo in logos}
        return LogoBank(tuple(by_slug[slug] for slug in saved["slugs"]), saved["masks"], saved["canonical"])
    bank = keep_strangers(stack(logos), stack(list(load_logos())))
    cache.mkdir(parents=True, exist_ok=True)
    saved = {"slugs": [logo.slug for logo in bank.logos], "masks": bank.masks, "canonical": bank.canonical}
    torch.save(saved, target)
    return bank
