"""Reading the names of a table, examples of their rows, and a sample of texts, in one pass and in bounded memory."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from nameplate.errors import InputError
from nameplate.names.offenders import NamedText
from nameplate.recipe import TableSection, load_recipe
from nameplate.stages.ingest import Source, map_columns, open_source
from nameplate.stages.ingest.looks import Look
from nameplate.stages.ingest.propose import survey_table

MAX_TEXTS: Final = 20_000
"""So many texts, drawn evenly, are looked at for names."""
_EXAMPLES: Final = 2
_EXAMPLE_CHARS: Final = 120
_MAX_TEXT_CHARS: Final = 20_000
_CAPTION_COLUMNS: Final = ("caption", "caption_raw", "text", "answer", "description")
_NAME_COLUMNS: Final = ("name", "brand")
_RECIPES: Final = (".yaml", ".yml")


class Texts(NamedTuple):
    """Texts with the names of their rows, and where they come from."""

    sample: Sequence[NamedText]
    origin: str


@dataclass(frozen=True)
class NameColumn:
    """What one pass over a table gave. `counts` and `examples` are by spelling as it stands in the table."""

    source: str
    column: str
    counts: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]
    texts: Texts
    num_rows: int
    num_null: int
    num_malformed: int
    overrides: Path | None
    """The registry file that the recipe names."""


@dataclass(frozen=True)
class _Columns:
    name: str
    title: str | None = None
    text: str | None = None
    nulls: Collection[str] = frozenset(TableSection(source="-").null_values)
    limit: int | None = None
    overrides: Path | None = None


@dataclass
class _Sample:
    """A sample in which every item has the same chance, the same for the same items."""

    size: int = MAX_TEXTS
    items: list[NamedText] = field(default_factory=list)
    seen: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(0))

    def add(self, item: NamedText) -> None:
        self.seen += 1
        if len(self.items) < self.size:
            self.items.append(item)
        elif (place := self._random.randrange(self.seen)) < self.size:
            self.items[place] = item


def read_names(table: str, *, column: str | None) -> NameColumn:
    """Read the name column of a table, or of the table of a recipe.

    Raises:
        RecipeError: the recipe is malformed.
        InputError: the table cannot be read, or it is not known which column has the names.
    """
    source, columns = _from_recipe(Path(table), column) if table.endswith(_RECIPES) else _from_table(table, column)
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = defaultdict(list)
    sample = _Sample()
    num_rows = num_null = num_malformed = 0
    wanted = [each for each in (columns.name, columns.title, columns.text) if each is not None]
    for row in source.rows(limit=columns.limit, columns=wanted):
        num_rows += 1
        if row.problem is not None:
            num_malformed += 1
            continue
        name = row.cells.get(columns.name, "").strip()
        if name in columns.nulls or not name:
            num_null += 1
            continue
        counts[name] += 1
        said = [text for each in (columns.text, columns.title) if each and (text := row.cells.get(each, ""))]
        if said:
            sample.add(NamedText(name, said[0][:_MAX_TEXT_CHARS]))
            if len(examples[name]) < _EXAMPLES:
                examples[name].append(said[-1][:_EXAMPLE_CHARS])
    if not counts:
        raise InputError(
            source.name,
            found=f"column '{columns.name}' holds no name in any of {num_rows:,} rows",
            fix="give --column, or look at table.null_values",
        )
    origin = f"column {columns.text or columns.title} of the table" if columns.text or columns.title else ""
    texts = Texts(sample.items, origin)
    return NameColumn(
        source.name,
        columns.name,
        counts,
        examples,
        texts,
        num_rows=num_rows,
        num_null=num_null,
        num_malformed=num_malformed,
        overrides=columns.overrides,
    )


def read_captions(where: str, *, column: str) -> Texts:
    """Captions with their rows' names: of a run directory, or of any table with a name and a caption column.

    Raises:
        InputError: there are none.
    """
    folder = Path(where)
    sample = _Sample()
    if (folder / "manifest.json").exists() or (folder / "caption").is_dir():
        for text in _captions_of_run(folder):
            sample.add(text)
    else:
        source = open_source(where)
        name = _one_of((column, *_NAME_COLUMNS), source, "names")
        caption = _one_of(_CAPTION_COLUMNS, source, "captions")
        for row in source.rows(columns=(name, caption)):
            if row.problem is None and row.cells.get(caption):
                sample.add(NamedText(row.cells.get(name, ""), row.cells[caption][:_MAX_TEXT_CHARS]))
    if not sample.items:
        raise InputError(where, found="no captions", expected="a run whose captions were made, or a table of captions")
    return Texts(sample.items, where)


def _captions_of_run(folder: Path) -> Iterator[NamedText]:
    import pyarrow.parquet as pq

    from nameplate.store.tables import StageTables

    for path in StageTables(folder / "caption", "caption").kept_paths():
        for row in pq.read_table(path, columns=["name", "caption_raw"]).to_pylist():
            if row["caption_raw"] and row["name"]:
                yield NamedText(row["name"], row["caption_raw"][:_MAX_TEXT_CHARS])


def _from_recipe(path: Path, column: str | None) -> tuple[Source, _Columns]:
    recipe = load_recipe(path)
    source = open_source(recipe.table.source)
    named = recipe.name if column is None else recipe.name.model_copy(update={"column": column})
    columns = map_columns(recipe.table, named, source=source)
    if columns.name is None:
        raise InputError(str(path), found="name.column is null: the rows have no names", fix="give --column")
    overrides = Path(named.registry) if named.registry is not None else None
    nulls = columns.null_values | {""}
    return source, _Columns(columns.name, columns.title, columns.text, nulls, recipe.table.limit, overrides)


def _from_table(table: str, column: str | None) -> tuple[Source, _Columns]:
    source = open_source(table)
    survey = survey_table(source)
    if column is None:
        column = next(iter(survey.of_look(Look.NAME)), None)
    if column is None or column not in source.columns:
        found = "no column looks like names" if column is None else f"no column '{column}'"
        expected = "one of " + ", ".join(source.columns)
        raise InputError(source.name, found=found, expected=expected, fix="give --column")
    others = [each for look in (Look.TITLE, Look.CAPTION) for each in survey.of_look(look)[:1] if each != column]
    title = next((each for each in others if each in survey.of_look(Look.TITLE)), None)
    text = next((each for each in others if each in survey.of_look(Look.CAPTION)), None)
    return source, _Columns(column, title, text)


def _one_of(columns: Sequence[str], source: Source, what: str) -> str:
    found = next((column for column in columns if column in source.columns), None)
    if found is None:
        has = ", ".join(source.columns)
        raise InputError(source.name, found=f"no column of {what}: it has {has}", expected=" or ".join(columns))
    return found
