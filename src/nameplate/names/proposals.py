"""Pairs of names that may be one: slips, word order, legal and city endings, initials. A person decides.

Never quadratic: names meet only in small groups (equal after one letter is left out; a shared word or a shared start or
end that at most `MAX_GROUP` names have), so the work grows with the letters of the column, not with the square of its
names. What is missed for it: names that share a very frequent word and differ by more than one letter elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from nameplate.names.common import word_set
from nameplate.names.counted import CountedName, CountedNames
from nameplate.names.registry import NameEntry

MAX_GROUP: Final = 200
"""Larger groups of names that share a word, a start or an end are not compared."""
_MAX_CHARS: Final = 80
_MIN_TYPO_CHARS: Final = 5
_MIN_TYPO_SIMILARITY: Final = 80.0
_MIN_SIMILARITY: Final = 86.0
_EDGE_CHARS: Final = 4
_MAX_INITIALS: Final = 6
_MAX_NAMES_OF_INITIALS: Final = 5
_ESTABLISHED_ROWS: Final = 20

_LEGAL: Final = word_set("""
    inc incorporated llc llp ltd limited gmbh ag sa sas sarl srl spa co corp corporation company bv nv plc kg oy ab aps
    pty com net the s
""")
_ENDINGS: Final = word_set("""
    paris milano milan london york new nyc tokyo roma rome firenze florence berlin copenhagen stockholm madrid barcelona
    amsterdam antwerp italy italia france usa us uk japan official store shop online brand clothing apparel fashion
    footwear shoes eyewear jewelry jewellery accessories bags studio studios design designs collection
""")


class Likeness(StrEnum):
    """Why two names may be one."""

    ENDING = "ending"
    WORD_ORDER = "word_order"
    TYPO = "typo"
    INITIALS = "initials"
    SIMILAR = "similar"
    INSIDE = "inside"


class Proposal(NamedTuple):
    """`other` may be the same as the more frequent `name`; with INSIDE rather a line of it."""

    name: CountedName
    other: CountedName
    likeness: Likeness
    plausibility: int
    """From 0 to 100, for sorting only."""


def propose_pairs(names: CountedNames, *, decided: Iterable[str] = ()) -> list[Proposal]:
    """The best proposal for each name, the most plausible first.

    Args:
        decided: display forms of entries that a person has written; two of them are two names.
    """
    short = [name for name in names.names if len(name.key) <= _MAX_CHARS]
    own = frozenset(decided)
    best: dict[str, Proposal] = {}
    for proposal in _all_pairs(names, short):
        if proposal.other.display in own and proposal.likeness is not Likeness.INSIDE:
            # What a person has written is the name; the other one may be its alias.
            proposal = proposal._replace(name=proposal.other, other=proposal.name)
        pair = (proposal.name.display, proposal.other.display)
        known = best.get(pair[1])
        if not own.issuperset(pair) and (known is None or _order(proposal) < _order(known)):
            best[pair[1]] = proposal
    return sorted(_without_circles(best), key=_order)


def _order(proposal: Proposal) -> tuple[int, int, str, str]:
    return (-proposal.plausibility, -proposal.name.rows, proposal.name.display, proposal.other.display)


def _without_circles(best: dict[str, Proposal]) -> Iterator[Proposal]:
    """A name that is itself proposed for another brings its own proposals there: one head, all others below it."""
    for proposal in best.values():
        if proposal.likeness is Likeness.INSIDE:
            yield proposal
        elif (head := _head(proposal, best)) is not None:
            yield proposal._replace(name=head)


def _head(proposal: Proposal, best: Mapping[str, Proposal]) -> CountedName | None:
    """Where the chain of proposals ends; none: it leads back to the name itself."""
    head, seen = proposal.name, {proposal.other.display}
    while (above := best.get(head.display)) is not None and above.likeness is not Likeness.INSIDE:
        if head.display in seen:
            return None
        seen.add(head.display)
        head = above.name
    return head


def _all_pairs(names: CountedNames, counted: Sequence[CountedName]) -> Iterator[Proposal]:
    by_display = {name.display: name for name in counted}
    for name in counted:
        for inner in names.inner(name):
            yield from _about_inner(by_display.get(inner.display), name, inner)
    yield from _by_initials(counted)
    for one, other in _one_letter_apart([name for name in counted if len(name.key) >= _MIN_TYPO_CHARS]):
        similarity = 100 * OSA.normalized_similarity(one.key, other.key)
        if similarity >= _MIN_TYPO_SIMILARITY:
            is_slip = OSA.distance(one.key, other.key) == 1
            yield from _alike(one, other, Likeness.TYPO if is_slip else Likeness.SIMILAR, similarity)
    for group in _groups(counted):
        yield from _similar(group)


def _about_inner(inside: CountedName | None, name: CountedName, inner: NameEntry) -> Iterator[Proposal]:
    if inside is None:
        return
    rest = set(name.words) - set(inside.words)
    if rest <= _LEGAL:
        likeness, plausibility = Likeness.ENDING, 98
    elif rest <= _LEGAL | _ENDINGS:
        likeness, plausibility = Likeness.ENDING, 88
    else:
        likeness, plausibility = Likeness.INSIDE, 40
    if likeness is Likeness.INSIDE:
        yield Proposal(inside, name, likeness, plausibility)
    else:
        yield from _alike(inside, name, likeness, plausibility)


def _by_initials(counted: Sequence[CountedName]) -> Iterator[Proposal]:
    long_names: dict[str, list[CountedName]] = defaultdict(list)
    for name in counted:
        words = [word for word in name.words if word != "and"]
        if 1 < len(words) <= _MAX_INITIALS:
            long_names["".join(word[0] for word in words)].append(name)
    for name in counted:
        letters = name.key.replace("and", "") if len(name.key) <= _MAX_INITIALS else ""
        found = [other for other in long_names.get(letters, ()) if other.key != name.key]
        if 0 < len(found) <= _MAX_NAMES_OF_INITIALS:
            plausibility = 60 + 10 * min(len(letters), 3) - 8 * (len(found) - 1)
            for other in found:
                # The short form is the alias, however often it stands.
                yield Proposal(other, name, Likeness.INITIALS, plausibility)


def _one_letter_apart(counted: Sequence[CountedName]) -> Iterator[tuple[CountedName, CountedName]]:
    """Pairs of keys that are equal when one letter is left out of one or of both."""
    shorter = [hash(text) for name in counted for text in _with_one_letter_less(name.key)]
    owners = np.repeat(np.arange(len(counted)), [len(_with_one_letter_less(name.key)) for name in counted])
    # By hash, in arrays: as texts these would be a gigabyte for a million names. Who meets by chance is not similar.
    order = np.argsort(np.array(shorter, dtype=np.int64), kind="stable")
    hashes = np.array(shorter, dtype=np.int64)[order]
    for group in np.split(owners[order], np.flatnonzero(np.diff(hashes)) + 1):
        if 1 < len(group) <= MAX_GROUP:
            yield from combinations([counted[place] for place in group], 2)


def _with_one_letter_less(key: str) -> set[str]:
    return {key, *(key[:place] + key[place + 1 :] for place in range(len(key)))}


def _groups(counted: Sequence[CountedName]) -> Iterator[list[CountedName]]:
    groups: dict[str, list[CountedName]] = defaultdict(list)
    for name in counted:
        key = name.key
        edges = {f"{key[:_EDGE_CHARS]}-", f"-{key[-_EDGE_CHARS:]}"} if len(key) > 2 * _EDGE_CHARS else set()
        for shared in {word for word in name.words if len(word) > 2} | edges:
            groups[shared].append(name)
    yield from (group for group in groups.values() if 1 < len(group) <= MAX_GROUP)


def _similar(group: list[CountedName]) -> Iterator[Proposal]:
    texts = [" ".join(name.words) for name in group]
    scores = process.cdist(texts, texts, scorer=fuzz.token_sort_ratio, score_cutoff=_MIN_SIMILARITY)
    for row, column in zip(*scores.nonzero(), strict=True):
        if row < column:
            one, other = group[row], group[column]
            same_words = sorted(one.words) == sorted(other.words)
            likeness = Likeness.WORD_ORDER if same_words else Likeness.SIMILAR
            yield from _alike(one, other, likeness, float(scores[row, column]) - (0 if same_words else 8))


def _alike(one: CountedName, other: CountedName, likeness: Likeness, plausibility: float) -> Iterator[Proposal]:
    if _numbers(one) != _numbers(other):
        return  # "No. 21" is not "No. 22".
    rare, frequent = sorted((one, other), key=lambda name: (name.rows, name.display))
    if likeness is not Likeness.ENDING and rare.rows >= _ESTABLISHED_ROWS and 5 * rare.rows > frequent.rows:
        plausibility -= 15  # Nobody makes the same slip as often as that.
    yield Proposal(frequent, rare, likeness, round(plausibility))


def _numbers(name: CountedName) -> str:
    return "".join(char for char in name.key if char.isdigit())
