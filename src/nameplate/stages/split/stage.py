"""The stage: names with too few examples leave, the others are divided into training, validation and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from nameplate.engine import ShardResult, ShardStage
from nameplate.errors import InputError
from nameplate.progress import Advance
from nameplate.recipe import SplitSection
from nameplate.records import SPLITS, SplitName, SplitReason
from nameplate.stages.split.assign import assign_groups
from nameplate.stages.split.groups import Example, Group, Grouping, group_examples
from nameplate.store.tables import StageTables

VERSION = 2

_COLUMNS = ["row_id", "name", "product_code", "image_sha256", "image_phash"]
_HELD_OUT: tuple[SplitName, ...] = ("validation", "test")
_LARGE_ROWS, _ONE_IN = 20, 100


class _Place(NamedTuple):
    split: SplitName
    group_id: str


class SplitStage(ShardStage):
    """Divide examples product by product; the same rows and seed give the same split in any order and sharding.

    Args:
        section: the recipe's `split`.
    """

    name = "split"

    def __init__(self, section: SplitSection) -> None:
        self._section = section
        self._grouping = Grouping([], {}, 0, 0, 0)
        self._places: dict[str, _Place] = {}
        self._rare: dict[str, int] = {}

    def prepare(self, inputs: Sequence[Path]) -> None:
        """Look at all rows, group them and give every group its split.

        Raises:
            InputError: no name has enough examples, or the sizes asked for cannot be had.
        """
        examples = list(_examples(inputs))
        counts = Counter(example.name for example in examples)
        least = self._section.min_per_name
        self._rare = dict(sorted((name, count) for name, count in counts.items() if count < least))
        usable = [example for example in examples if example.name not in self._rare]
        self._check_sizes(len(usable), counts)
        self._grouping = group_examples(
            usable,
            code_prefix=self._section.code_prefix,
            near_bits=self._section.near_bits,
            near_cap=_large(len(usable)),
        )
        splits = assign_groups(
            self._groups, validation=self._section.validation, test=self._section.test, seed=self._section.seed
        )
        self._places = {
            row_id: _Place(splits[group.id], group.id) for group in self._groups for row_id in group.row_ids
        }
        self._check_filled()

    def run_shard(self, rows: pa.Table, advance: Advance) -> ShardResult:
        """Look up every row's place; rows of rare names are rejected."""
        kept: list[dict[str, Any]] = []
        rejected: list[dict[str, Any]] = []
        for row in rows.to_pylist():
            place = self._places.get(row["row_id"])
            if place is not None:
                kept.append({**row, "split": place.split, "group_id": place.group_id})
            else:
                detail = f"{self._rare[row['name']]} usable examples, {self._section.min_per_name} needed"
                rejected.append({**row, "reason": SplitReason.RARE_NAME.value, "detail": detail})
            advance(1)
        return self.result(kept, rejected)

    def finish(self, tables: StageTables) -> dict[str, Any]:
        """Sizes, names left out, groups and what joined them, and groups in which images may have joined too much."""
        names = {name for group in self._groups for name in group.counts}
        return {
            "splits": self._split_counts(),
            "names": len(names),
            "dropped_names": self._rare,
            "groups": len(self._groups),
            "largest_group": max((group.size for group in self._groups), default=0),
            "joins": self._grouping.joins,
            "near_images": {
                "joined_rows": self._grouping.near_rows,
                "refused_groups": self._grouping.refused_groups,
                "refused_rows": self._grouping.refused_rows,
            },
            "large_image_groups": self._large_image_groups(),
            "names_without": {split: sorted(names - self._names_in(split)) for split in _HELD_OUT},
        }

    @property
    def _groups(self) -> list[Group]:
        return self._grouping.groups

    def _check_sizes(self, usable: int, counts: Counter[str]) -> None:
        section = self._section
        if usable == 0:
            name, most = max(counts.items(), key=lambda pair: pair[1], default=("none", 0))
            raise InputError(
                "split.min_per_name",
                found=f"no name has {section.min_per_name} usable examples; '{name}' has most, {most}",
                fix=f"set split.min_per_name to {most} or less, or use more rows" if most else "use more rows",
            )
        if section.validation + section.test > usable // 2:
            raise InputError(
                "split.validation, split.test",
                found=f"{section.validation} + {section.test} of {usable:,} usable examples",
                expected=f"at most half of them, {usable // 2:,} in all",
                fix=f"set split.validation and split.test to {max(1, usable // 10)} each, for example",
            )

    def _check_filled(self) -> None:
        empty = [split for split, count in self._split_counts().items() if count == 0]
        if empty:
            raise InputError(
                f"split.{empty[0]}",
                found=f"no product can be spared for {' and '.join(empty)}: {len(self._groups)} products in all",
                expected="names with several products of at most a quarter of their examples each",
                fix="check split.code_prefix (a longer one tells more products apart), or use more rows",
            )

    def _split_counts(self) -> dict[str, int]:
        counts = Counter(place.split for place in self._places.values())
        return {split: counts[split] for split in SPLITS}

    def _names_in(self, split: SplitName) -> set[str]:
        return {name for group in self._groups if self._split_of(group) == split for name in group.counts}

    def _split_of(self, group: Group) -> SplitName:
        return self._places[group.row_ids[0]].split

    def _large_image_groups(self) -> list[dict[str, Any]]:
        """Over 1 % of the rows, joined by nothing but images: perhaps a placeholder joins strangers."""
        limit = _large(len(self._places))
        large = [group for group in self._groups if group.num_products > 1 and group.size > limit]
        return [
            {"group_id": group.id, "rows": group.size, "products": group.num_products, "names": group.counts}
            for group in sorted(large, key=lambda group: (-group.size, group.id))
        ]


def _large(num_rows: int) -> int:
    """So many rows are too many for what only images have joined: 20, or 1 % of all."""
    return max(_LARGE_ROWS, num_rows // _ONE_IN)


def _examples(inputs: Sequence[Path]) -> Iterator[Example]:
    for path in inputs:
        table = pq.read_table(path, columns=_COLUMNS)
        columns = [table[column].to_pylist() for column in _COLUMNS]
        yield from (Example(*values) for values in zip(*columns, strict=True))
