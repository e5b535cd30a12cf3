"""Rows that must stay together: variants of one product, and listings that share an image or nearly do."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nameplate.stages.split.near import near_pairs


class Example(NamedTuple):
    """What the split needs to know of a row."""

    row_id: str
    name: str
    code: str | None
    image: str | None
    phash: str | None = None


class Group(NamedTuple):
    """Rows of one product, or of several that share an image.

    `id` depends on the members only, not on their order. `home` is the name of most rows; `num_products` above one
    says that only images joined them.
    """

    id: str
    row_ids: tuple[str, ...]
    counts: dict[str, int]
    home: str
    num_products: int

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.row_ids)


class Grouping(NamedTuple):
    """All groups, in the order of their ids.

    `joins` says how many groups fewer there are for the product code, then for equal images, then for near ones.
    `near_rows` are in groups that near images joined, `refused_rows` in the `refused_groups` that would be too large.
    """

    groups: list[Group]
    joins: dict[str, int]
    near_rows: int
    refused_groups: int
    refused_rows: int


class _Parts(NamedTuple):
    """Root of each row's final group, and what the near images did."""

    roots: list[str]
    near_rows: int
    refused_groups: int
    refused_rows: int


def group_examples(
    examples: Iterable[Example], *, code_prefix: int | None, near_bits: int | None = None, near_cap: int = 20
) -> Grouping:
    """Union-find over (name, product code), image, and near images of one name; a row with none is a group of its own.

    A perceptual hash cannot tell colours, and different products on white can look alike: so near images join within
    one name only, and where they would add more than `near_cap` rows to the largest part of a group, this group falls
    back into its parts.

    Args:
        code_prefix: so many first characters of the code identify a product; none: all of it.
        near_bits: perceptual hashes that differ in at most so many bits are near; none: images must be equal.
        near_cap: most rows that near images may add to one group.
    """
    rows = list(examples)
    keys = [_keys(example, code_prefix) for example in rows]
    sets = _DisjointSets()
    for own in keys:
        for key in own:
            sets.join(own[0], key)
    exact = [sets.root(own[0]) for own in keys]
    parts = _Parts(exact, 0, 0, 0)
    if near_bits is not None:
        parts = _near_parts(rows, exact, bits=near_bits, cap=near_cap)
    gathered: dict[str, list[tuple[Example, str]]] = defaultdict(list)
    for root, example, own in zip(parts.roots, rows, keys, strict=True):
        gathered[root].append((example, own[0]))
    groups = sorted((_group(members) for members in gathered.values()), key=lambda group: group.id)
    products = len({own[0] if own[0].startswith("code\0") else place for place, own in enumerate(keys)})
    merged = len(set(exact))
    joins = {"code": len(rows) - products, "image": products - merged, "near": merged - len(groups)}
    return Grouping(groups, joins, *parts[1:])


def _near_parts(rows: Sequence[Example], exact: Sequence[str], *, bits: int, cap: int) -> _Parts:
    """Join the exact groups of near images, as far as the cap lets them."""
    sets = _DisjointSets()
    by_name: dict[str, dict[int, str]] = defaultdict(dict)
    for example, root in zip(rows, exact, strict=True):
        if example.phash:
            # Equal hashes meet here, so that however many there are, only one of them is compared with others.
            sets.join(root, by_name[example.name].setdefault(int(example.phash, 16), root))
    for roots in by_name.values():
        _join_near(sets, roots, bits=bits)
    near = [sets.root(root) for root in exact]
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for whole, part in zip(near, exact, strict=True):
        sizes[whole][part] += 1
    refused = {whole for whole, by_part in sizes.items() if by_part.total() - max(by_part.values()) > cap}
    joined = sum(count.total() for whole, count in sizes.items() if whole not in refused and len(count) > 1)
    final = [part if whole in refused else whole for whole, part in zip(near, exact, strict=True)]
    return _Parts(final, joined, len(refused), sum(sizes[whole].total() for whole in refused))


def _join_near(sets: _DisjointSets, roots: Mapping[int, str], *, bits: int) -> None:
    """Join what near hashes of one name stand for."""
    hashes = np.array(sorted(roots), dtype=np.uint64)
    names = [roots[int(value)] for value in hashes]
    for pairs in near_pairs(hashes, bits=bits):
        for first, second in pairs.tolist():
            sets.join(names[first], names[second])


def _keys(example: Example, code_prefix: int | None) -> list[str]:
    """Product first, image second: what a row shares with others."""
    keys = []
    code = (example.code or "").strip()
    if code:
        keys.append(f"code\0{example.name}\0{code[:code_prefix]}")
    if example.image:
        keys.append(f"image\0{example.image}")
    return keys or [f"row\0{example.row_id}"]


def _group(rows: Sequence[tuple[Example, str]]) -> Group:
    keys = {key for _, key in rows}
    counts = Counter(example.name for example, _ in rows)
    home = min(counts, key=lambda name: (-counts[name], name))
    digest = hashlib.blake2b(min(keys).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    row_ids = tuple(sorted(example.row_id for example, _ in rows))
    return Group(digest, row_ids, dict(sorted(counts.items())), home, len(keys))


class _DisjointSets:
    """Union-find with path halving."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, key: str) -> str:
        parent = self._parent
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    def join(self, first: str, second: str) -> None:
        first, second = self.root(first), self.root(second)
        # The smaller key is the root: no order of joining can change which.
        self._parent[max(first, second)] = min(first, second)
