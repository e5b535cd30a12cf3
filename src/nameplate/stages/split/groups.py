"""Rows that must stay together: variants of one product, and listings that share an image."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Example(NamedTuple):
    """What the split needs to know of a row."""

    row_id: str
    name: str
    code: str | None
    image: str | None


class Group(NamedTuple):
    """Rows of one product, or of several that share an image.

    `id` depends on the members only, not on their order. `home` is the name of most rows; `num_products` above one
    says that only shared images joined them.
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


def group_examples(examples: Iterable[Example], *, code_prefix: int | None) -> list[Group]:
    """Union-find over (name, product code) and image hash; a row with neither is a group of its own.

    Args:
        code_prefix: so many first characters of the code identify a product; none: all of it.
    """
    sets = _DisjointSets()
    members: list[tuple[Example, str]] = []
    for example in examples:
        keys = _keys(example, code_prefix)
        for key in keys:
            sets.join(keys[0], key)
        members.append((example, keys[0]))
    gathered: dict[str, list[tuple[Example, str]]] = defaultdict(list)
    for example, key in members:
        gathered[sets.root(key)].append((example, key))
    return sorted((_group(rows) for rows in gathered.values()), key=lambda group: group.id)


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
