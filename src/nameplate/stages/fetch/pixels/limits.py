"""The recipe's limits on bytes and pixels, asked of fresh bodies and of kept images alike."""

from __future__ import annotations

from nameplate.recipe import FetchSection, ImageSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.result import LinkFailed


def judge_bytes(num_bytes: int, section: FetchSection) -> None:
    """Refuse a body that is, or says it is, longer than the recipe allows.

    Raises:
        LinkFailed: `too_many_bytes`.
    """
    if num_bytes > section.max_bytes:
        detail = f"{num_bytes} bytes or more, over fetch.max_bytes ({section.max_bytes})"
        raise LinkFailed(FetchStatus.TOO_MANY_BYTES, detail)


def judge_size(width: int, height: int, section: ImageSection) -> None:
    """Refuse a size, in pixels, that the recipe does not want.

    Raises:
        LinkFailed: `too_many_pixels`, `too_small` or `bad_aspect`.
    """
    if width * height > section.max_pixels:
        detail = f"{width} x {height} pixels, more than fetch.image.max_pixels ({section.max_pixels})"
        raise LinkFailed(FetchStatus.TOO_MANY_PIXELS, detail)
    short, long = sorted((width, height))
    if short < section.min_side:
        detail = f"{width} x {height} pixels, a side under fetch.image.min_side ({section.min_side})"
        raise LinkFailed(FetchStatus.TOO_SMALL, detail)
    if long > section.max_aspect * short:
        detail = f"{width} x {height} pixels, longer for its width than fetch.image.max_aspect ({section.max_aspect:g})"
        raise LinkFailed(FetchStatus.BAD_ASPECT, detail)
