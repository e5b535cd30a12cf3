"""Near-equal images stay together within a name, unless they would join too much."""

import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nameplate.stages.split import near
from nameplate.stages.split.groups import Example, Grouping, group_examples
from nameplate.stages.split.near import near_pairs

from .test_split import example, split

FLIPS = st.lists(st.integers(0, 63), max_size=10)


def flipped(value: int, places: list[int]) -> int:
    for place in places:
        value ^= 1 << place
    return value


def found_pairs(hashes: list[int], bits: int) -> set[tuple[int, int]]:
    pairs = near_pairs(np.array(hashes, dtype=np.uint64), bits=bits)
    return {(min(pair), max(pair)) for block in pairs for pair in block.tolist()}


@given(st.integers(0, 2**64 - 1), st.lists(FLIPS, max_size=12), st.integers(0, 8))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_no_near_pair_is_missed_and_none_invented(seed: int, flips: list[list[int]], bits: int) -> None:
    hashes = sorted({seed, *(flipped(seed, places) for places in flips)})
    expected = {
        (first, second)
        for (first, one), (second, other) in combinations(enumerate(hashes), 2)
        if (one ^ other).bit_count() <= bits
    }
    assert found_pairs(hashes, bits) == expected


def test_pairs_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "_BLOCK", 3)
    hashes = [1 << place for place in range(20)]
    assert found_pairs(hashes, 2) == set(combinations(range(20), 2))


def test_a_hundred_thousand_hashes_are_not_compared_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Families of look-alikes around 5,000 shapes, as the packshots of one brand may be."""
    rng = random.Random(0)
    shapes = [rng.getrandbits(64) for _ in range(5_000)]
    hashes = {flipped(rng.choice(shapes), rng.sample(range(64), rng.randrange(7))) for _ in range(100_000)}
    compared = 0
    original = near._near_members

    def counted(values: near.Hashes, members: np.ndarray, bits: int) -> object:
        nonlocal compared
        compared += members.size**2
        return original(values, members, bits)

    monkeypatch.setattr(near, "_near_members", counted)
    pairs = found_pairs(sorted(hashes), 2)
    assert len(pairs) > 1_000
    assert compared < len(hashes) ** 2 / 1_000


def rows(*of: tuple[str, str, int | None]) -> list[Example]:
    """Rows of (row id, name, hash), each with an image of its own."""
    return [
        Example(row_id, name, None, f"image-{row_id}", None if value is None else f"{value:016x}")
        for row_id, name, value in of
    ]


def parts(made: Grouping) -> set[frozenset[str]]:
    return {frozenset(group.row_ids) for group in made.groups}


def test_near_images_of_one_name_stay_together() -> None:
    given_rows = rows(("a", "N", 0), ("b", "N", 0b11), ("c", "N", 0b1100), ("d", "N", 0b111 << 40), ("e", "N", None))
    made = group_examples(given_rows, code_prefix=None, near_bits=2)
    assert parts(made) == {frozenset("abc"), frozenset("d"), frozenset("e")}
    assert made.joins == {"code": 0, "image": 0, "near": 2} and made.near_rows == 3
    assert len(group_examples(given_rows, code_prefix=None, near_bits=None).groups) == 5
    assert len(group_examples(given_rows, code_prefix=None, near_bits=1).groups) == 5


def test_near_images_of_two_names_are_not_joined() -> None:
    made = group_examples(rows(("a", "N", 5), ("b", "M", 5)), code_prefix=None, near_bits=8)
    assert parts(made) == {frozenset("a"), frozenset("b")}


def test_equal_hashes_are_near_when_no_bit_may_differ() -> None:
    made = group_examples(rows(("a", "N", 5), ("b", "N", 5), ("c", "N", 7)), code_prefix=None, near_bits=0)
    assert parts(made) == {frozenset("ab"), frozenset("c")}


def test_near_images_join_whole_products() -> None:
    shop = [
        Example("a", "N", "P1", "i1", f"{0:016x}"),
        Example("b", "N", "P1", "i2", f"{0xFF << 30:016x}"),
        Example("c", "N", "P2", "i3", f"{1:016x}"),
        Example("d", "N", "P2", "i4", f"{0xFF << 50:016x}"),
    ]
    made = group_examples(shop, code_prefix=None, near_bits=2)
    assert parts(made) == {frozenset("abcd")} and made.groups[0].num_products == 2
    assert made.joins == {"code": 2, "image": 0, "near": 1}


def test_where_near_images_join_too_much_the_group_falls_back_into_its_parts() -> None:
    alike = [Example(f"a{place:02d}", "N", f"P{place // 2}", f"i{place}", f"{9:016x}") for place in range(22)]
    pair = rows(("x", "N", 0xFFF << 20), ("y", "N", 0xFFF << 20))
    joined = group_examples(alike + pair, code_prefix=None, near_bits=2, near_cap=20)
    assert sorted(group.size for group in joined.groups) == [2, 22] and joined.refused_groups == 0
    fallen = group_examples(alike + pair, code_prefix=None, near_bits=2, near_cap=19)
    assert sorted(group.size for group in fallen.groups) == [2] * 12
    assert (fallen.refused_groups, fallen.refused_rows, fallen.near_rows) == (1, 22, 2)
    assert fallen.joins == {"code": 11, "image": 0, "near": 1}


def test_a_large_product_may_have_near_neighbours() -> None:
    product = [Example(f"a{place:02d}", "N", "P", f"i{place}", f"{9:016x}") for place in range(50)]
    made = group_examples(product + rows(("x", "N", 9)), code_prefix=None, near_bits=2, near_cap=20)
    assert [group.size for group in made.groups] == [51]


def test_one_hash_on_very_many_rows_is_joined_in_one_sweep() -> None:
    many = rows(*((f"r{place}", "N", 77) for place in range(50_000)))
    assert len(group_examples(many, code_prefix=None, near_bits=2, near_cap=10**6).groups) == 1


@given(st.lists(st.tuples(st.sampled_from("NM"), st.integers(0, 3), st.integers(0, 40)), max_size=40), st.randoms())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_the_order_of_rows_does_not_matter(made: list[tuple[str, int, int]], rng: random.Random) -> None:
    shop = [
        Example(f"r{place}", name, f"P{code}" if code else None, f"i{place % 7}", f"{value:016x}")
        for place, (name, code, value) in enumerate(made)
    ]
    first = group_examples(shop, code_prefix=None, near_bits=1, near_cap=4)
    assert group_examples(rng.sample(shop, len(shop)), code_prefix=None, near_bits=1, near_cap=4) == first
    assert sum(first.joins.values()) == len(shop) - len(first.groups)
    exact = group_examples(shop, code_prefix=None)
    for part in parts(exact):
        assert any(part <= whole for whole in parts(first)), "near images only ever join"


def test_the_stage_keeps_near_images_on_one_side_and_counts_them(tmp_path: Path) -> None:
    rng = random.Random(3)
    table = []
    for place in range(300):
        row = example(f"r{place:03d}", code=f"P{place}", image=f"i{place}")
        value = rng.getrandbits(64)
        table += [row | {"image_phash": f"{value:016x}"}]
        if place % 10 == 0:
            near_row = example(f"s{place:03d}", code=f"Q{place}", image=f"j{place}")
            table += [near_row | {"image_phash": f"{flipped(value, rng.sample(range(64), 2)):016x}"}]
    outcome, kept, _ = split(table, tmp_path / "on", min_per_name=1, validation=30, test=60)
    side = {row["row_id"]: row["split"] for row in kept}
    assert all(side[f"r{place:03d}"] == side[f"s{place:03d}"] for place in range(0, 300, 10))
    assert outcome.details["joins"] == {"code": 0, "image": 0, "near": 30}
    assert outcome.details["near_images"] == {"joined_rows": 60, "refused_groups": 0, "refused_rows": 0}
    _, loose, _ = split(table, tmp_path / "off", min_per_name=1, validation=30, test=60, near_bits=None)
    side = {row["row_id"]: row["split"] for row in loose}
    assert any(side[f"r{place:03d}"] != side[f"s{place:03d}"] for place in range(0, 300, 10))
