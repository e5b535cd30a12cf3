"""How the asking went: requests, answers, retries, and latencies per host, in a size that no table can blow up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nameplate.records import FetchStatus
from nameplate.stages.fetch.result import LinkResult

MAX_HOSTS = 300
"""Hosts that one shard's figures name; the others are added up as one."""

_BUCKETS_PER_DOUBLING = 4


class Latencies:
    """Counts of milliseconds in logarithmic buckets: mergeable, bounded, and right to about 9 %."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts: Counter[int] = Counter(counts or {})

    def add(self, ms: float) -> None:
        """Count one duration; all below a millisecond are one."""
        self._counts[round(_BUCKETS_PER_DOUBLING * math.log2(max(ms, 1.0)))] += 1

    def merge(self, other: Latencies) -> None:
        """Add another's counts."""
        self._counts.update(other._counts)

    def quantile(self, share: float) -> int | None:
        """Milliseconds under which this share lies; none: nothing was counted."""
        wanted, seen = share * self.num, 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return round(_middle(bucket))
        return None

    @property
    def num(self) -> int:
        """Durations counted."""
        return self._counts.total()

    @property
    def mean_ms(self) -> float | None:
        """Mean of the buckets' own values; none: nothing was counted."""
        total = sum(count * _middle(bucket) for bucket, count in self._counts.items())
        return total / self.num if self.num else None

    def as_json(self) -> dict[str, int]:
        """Counts by bucket."""
        return {str(bucket): count for bucket, count in sorted(self._counts.items())}

    @classmethod
    def from_json(cls, value: Mapping[str, int]) -> Latencies:
        """What `as_json` wrote."""
        return cls({int(bucket): count for bucket, count in value.items()})


@dataclass
class HostFigures:
    """One host, or many added up."""

    links: Counter[str] = field(default_factory=Counter)
    """Links by status, whether asked now or known from before."""
    latencies: Latencies = field(default_factory=Latencies)
    """Of links that were asked now: time in requests and decoding, waiting for a turn not counted."""

    def merge(self, other: HostFigures) -> None:
        """Add another's counts."""
        self.links.update(other.links)
        self.latencies.merge(other.latencies)

    def as_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {"links": dict(sorted(self.links.items())), "ms": self.latencies.as_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> HostFigures:
        """What `as_json` wrote."""
        return cls(Counter(value["links"]), Latencies.from_json(value["ms"]))


class LinkFigures:
    """What one shard's links cost. The caller reports requests and bytes as they happen, and each link when it ends.

    Not safe for several threads: call it from the loop that asks.
    """

    def __init__(self, *, max_hosts: int = MAX_HOSTS) -> None:
        self.requests = 0
        """Requests sent: first tries, retries, redirects and robots.txt alike."""
        self.bytes_received = 0
        """Bytes of bodies read, images or not."""
        self.links = 0
        """Distinct links of the shards; one that stands in two shards counts in both."""
        self.known = 0
        """Those of them that were answered from the ledger."""
        self.retries = 0
        """Tries after the first of a link."""
        self.hosts: dict[str, HostFigures] = {}
        self.other = HostFigures()
        """Hosts over the cap, added up."""
        self._max_hosts = max_hosts

    def count_request(self) -> None:
        """Count a request when it is sent."""
        self.requests += 1

    def count_bytes(self, num_bytes: int) -> None:
        """Count bytes of a body as they come."""
        self.bytes_received += num_bytes

    def add(self, host: str | None, result: LinkResult, *, known: bool, rows: int = 1) -> None:
        """Count a link that has ended.

        Args:
            host: whom it points to; none: no host was ever concerned (a bad link, an image that came with the table).
            result: how it ended.
            known: whether it was answered from before, without a request.
            rows: rows of the shard that share the link.
        """
        self.links += 1
        self.known += known
        if not known:
            self.retries += max(0, result.attempts - 1)
        if host is None:
            return
        figures = self.hosts.setdefault(host, HostFigures())
        figures.links[str(result.status)] += 1
        if not known and result.status is not FetchStatus.BAD_URL:
            figures.latencies.add(result.ms)

    def as_json(self) -> dict[str, Any]:
        """A JSON object for `merge`: the busiest hosts by name, the others added up."""
        self._fold(self._max_hosts)
        return {
            "requests": self.requests,
            "bytes_received": self.bytes_received,
            "links": self.links,
            "known": self.known,
            "retries": self.retries,
            "hosts": {host: figures.as_json() for host, figures in self.hosts.items()},
            "other_hosts": self.other.as_json(),
        }

    @classmethod
    def merge(cls, parts: Iterable[Mapping[str, Any]], *, max_hosts: int = MAX_HOSTS) -> LinkFigures:
        """Add up what `as_json` wrote, with bounded memory; parts that are empty or of another kind count nothing.

        A host that a shard did not name, for it named its busiest only, counts among the others there.
        """
        whole = cls(max_hosts=max_hosts)
        for part in parts:
            if "hosts" not in part:
                continue
            whole.requests += part["requests"]
            whole.bytes_received += part["bytes_received"]
            whole.links += part["links"]
            whole.known += part["known"]
            whole.retries += part["retries"]
            for host, figures in part["hosts"].items():
                whole.hosts.setdefault(host, HostFigures()).merge(HostFigures.from_json(figures))
            whole.other.merge(HostFigures.from_json(part["other_hosts"]))
            # Room to spare, so that a host that is busy in late shards is not folded away in the early ones.
            if len(whole.hosts) > 20 * max_hosts:
                whole._fold(10 * max_hosts)
        whole._fold(max_hosts)
        return whole

    def _fold(self, max_hosts: int) -> None:
        """Keep the busiest hosts by name and add the others up."""
        order = sorted(self.hosts, key=lambda host: (-self.hosts[host].links.total(), host))
        for host in order[max_hosts:]:
            self.other.merge(self.hosts.pop(host))
        self.hosts = {host: self.hosts[host] for host in order[:max_hosts]}


def _middle(bucket: int) -> float:
    """Milliseconds that a bucket stands for."""
    return math.exp2(bucket / _BUCKETS_PER_DOUBLING)
