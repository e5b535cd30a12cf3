"""Which rows are looked at: a fixed number, spread over the names in proportion, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nameplate.errors import InputError
from nameplate.models.images import ImageKey
from nameplate.store.database import open_database
from nameplate.store.tables import StageTables

# Rows in the order of their names, chance within a name; then every so manieth: each name gets its share, rounded.
_DRAW = """
    with placed as (
        select row_id, name, title, category, caption, image_sha256, image_ext, teacher_model,
            row_number() over (order by name, md5(concat($seed, ':', row_id)), row_id) - 1 as place,
            count(*) over () as total
        from cleaned
    )
    select * exclude (place, total) from placed
    where (place + 1) * $rows // total > place * $rows // total
    order by place
"""


@dataclass(frozen=True)
class SampledRow:
    """One clean caption and its image. `name` is "" in a table without names."""

    row_id: str
    name: str
    title: str
    category: str
    caption: str
    image: ImageKey
    teacher: str


class Beside(NamedTuple):
    """Captions and the base's answers about the same images, row by row."""

    images: Sequence[ImageKey]
    captions: Sequence[str]
    answers: Sequence[str]
    invented: Sequence[tuple[str, ...]]
    """What the base takes for the name of each row."""


class Sample(NamedTuple):
    """The rows, and of how many they were drawn."""

    rows: list[SampledRow]
    total: int


def draw_sample(tables: StageTables, *, num_rows: int, seed: int) -> Sample:
    """Draw from the clean captions; all of them when there are no more.

    Raises:
        InputError: there are none.
    """
    total = tables.num_kept()
    if total == 0:
        raise InputError(str(tables.folder), found="no clean captions", fix="run clean first")
    with open_database() as database:
        database.read_parquet([str(path) for path in tables.kept_paths()]).create_view("cleaned")
        drawn = database.execute(_DRAW, {"rows": min(num_rows, total), "seed": str(seed)})
        columns = [column[0] for column in drawn.description]
        rows = [_row(dict(zip(columns, values, strict=True))) for values in drawn.fetchall()]
    return Sample(rows, total)


def _row(row: Mapping[str, Any]) -> SampledRow:
    return SampledRow(
        row_id=row["row_id"],
        name=row["name"] or "",
        title=row["title"] or "",
        category=row["category"] or "",
        caption=row["caption"],
        image=ImageKey(row["image_sha256"], row["image_ext"]),
        teacher=row["teacher_model"] or "",
    )
