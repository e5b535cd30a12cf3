"""The link check: what a few hundred sampled rows say about a whole table. Numbers only; nothing is asked here.

    live share      answered rows that gave an image, with a 95 % Wilson interval. Rows that were not answered in time
                    widen it: its lower end takes them all for dead, its upper end for live
    good            the lower end is at least 90 %
    usable          the lower end is at least 20 %
    unusable        the upper end is under 20 %
    unclear         all else: the sample is too small, or too much of it went unanswered

A sample that is the whole table has no error of sampling: its interval is the share itself, but for unanswered rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import mean, median
from typing import Final, NamedTuple

import numpy as np

from nameplate.records import FetchStatus
from nameplate.stages.fetch.overview import REFUSALS
from nameplate.stages.fetch.result import KeptImage, LinkResult
from nameplate.statistics import Share, wilson

GOOD: Final = 0.90
"""Live share from which on a table is good."""
USABLE: Final = 0.20
"""Live share from which on a table is usable; web tables lose 20 to 30 % (`research/data.md` 1.1)."""
SHOWN: Final = 10
"""Hosts, names and shared images that are listed."""
FEW: Final = 5
"""Fewer answers of a host say nothing about its speed: the mean of all hosts is taken."""


class Verdict(StrEnum):
    """What to do with a table."""

    GOOD = "good"
    USABLE = "usable"
    UNUSABLE = "unusable"
    UNCLEAR = "unclear"

    @property
    def exit_code(self) -> int:
        """0: go ahead; 1: do not, or not yet."""
        return 0 if self in (Verdict.GOOD, Verdict.USABLE) else 1


class SampledRow(NamedTuple):
    """One row of the sample, and how its image ended; none: not in time."""

    name: str
    url: str
    host: str | None
    """None: the image came with the table, or the link names no host."""
    result: LinkResult | None
    num_products: int = 1
    """Products of the sample that share the image; over the recipe's limit its status is `placeholder`."""


@dataclass(frozen=True)
class Group:
    """The sampled rows of one host or name."""

    key: str
    rows: int
    live: int
    unanswered: int
    median_ms: int | None


@dataclass(frozen=True)
class Sizes:
    """Of the images that are live."""

    median_bytes: int
    p95_bytes: int
    median_width: int
    median_height: int
    smallest_width: int
    smallest_height: int


@dataclass(frozen=True)
class SharedImage:
    """One image under several product codes: perhaps the shop's "no image" tile."""

    url: str
    num_products: int
    rows: int


@dataclass(frozen=True)
class Estimate:
    """What fetching the whole table will cost, at the recipe's limits."""

    links: int
    requests: int
    bytes: int
    hours: float
    busiest_host: str
    """The host whose links take longest at `fetch.per_host`; it decides unless `fetch.concurrency` does."""
    megabits_per_second: float
    """Of line that is needed to be done in so many hours."""


@dataclass(frozen=True)
class LinkCheck:
    """Everything that `nameplate fetch --sample` says."""

    verdict: Verdict
    sentence: str
    table_rows: int
    rows: int
    """Rows of the sample."""
    unanswered: int
    live: Share
    """Of answered rows, with the interval of all sampled ones."""
    reasons: dict[str, int]
    """Rows by status, `ok` left out, most frequent first."""
    refused: int
    """Rows whose host does not want machines: `robots_disallowed`, `opted_out` and `http_403`."""
    hosts: list[Group]
    """Smallest live share first."""
    num_hosts: int
    names: list[Group]
    """Smallest live share first."""
    num_names: int
    sizes: Sizes | None
    shared: list[SharedImage]
    estimate: Estimate | None
    """None: no link was answered, or there is none."""
    seconds: float


@dataclass(frozen=True)
class Cost:
    """What an estimate needs to know beside the sample."""

    links_by_host: Mapping[str, int]
    """Distinct links of the whole table."""
    per_host: int
    concurrency: int


def check(rows: Sequence[SampledRow], *, table_rows: int, cost: Cost, seconds: float) -> LinkCheck:
    """Put the numbers of a sample together.

    Args:
        rows: the sample, drawn uniformly.
        table_rows: size of the table it was drawn from.
        cost: what a full fetch has to do.
        seconds: how long the check took.
    """
    answered = [row for row in rows if row.result is not None]
    live = live_share(sum(map(_is_live, rows)), len(answered), sampled=len(rows), whole=len(rows) == table_rows)
    verdict = judge(live)
    reasons = Counter(str(row.result.status) for row in rows if row.result is not None and not _is_live(row))
    hosts = _groups(rows, [row.host for row in rows])
    names = _groups(rows, [row.name or None for row in rows])
    return LinkCheck(
        verdict=verdict,
        sentence=_sentence(verdict, live, table_rows=table_rows, sampled=len(rows), noun=_noun(rows)),
        table_rows=table_rows,
        rows=len(rows),
        unanswered=len(rows) - len(answered),
        live=live,
        reasons=dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))),
        refused=sum(reasons[status] for status in REFUSALS),
        hosts=hosts[:SHOWN],
        num_hosts=len(hosts),
        names=names[:SHOWN],
        num_names=len(names),
        sizes=_sizes([row.result.image for row in rows if _is_live(row) and row.result and row.result.image]),
        shared=_shared(rows),
        estimate=_estimate(answered, cost),
        seconds=round(seconds, 1),
    )


def live_share(live: int, answered: int, *, sampled: int, whole: bool) -> Share:
    """The share of answered rows that live, with an interval that takes unanswered ones for dead and for live."""
    pessimist, optimist = (wilson(count, sampled) for count in (live, live + sampled - answered))
    low, high = (pessimist.value, optimist.value) if whole and sampled else (pessimist.low, optimist.high)
    return Share(live, answered, live / answered if answered else 0.0, low, high)


def judge(live: Share) -> Verdict:
    """What the interval allows to say."""
    if live.low >= GOOD:
        return Verdict.GOOD
    if live.low >= USABLE:
        return Verdict.USABLE
    return Verdict.UNUSABLE if live.high < USABLE else Verdict.UNCLEAR


def _is_live(row: SampledRow) -> bool:
    return row.result is not None and row.result.status is FetchStatus.OK


def _noun(rows: Sequence[SampledRow]) -> str:
    return "link" if any(row.host is not None for row in rows) else "image"


def _sentence(verdict: Verdict, live: Share, *, table_rows: int, sampled: int, noun: str) -> str:
    num_left = sampled - live.n
    late = f"; {num_left:,} of {sampled:,} were not answered in time" if num_left else ""
    counted = f"{live.count:,} of {live.n:,} {noun}s {'is' if live.n == 1 else 'are'} live"
    if verdict is Verdict.UNUSABLE:
        return f"{counted}: do not use this table{late}"
    between = _between(live)
    if verdict is Verdict.UNCLEAR:
        more = "run the same command again, it goes on with those" if num_left else "check more with --sample"
        return f"unclear: {counted}{late}; {between} of all may be live: {more}"
    rest = f"{_rows(table_rows, live, whole=sampled == table_rows)} of {table_rows:,} rows remain"
    certain = live.low == live.high
    if verdict is Verdict.GOOD:
        return f"good: {counted}{'' if certain else f' ({between})'}{late}; {rest}"
    return f"usable: {_one_in(live, noun)}{'' if certain else f' ({between} live)'}{late}; {rest}"


def _between(live: Share) -> str:
    return f"{100 * live.low:.1f} to {100 * live.high:.1f} %"


def _one_in(live: Share, noun: str) -> str:
    dead = live.n - live.count
    if live.count < dead:
        return f"only about 1 in {round(live.n / live.count):,} {noun}s is live"
    return f"about 1 in {round(live.n / dead):,} {noun}s is dead" if dead else f"no {noun} that was answered is dead"


def _rows(table_rows: int, live: Share, *, whole: bool) -> str:
    """How many rows remain: of a table that was checked whole exactly, else to the digits that a sample deserves."""
    low, high = (round(table_rows * share) if whole else _rough(table_rows * share) for share in (live.low, live.high))
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _rough(number: float) -> int:
    return int(float(f"{number:.3g}"))


def _groups(rows: Sequence[SampledRow], keys: Sequence[str | None]) -> list[Group]:
    grouped: dict[str, list[SampledRow]] = defaultdict(list)
    for row, key in zip(rows, keys, strict=True):
        if key is not None:
            grouped[key].append(row)
    groups = [_group(key, members) for key, members in grouped.items()]
    return sorted(groups, key=lambda group: (group.live / group.rows, -group.rows, group.key))


def _group(key: str, rows: Sequence[SampledRow]) -> Group:
    times = [row.result.ms for row in rows if row.result is not None and row.result.attempts]
    return Group(
        key=key,
        rows=len(rows),
        live=sum(map(_is_live, rows)),
        unanswered=sum(row.result is None for row in rows),
        median_ms=round(median(times)) if times else None,
    )


def _sizes(images: Sequence[KeptImage]) -> Sizes | None:
    if not images:
        return None
    num_bytes = [image.num_bytes for image in images]
    smallest = min(images, key=lambda image: (min(image.width, image.height), max(image.width, image.height)))
    return Sizes(
        median_bytes=round(median(num_bytes)),
        p95_bytes=round(float(np.quantile(num_bytes, 0.95))),
        median_width=round(median(image.width for image in images)),
        median_height=round(median(image.height for image in images)),
        smallest_width=smallest.width,
        smallest_height=smallest.height,
    )


def _shared(rows: Sequence[SampledRow]) -> list[SharedImage]:
    shared: dict[str, list[SampledRow]] = defaultdict(list)
    for row in rows:
        if row.num_products > 1 and row.result is not None and row.result.image is not None:
            shared[row.result.image.sha256].append(row)
    found = [SharedImage(members[0].url, members[0].num_products, len(members)) for members in shared.values()]
    return sorted(found, key=lambda image: (-image.num_products, -image.rows, image.url))[:SHOWN]


def _estimate(answered: Sequence[SampledRow], cost: Cost) -> Estimate | None:
    asked: dict[str, list[LinkResult]] = defaultdict(list)
    for row in answered:
        if row.host is not None and row.result is not None and row.result.attempts:
            asked[row.host].append(row.result)
    links = sum(cost.links_by_host.values())
    if not asked or not links:
        return None
    results = [result for group in asked.values() for result in group]
    overall = mean(result.ms for result in results) / 1000
    seconds = {
        host: num * (mean(result.ms for result in asked[host]) / 1000 if len(asked[host]) >= FEW else overall)
        for host, num in cost.links_by_host.items()
    }
    busiest = max(sorted(seconds), key=lambda host: seconds[host])
    total_seconds = max(seconds[busiest] / cost.per_host, sum(seconds.values()) / cost.concurrency)
    num_bytes = round(links * mean(result.image.num_bytes if result.image else 0 for result in results))
    return Estimate(
        links=links,
        requests=round(links * mean(result.attempts for result in results)),
        bytes=num_bytes,
        hours=round(total_seconds / 3600, 2),
        busiest_host=busiest,
        megabits_per_second=round(8e-6 * num_bytes / total_seconds, 1) if total_seconds else 0.0,
    )
