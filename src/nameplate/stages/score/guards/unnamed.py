"""Images without any name: a folder of them, or some that are drawn."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nameplate.models.images import ImageKey
from nameplate.models.picturefolder import guard_folder
from nameplate.store.images import ImageStore

SIDE: Final = 224
EACH: Final = 4

Pixels = NDArray[np.uint8]


def unnamed_images(folder: str | None, *, store: ImageStore) -> list[ImageKey]:
    """Images without a name, in the store; from a folder (all levels, by name, at most 200), else drawn.

    Raises:
        InputError: the folder is not there or holds no image, or one of them cannot be decoded.
    """
    if folder is None:
        return [ImageKey(store.put(_png(pixels), "png"), "png") for pixels in drawn()]
    return list(dict.fromkeys(ImageKey(*kept) for kept in guard_folder(folder).keep(store).values()))


def drawn() -> list[Pixels]:
    """Four each of plain greys, gradients, noise, stripes, checks and discs: (224, 224, 3), the same every time."""
    across = np.linspace(0, 1, SIDE)[None, :].repeat(SIDE, 0)
    down = across.T
    random = np.random.default_rng(0)
    shades = [(place + 1) / (EACH + 1) for place in range(EACH)]
    pictures = [_coloured(np.full((SIDE, SIDE), shade), 1.0, 1.0, 1.0) for shade in shades]
    ramps = (across, down, (across + down) / 2, np.hypot(across - 0.5, down - 0.5) * 1.4)
    tints = ((1.0, 1.0, 1.0), (1.0, 0.8, 0.6), (0.6, 0.8, 1.0), (0.7, 1.0, 0.7))
    pictures += [_coloured(ramp, *tint) for ramp, tint in zip(ramps, tints, strict=True)]
    for cell in (1, 4, 16, 56):
        values = random.integers(0, 256, size=(SIDE // cell, SIDE // cell, 3), dtype=np.uint8)
        pictures.append(values.repeat(cell, 0).repeat(cell, 1))
    for place, tint in enumerate(tints):
        waves = 3 + 5 * place
        pictures.append(_coloured((np.sin(2 * np.pi * waves * (across if place % 2 else down)) > 0) * 1.0, *tint))
        checks = (np.floor(across * waves) + np.floor(down * waves)) % 2
        pictures.append(_coloured(0.2 + 0.6 * checks, *tint))
        disc = np.hypot(across - 0.3 - 0.1 * place, down - 0.5) < 0.1 + 0.06 * place
        pictures.append(_coloured(0.9 - 0.5 * disc, *tint))
    return pictures


def _coloured(light: NDArray[np.floating[Any]], *tint: float) -> Pixels:
    channels = np.stack([light * part for part in tint], -1)
    return np.asarray(np.clip(255 * channels, 0, 255), dtype=np.uint8)


def _png(pixels: Pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
