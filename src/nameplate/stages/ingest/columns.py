"""Which column of a table means what."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from nameplate.errors import InputError
from nameplate.recipe import NameSection, TableSection

PRESETS: dict[str, dict[str, str]] = {
    # The 17 columns of the DBQ tables (My Theresa, Matches, Gucci, ...) as their dataset viewer shows them.
    "dbq": {
        "image": "imageurl",
        "title": "title",
        "code": "product_code",
        "category": "category1_code",
        "page": "itemurl",
    },
}


@dataclass(frozen=True)
class ColumnMap:
    """Column names by meaning; None: the table has no such column."""

    name: str | None
    image: str
    id: str | None = None
    title: str | None = None
    code: str | None = None
    category: str | None = None
    page: str | None = None

    def used(self) -> set[str]:
        """Columns that have a meaning; all others become attributes."""
        return {column for column in vars(self).values() if column is not None}


def map_columns(table: TableSection, name: NameSection, *, columns: tuple[str, ...]) -> ColumnMap:
    """Settle the columns of a table from its preset and the recipe's own words.

    Raises:
        InputError: a column that the recipe names is not in the table, or no image column is named.
    """
    chosen: dict[str, str | None] = dict(PRESETS[table.preset]) if table.preset else {}
    own = {key: getattr(table, key) for key in ("id", "image", "title", "code", "category", "page")}
    chosen.update({key: column for key, column in own.items() if column is not None})
    if chosen.get("image") is None:
        raise InputError(
            table.source, found="no column with image links is named", expected="table.image or table.preset"
        )
    fields = {"name.column": name.column, **{f"table.{key}": column for key, column in chosen.items()}}
    for field, column in fields.items():
        if column is not None and column not in columns:
            near = difflib.get_close_matches(column, columns, n=1, cutoff=0.5)
            fix = f"set {field}: {near[0]}" if near else f"set {field} to a column of the table"
            raise InputError(
                table.source, found=f"no column '{column}'", expected="one of " + ", ".join(columns), fix=fix
            )
    image = chosen.pop("image")
    assert image is not None
    return ColumnMap(name=name.column, image=image, **chosen)
