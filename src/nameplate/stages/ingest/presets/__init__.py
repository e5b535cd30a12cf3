"""Layouts of known data sets: how each calls its columns, where its images are, what its licence asks."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Final

from nameplate.errors import RecipeError
from nameplate.stages.ingest.presets.base import MEANINGS, Concern, ImageKind, Meaning, Preset
from nameplate.stages.ingest.presets.captions import EMBEDDED, LINKED
from nameplate.stages.ingest.presets.prices import DBQ
from nameplate.stages.ingest.presets.text import TextRule, apply_rules

PRESETS: Final[dict[str, Preset]] = {preset.name: preset for preset in (*DBQ, *LINKED, *EMBEDDED)}
HUB: Final = "hf://datasets/"

__all__ = [
    "HUB",
    "MEANINGS",
    "PRESETS",
    "Concern",
    "ImageKind",
    "Meaning",
    "Preset",
    "TextRule",
    "apply_rules",
    "find_preset",
    "preset_of_columns",
    "preset_of_source",
]


def find_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        RecipeError: there is none; the nearest ones are named.
    """
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name, PRESETS, n=3, cutoff=0.4)
    raise RecipeError(
        "table.preset",
        found=f"no preset '{name}'",
        expected="one of those that `nameplate presets` lists",
        fix=f"did you mean {' or '.join(near)}?" if near else "",
    )


def preset_of_source(source: str) -> Preset | None:
    """The preset of `hf://datasets/OWNER/NAME`, if the data set is a known one."""
    if not source.startswith(HUB):
        return None
    parts = source.removeprefix(HUB).partition("?")[0].partition("@")[0].split("/")
    wanted = "/".join(parts[:2]).lower()
    return next((each for each in PRESETS.values() if wanted in map(str.lower, each.datasets)), None)


def preset_of_columns(columns: Collection[str], *, names: Collection[str] = ()) -> Preset | None:
    """The preset whose signature the columns hold; among siblings the one that has only this name, else the family.

    Args:
        names: the names that stand in the table, as far as looked at.
    """
    known = [each for each in PRESETS.values() if each.signature and each.signature <= set(columns)]
    if not known:
        return None
    largest = max(len(each.signature) for each in known)
    siblings = [each for each in known if len(each.signature) == largest]
    only = next(iter(names)).casefold() if len(names) == 1 else ""
    same = [each for each in siblings if each.only_name is not None and each.only_name.casefold() == only]
    return (same or siblings)[0]
