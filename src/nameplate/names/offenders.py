"""Names that stand in texts about other names: ordinary words in disguise, measured on the user's own texts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from nameplate.names.matcher import Matcher, Mention
from nameplate.names.overrides import POLICIES, MatchPolicy

MIN_TEXTS: Final = 3
"""Fewer texts of other names are chance."""
_EXAMPLES: Final = 3
_AROUND_CHARS: Final = 24


class NamedText(NamedTuple):
    """A text, and the name of its row in any spelling."""

    name: str
    text: str


@dataclass(frozen=True)
class Offender:
    """A name that texts about other names contain.

    `wrong` and `own`: in how many texts of others, and of its own, it counts as a claim, by policy. `suggests` is the
    policy with the fewest mistakes (wrong claims, and own ones lost), none when that is the one it has.
    """

    name: str
    policy: MatchPolicy
    num_own: int
    num_others: int
    wrong: dict[MatchPolicy, int]
    own: dict[MatchPolicy, int]
    suggests: MatchPolicy | None
    examples: tuple[str, ...]

    @property
    def expected_share(self) -> float:
        """Its share of all texts: a text says no name more often by chance."""
        return self.num_own / (self.num_own + self.num_others)

    @property
    def found_share(self) -> float:
        """Share of the others' texts in which it stands at all."""
        return self.wrong["plain"] / self.num_others


@dataclass
class _Tally:
    own: Counter[MatchPolicy] = field(default_factory=Counter)
    wrong: Counter[MatchPolicy] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)


def find_offenders(texts: Iterable[NamedText], matcher: Matcher) -> list[Offender]:
    """Count names in texts of other names; the name with most wrong claims first.

    Texts whose name the registry does not know are passed over. What a text denies or compares with does not count.
    """
    sizes: Counter[str] = Counter()
    tallies: dict[str, _Tally] = defaultdict(_Tally)
    for name, text in texts:
        gold = matcher.registry.lookup(name)
        if gold is None:
            continue
        sizes[gold.display] += 1
        for mention in _strongest(matcher.mentions(text)):
            tally = tallies[mention.entry.display]
            policies = POLICIES[: POLICIES.index(mention.counts_up_to) + 1]
            if mention.entry is gold:
                tally.own.update(policies)
                continue
            tally.wrong.update(policies)
            if len(tally.examples) < _EXAMPLES:
                tally.examples.append(_excerpt(text, mention))
    found = [
        _offender(name, tally, matcher, num_own=sizes[name], num_texts=sizes.total())
        for name, tally in tallies.items()
        if tally.wrong["plain"] >= MIN_TEXTS
    ]
    return sorted(found, key=lambda one: (-one.wrong[one.policy], -one.wrong["plain"], one.name))


def _strongest(mentions: Iterable[Mention]) -> Iterable[Mention]:
    """Of several mentions of one name in a text the one that counts under the strictest policy."""
    best: dict[str, Mention] = {}
    for mention in mentions:
        known = best.get(mention.entry.display)
        if known is None or POLICIES.index(mention.counts_up_to) > POLICIES.index(known.counts_up_to):
            best[mention.entry.display] = mention
    return best.values()


def _offender(name: str, tally: _Tally, matcher: Matcher, *, num_own: int, num_texts: int) -> Offender:
    entry = matcher.registry.lookup(name)
    assert entry is not None
    mistakes = {policy: tally.wrong[policy] + tally.own["plain"] - tally.own[policy] for policy in POLICIES}
    best = min(POLICIES, key=lambda policy: (mistakes[policy], policy != entry.match_policy))
    return Offender(
        name,
        policy=entry.match_policy,
        num_own=num_own,
        num_others=num_texts - num_own,
        wrong={policy: tally.wrong[policy] for policy in POLICIES},
        own={policy: tally.own[policy] for policy in POLICIES},
        suggests=best if best != entry.match_policy else None,
        examples=tuple(tally.examples),
    )


def _excerpt(text: str, mention: Mention) -> str:
    start, end = max(mention.start - _AROUND_CHARS, 0), mention.end + _AROUND_CHARS
    before, after = text[start : mention.start], text[mention.end : end]
    # Whole words only, where the text is cut.
    before = before.partition(" ")[2] if start > 0 else before
    after = after.rpartition(" ")[0] if end < len(text) else after
    return before + text[mention.start : mention.end] + after
