"""Nearness without comparing each with each, against comparing each with each."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nameplate.stages.leaks.captions import NEAR, _Index
from nameplate.stages.leaks.hashes import nearest_across
from nameplate.stages.leaks.shingles import band_keys, jaccard, shingle
from nameplate.text.words import comparable, pieces

from .leak_tables import WORDS


def _hashes(rng: np.random.Generator, num: int, *, around: int = 40) -> np.ndarray:
    """Some near each other: a few centres with up to nine bits changed."""
    centres = rng.integers(0, 1 << 63, size=around, dtype=np.uint64) * 2
    flips = rng.integers(0, 10, size=num)
    found = []
    for place, flipped in enumerate(flips):
        value = int(centres[place % around])
        for bit in rng.choice(64, size=flipped, replace=False):
            value ^= 1 << int(bit)
        found.append(value)
    return np.unique(np.array(found, dtype=np.uint64))


@pytest.mark.parametrize("bits", [0, 2, 6, 8])
@pytest.mark.parametrize("most", [1, 3])
def test_nearest_hashes_are_those_of_brute_force(bits: int, most: int) -> None:
    rng = np.random.default_rng(bits)
    train = _hashes(rng, 900)
    held = np.unique(np.concatenate([_hashes(rng, 200), train[::7]]))
    near = nearest_across(held, train, bits=bits, most=most)
    apart = np.bitwise_count(held[:, None] ^ train[None, :])
    expected = [
        (row, int(column), int(apart[row, column]))
        for row in range(held.size)
        for column in sorted(np.flatnonzero(apart[row] <= bits), key=lambda at: (apart[row, at], at))[:most]
    ]
    assert expected
    assert list(zip(near.held.tolist(), near.train.tolist(), near.bits.tolist(), strict=True)) == expected


def test_no_hash_is_near_nothing() -> None:
    none = np.empty(0, dtype=np.uint64)
    some = np.array([5], dtype=np.uint64)
    for held, train in ((none, some), (some, none), (none, none)):
        assert nearest_across(held, train, bits=6, most=2).held.size == 0


def _sets(text: str) -> set[tuple[str, ...]]:
    words = pieces(comparable(text))
    return {tuple(words[start : start + 3]) for start in range(len(words) - 2)} if len(words) >= 8 else set()


def test_near_captions_meet_and_their_jaccard_is_that_of_the_sets() -> None:
    rng = random.Random(3)
    held = [" ".join(rng.choices(WORDS, k=rng.randrange(4, 60))) for _ in range(120)]
    train = []
    for text in held:
        words = text.split()
        for _ in range(rng.randrange(4)):
            words[rng.randrange(len(words))] = rng.choice(WORDS)
        train.append(" ".join(words))
    ours, theirs = shingle(held), shingle(train)
    met = set(_Index(ours).meetings(band_keys(theirs)))
    near = 0
    for place, text in enumerate(held):
        for other, copy in enumerate(train):
            one, two = _sets(text), _sets(copy)
            expected = len(one & two) / max(1, len(one | two))
            if one and two and (place == other or expected):
                assert jaccard(ours.of(place), theirs.of(other)) == pytest.approx(expected)
            if expected >= NEAR:
                near += 1
                assert (place, other) in met
    assert near > 40


def test_texts_of_few_words_and_none_have_no_keys() -> None:
    keys = band_keys(shingle(["", "a red cup", "a red cup on a white table in the sun"]))
    assert not keys[:2].any()
    assert keys[2].all()
    assert band_keys(shingle([])).shape == (0, 16)


def test_one_template_meets_a_few_times_only() -> None:
    """However many training captions share a key, few are compared with a held-out one."""
    text = "a red cup by Acme on a white table in the bright morning sun"
    index = _Index(shingle([text]))
    keys = band_keys(shingle([text] * 5_000))
    assert len(index.meetings(keys)) == 8
    assert index.meetings(keys) == []
