"""Which column of a table means what: the recipe's own words, then its preset's, checked against the table."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nameplate.errors import InputError
from nameplate.recipe import NameSection, TableSection
from nameplate.stages.ingest.looks import Look, look_at
from nameplate.stages.ingest.presets import Meaning, Preset, TextRule, find_preset, preset_of_source
from nameplate.stages.ingest.profile import profile_columns
from nameplate.stages.ingest.sources.base import Source

ROWS_TO_CHECK: Final = 200
"""Rows that are looked at when a column of a preset has to be found by its kind."""

_OWN: Final[tuple[Meaning, ...]] = ("id", "image", "title", "text", "code", "category", "page")
_KINDS: Final[dict[Meaning, frozenset[Look]]] = {
    "image": frozenset({Look.IMAGE, Look.IMAGE_LINK}),
    "text": frozenset({Look.CAPTION}),
}


@dataclass(frozen=True)
class ColumnMap:
    """Column names by meaning; None: the table has no such column. `notes` are for whoever started the run."""

    name: str | None
    image: str
    id: str | None = None
    title: str | None = None
    text: str | None = None
    code: str | None = None
    category: str | None = None
    page: str | None = None
    text_rules: tuple[TextRule, ...] = ()
    """What is done to every text, see `apply_rules`."""
    null_values: frozenset[str] = frozenset()
    """Texts that mean "no value": the recipe's and the preset's."""
    notes: tuple[str, ...] = ()

    def used(self) -> set[str]:
        """Columns that have a meaning; all others become attributes."""
        columns = (self.name, self.image, self.id, self.title, self.text, self.code, self.category, self.page)
        return {column for column in columns if column is not None}


def map_columns(table: TableSection, name: NameSection, *, source: Source) -> ColumnMap:
    """Settle the columns of a table. A column that a preset only infers is looked for by its kind when it is absent.

    Raises:
        RecipeError: no such preset.
        InputError: a column that the recipe or a preset names is not in the table, or no image column is named.
    """
    preset = find_preset(table.preset) if table.preset is not None else None
    own = {meaning: column for meaning in _OWN if (column := getattr(table, meaning)) is not None}
    chosen, notes = _from_preset(preset, source, but=own) if preset is not None else ({}, _unused_preset(source))
    for meaning, column in own.items():
        chosen[meaning] = _present(source, column, field=f"table.{meaning}")
    if "image" not in chosen:
        raise InputError(
            source.name,
            found="no column with images or links to them is named",
            expected="table.image or table.preset",
            fix="one of " + ", ".join(source.columns),
        )
    image = chosen.pop("image")
    return ColumnMap(
        name=_name_column(name, source, preset),
        image=image,
        **chosen,
        text_rules=preset.text_rules if preset is not None else (),
        null_values=frozenset(table.null_values).union(preset.null_values if preset is not None else ()),
        notes=tuple(notes),
    )


def _from_preset(preset: Preset, source: Source, *, but: dict[Meaning, str]) -> tuple[dict[Meaning, str], list[str]]:
    """Columns by the preset, for meanings that the recipe does not settle itself."""
    chosen: dict[Meaning, str] = {}
    notes: list[str] = []
    for meaning, column in preset.columns.items():
        if meaning != "name" and meaning not in but:
            chosen[meaning] = _present(source, column, field=f"table.{meaning}", preset=preset)
    for meaning, column in preset.inferred.items():
        if meaning == "name" or meaning in but:
            continue
        if column in source.columns:
            chosen[meaning] = column
            continue
        found, note = _instead(preset, source, meaning, column)
        notes.append(note)
        if found is not None:
            chosen[meaning] = found
    return chosen, notes


def _instead(preset: Preset, source: Source, meaning: Meaning, column: str) -> tuple[str | None, str]:
    """The one column of the right kind, with a note; none when a row can do without the meaning.

    Raises:
        InputError: the image or the text cannot be found without guessing.
    """
    said = f"preset {preset.name} infers a column '{column}' for table.{meaning}, and the table has none"
    if meaning not in _KINDS:
        return None, f"{said}: rows go without it (the table has {', '.join(source.columns)})"
    candidates = candidates_for(meaning, source)
    if len(candidates) == 1:
        return candidates[0], f"{said}: '{candidates[0]}' is taken, the only column of that kind"
    if meaning == "text" and not candidates:
        return None, f"{said}, nor another column of captions: rows go without captions"
    raise InputError(
        source.name,
        found=f"{said}; of that kind are {', '.join(candidates) or 'none'}",
        expected=f"one of {', '.join(source.columns)}",
        fix=f"set table.{meaning} to " + (f"{' or '.join(candidates)}" if candidates else "a column of the table"),
    )


def candidates_for(meaning: Meaning, source: Source) -> list[str]:
    """Columns whose first values are of the kind that `image` or `text` needs."""
    plain = [column for column in source.columns if column not in source.image_columns]
    rows = (row.cells for row in source.rows(limit=ROWS_TO_CHECK, columns=plain) if row.problem is None)
    profiles = profile_columns(rows, source.columns, image_columns=source.image_columns)
    return [column for column, profile in profiles.items() if look_at(profile).look in _KINDS[meaning]]


def _name_column(name: NameSection, source: Source, preset: Preset | None) -> str | None:
    if name.column is None or name.column in source.columns:
        return name.column
    if preset is not None and (column := preset.column("name")) is not None:
        fix = f"set name.column: {column}, as preset {preset.name} has it"
    elif preset is not None:
        fix = f"the data set of preset {preset.name} has no names: set name.column: null, or to a column of the table"
    else:
        fix = _nearest(name.column, source.columns, field="name.column")
    raise _absent(source, name.column, fix=fix)


def _present(source: Source, column: str, *, field: str, preset: Preset | None = None) -> str:
    if column in source.columns:
        return column
    fix = _nearest(column, source.columns, field=field)
    if preset is not None:
        fix = f"is this the data set of preset {preset.name}? If so, {fix}"
    raise _absent(source, column, fix=fix)


def _nearest(column: str, columns: Sequence[str], *, field: str) -> str:
    near = difflib.get_close_matches(column, columns, n=1, cutoff=0.5)
    return f"set {field}: {near[0]}" if near else f"set {field} to a column of the table"


def _absent(source: Source, column: str, *, fix: str) -> InputError:
    return InputError(
        source.name, found=f"no column '{column}'", expected="one of " + ", ".join(source.columns), fix=fix
    )


def _unused_preset(source: Source) -> list[str]:
    preset = preset_of_source(source.name)
    if preset is None:
        return []
    warning = f"; its licence: {preset.licence}, {preset.warning}" if preset.warning else ""
    return [f"{source.name} is a known data set: table.preset: {preset.name} brings its columns and rules{warning}"]
