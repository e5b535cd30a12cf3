"""What the teacher is told of a row besides its name: title, category, and columns that the table has besides."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from nameplate.errors import RecipeError

_OWN = ("title", "category")


def facts_of(row: dict[str, Any], attributes: Sequence[str]) -> dict[str, str]:
    """The values that a row has of these attributes, in the recipe's order."""
    others: dict[str, Any] = json.loads(row.get("attributes") or "{}") if set(attributes) - set(_OWN) else {}
    found = {name: row.get(name) if name in _OWN else others.get(name) for name in attributes}
    return {name: str(value) for name, value in found.items() if value}


def check_attributes(attributes: Sequence[str], inputs: Iterable[Path]) -> None:
    """Refuse an attribute that no row has: a misspelt column would otherwise just never be mentioned.

    Raises:
        RecipeError: with the columns that there are.
    """
    missing = dict.fromkeys(attributes)
    known = dict.fromkeys(_OWN)
    for path in inputs:
        for row in pq.read_table(path, columns=[*_OWN, "attributes"]).to_pylist() if missing else []:
            known |= dict.fromkeys(json.loads(row["attributes"] or "{}"))
            for name in facts_of(row, list(missing)):
                del missing[name]
            if not missing:
                return
    if missing:
        name = next(iter(missing))
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise RecipeError(
            "caption.attributes",
            found=f"no row has a value in '{name}'",
            expected="one of " + ", ".join(known),
            fix=f"did you mean '{near[0]}'?" if near and near[0] != name else "leave it out",
        )
