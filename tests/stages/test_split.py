import random
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nameplate.engine import LocalEngine, file_shards
from nameplate.errors import InputError
from nameplate.progress import SilentProgress
from nameplate.recipe import SplitSection
from nameplate.records import SCHEMAS
from nameplate.stages.split import SplitStage
from nameplate.stages.split.assign import assign_groups, largest_remainder
from nameplate.stages.split.groups import Example, Group, group_examples
from nameplate.store.tables import StageTables

BLANK = dict.fromkeys(SCHEMAS["clean"].names)


def example(row_id, *, name="Gucci", code=None, image=None):
    return BLANK | {"row_id": row_id, "name": name, "product_code": code, "image_sha256": image}


def shop(seed=0):
    """Seven names of 12 to 90 rows; products of one to four colours; some images shared between products."""
    rng = random.Random(seed)
    rows = []
    for name, count in zip("ABCDEFG", (12, 20, 30, 40, 60, 80, 90), strict=True):
        product = 0
        for place in range(count):
            product += rng.random() < 0.5
            image = f"shared{rng.randrange(5)}" if rng.random() < 0.02 else f"{name}{place}"
            rows.append(example(f"{name}-{place:03d}", name=name, code=f"{name}{product:04d}-{place}", image=image))
    return rows


def write_shards(rows, folder: Path, size):
    folder.mkdir(parents=True)
    for index in range(0, len(rows), size):
        path = folder / f"part-{index // size:05d}.parquet"
        pq.write_table(pa.Table.from_pylist(rows[index : index + size], schema=SCHEMAS["clean"]), path)
    return sorted(folder.glob("part-*.parquet"))


def split(rows, folder: Path, *, size=50, **section):
    paths = write_shards(rows, folder / "in", size)
    stage = SplitStage(SplitSection(**section))
    stage.prepare(paths)
    tables = StageTables(folder / "out", "split")
    outcome = LocalEngine().run(stage, file_shards(paths), tables=tables, progress=SilentProgress())
    return outcome, tables.read_kept().to_pylist(), tables.read_rejected().to_pylist()


ORDINARY = {"min_per_name": 15, "validation": 40, "test": 60, "code_prefix": 5}


def test_no_product_and_no_image_crosses_splits(tmp_path):
    _, kept, _ = split(shop(), tmp_path, **ORDINARY)
    for key in (lambda row: row["group_id"], lambda row: row["image_sha256"], lambda row: row["product_code"][:5]):
        sides = defaultdict(set)
        for row in kept:
            sides[key(row)].add(row["split"])
        assert all(len(side) == 1 for side in sides.values())
    assert len({row["image_sha256"] for row in kept}) < len(kept), "the shop must have shared images"


def test_sizes_are_met_by_name_and_training_keeps_half(tmp_path):
    outcome, kept, _ = split(shop(), tmp_path, **ORDINARY)
    assert outcome.details["splits"] == {"train": 220, "validation": 40, "test": 60}
    by_name = defaultdict(Counter)
    for row in kept:
        by_name[row["name"]][row["split"]] += 1
    for name, counts in by_name.items():
        assert counts["train"] >= counts.total() / 2, name
        assert counts["test"] == pytest.approx(60 * counts.total() / 320, abs=3), name
        assert counts["validation"] >= 1


def test_the_split_depends_on_neither_order_nor_shards(tmp_path):
    rows = shop()
    _, first, _ = split(rows, tmp_path / "a", **ORDINARY)
    shuffled = random.Random(1).sample(rows, len(rows))
    _, second, _ = split(shuffled, tmp_path / "b", size=17, **ORDINARY)
    places = [{row["row_id"]: (row["split"], row["group_id"]) for row in kept} for kept in (first, second)]
    assert places[0] == places[1]


def test_another_seed_gives_another_split_of_the_same_sizes(tmp_path):
    outcome, first, _ = split(shop(), tmp_path / "a", **ORDINARY)
    other, second, _ = split(shop(), tmp_path / "b", seed=1, **ORDINARY)
    assert [row["split"] for row in first] != [row["split"] for row in second]
    assert outcome.details["splits"] == other.details["splits"]


def test_rare_names_leave_with_their_counts(tmp_path):
    outcome, kept, rejected = split(shop(), tmp_path, **ORDINARY)
    assert outcome.details["dropped_names"] == {"A": 12}
    assert outcome.details["names"] == 6
    assert {row["name"] for row in rejected} == {"A"} and outcome.rejected == {"rare_name": 12}
    assert rejected[0]["detail"] == "12 usable examples, 15 needed"
    assert len(kept) == 320


def test_groups_are_counted_and_image_chains_reported(tmp_path):
    rows = [
        example(f"r{place:03d}", code=f"P{place}", image="same" if place < 30 else f"i{place}") for place in range(200)
    ]
    outcome, kept, _ = split(rows, tmp_path, min_per_name=1, validation=20, test=20)
    assert outcome.details["groups"] == 171 and outcome.details["largest_group"] == 30
    (large,) = outcome.details["large_image_groups"]
    assert (large["rows"], large["products"], large["names"]) == (30, 30, {"Gucci": 30})
    assert large["group_id"] in {row["group_id"] for row in kept}


def test_one_product_with_many_colours_is_no_image_chain(tmp_path):
    rows = [example(f"r{place:03d}", code="P" if place < 30 else f"Q{place}") for place in range(200)]
    outcome, _, _ = split(rows, tmp_path, min_per_name=1, validation=20, test=20)
    assert outcome.details["largest_group"] == 30 and outcome.details["large_image_groups"] == []


@pytest.mark.parametrize(
    ("section", "found", "fix"),
    [
        ({"min_per_name": 1, "validation": 100, "test": 100}, "100 \\+ 100 of 332 usable", "to 33 each"),
        ({"min_per_name": 91, "validation": 1, "test": 1}, "'G' has most, 90", "to 90 or less"),
        (
            {"min_per_name": 1, "validation": 20, "test": 20, "code_prefix": 1},
            "no product can be spared",
            "code_prefix",
        ),
    ],
)
def test_a_setting_that_cannot_be_met_explains_itself(tmp_path, section, found, fix):
    with pytest.raises(InputError, match=found) as caught:
        split(shop(), tmp_path, **section)
    assert fix in str(caught.value)


def test_no_examples_at_all_explains_itself(tmp_path):
    with pytest.raises(InputError, match="use more rows"):
        split([], tmp_path, min_per_name=1, validation=1, test=1)


@pytest.mark.parametrize(
    ("examples", "prefix", "groups"),
    [
        ([("a", "N", "111-red", None), ("b", "N", "111-blue", None)], 3, [{"a", "b"}]),
        ([("a", "N", "111-red", None), ("b", "N", "111-blue", None)], None, [{"a"}, {"b"}]),
        ([("a", "N", "111", None), ("b", "M", "111", None)], None, [{"a"}, {"b"}]),
        ([("a", "N", "1", "x"), ("b", "N", "2", "x"), ("c", "N", "2", "y"), ("d", "M", "", "y")], None, [set("abcd")]),
        ([("a", "N", None, None), ("b", "N", " ", ""), ("c", "N", None, None)], None, [{"a"}, {"b"}, {"c"}]),
    ],
)  # fmt: skip
def test_what_joins_rows(examples, prefix, groups):
    made = group_examples([Example(*one) for one in examples], code_prefix=prefix).groups
    assert sorted(map(sorted, (group.row_ids for group in made))) == sorted(map(sorted, groups))


def test_shares_add_up():
    assert largest_remainder(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert sum(largest_remainder(7, {"a": 5, "b": 90, "c": 3}).values()) == 7


def group(key, size, name):
    return Group(key, tuple(f"{key}{place}" for place in range(size)), {name: size}, name, 1)


def test_totals_are_filled_when_no_name_can_give_exactly_its_share():
    groups = [group(f"{n}-{g}-", 2, f"N{n}") for n in range(10) for g in range(2)]
    assigned = assign_groups(groups, validation=5, test=5, seed=0)
    assert Counter(assigned.values()) == {"train": 16, "validation": 2, "test": 2}


NAMES = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=12), min_size=1, max_size=8)


@given(NAMES, st.integers(0, 3), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_promises_hold_for_any_groups(names, seed, rng):
    groups = [group(f"{n}-{g}-", size, f"N{n}") for n, sizes in enumerate(names) for g, size in enumerate(sizes)]
    total = sum(one.size for one in groups)
    assigned = assign_groups(groups, validation=total // 10 + 1, test=total // 5 + 1, seed=seed)
    assert assigned == assign_groups(
        rng.sample(groups, len(groups)), validation=total // 10 + 1, test=total // 5 + 1, seed=seed
    )
    for n, sizes in enumerate(names):
        own = [one for one in groups if one.home == f"N{n}"]
        rows = Counter()
        for one in own:
            rows[assigned[one.id]] += one.size
        assert rows["train"] * 2 >= sum(sizes)
        if len(sizes) >= 3 and sum(sorted(sizes)[:2]) <= sum(sizes) // 2:
            assert rows["test"] and rows["validation"], sizes
