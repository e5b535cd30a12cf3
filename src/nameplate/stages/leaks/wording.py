"""The kinds of leaks in words, the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nameplate.stages.leaks.results import LeakKind

LABELS: Final[Mapping[LeakKind, str]] = {
    LeakKind.IMAGE: "same image",
    LeakKind.SOURCE_IMAGE: "same image at its source",
    LeakKind.GROUP: "same product group",
    LeakKind.PRODUCT_CODE: "same product code",
    LeakKind.PAGE: "same product page",
    LeakKind.NEAR_IMAGE: "nearly the same image",
    LeakKind.CAPTION: "same caption",
    LeakKind.TITLE: "same name and title",
    LeakKind.NEAR_CAPTION: "nearly the same caption",
}


def how_far(kind: LeakKind, distance: float, difference: float | None) -> str:
    """What is known of a near pair beside its kind; "" of an equal one."""
    if kind is LeakKind.NEAR_IMAGE:
        pixels = "pixels not compared" if difference is None else f"pixels differ by up to {difference:.0%}"
        return f"{distance:.0f} of 64 bits apart, {pixels}"
    return f"{1 - distance:.0%} of three-word pieces in common" if kind is LeakKind.NEAR_CAPTION else ""
