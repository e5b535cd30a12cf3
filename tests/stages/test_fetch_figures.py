"""Figures of shards: bounded, mergeable, and true about latencies."""

import json
import random
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nameplate.records import FetchStatus
from nameplate.stages.fetch.figures import Latencies, LinkFigures
from nameplate.stages.fetch.result import LinkResult

OK = LinkResult(FetchStatus.OK, attempts=1, ms=40)
GONE = LinkResult(FetchStatus.HTTP_404, http_status=404, attempts=1, ms=10)


@given(st.lists(st.integers(0, 600_000), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_right_to_nine_percent(times: list[int], share: float) -> None:
    latencies = Latencies()
    for ms in times:
        latencies.add(ms)
    exact = sorted(max(1, ms) for ms in times)[max(0, -int(-share * len(times) // 1) - 1)]
    found = latencies.quantile(share)
    assert found is not None and abs(found - exact) <= 0.095 * exact + 0.5


def test_nothing_counted_has_no_quantile() -> None:
    assert Latencies().quantile(0.5) is None and Latencies().mean_ms is None


def test_parts_merged_are_the_whole() -> None:
    rng = random.Random(0)
    hosts = ["a.example", "b.example", None]
    whole, parts = LinkFigures(), [LinkFigures() for _ in range(3)]
    for _ in range(500):
        host, known = rng.choice(hosts), rng.random() < 0.3
        result = replace(rng.choice([OK, GONE]), ms=rng.randrange(2_000), attempts=rng.randrange(1, 4))
        for figures in (whole, rng.choice(parts)):
            figures.add(host, result, known=known, rows=2)
            figures.count_request()
            figures.count_bytes(100)
    read_back = [json.loads(json.dumps(part.as_json())) for part in parts]
    merged = LinkFigures.merge(read_back).as_json()
    for value in (merged, expected := whole.as_json()):
        value["hosts"] = dict(sorted(value["hosts"].items()))
    assert merged == expected
    assert (whole.links, whole.requests, whole.bytes_received) == (500, 500, 50_000)


def test_known_links_cost_no_retry_and_no_time() -> None:
    figures = LinkFigures()
    figures.add("a.example", replace(OK, attempts=3, ms=9_000), known=True)
    figures.add("a.example", replace(OK, attempts=2, ms=50), known=False)
    assert (figures.links, figures.known, figures.retries) == (2, 1, 1)
    assert figures.hosts["a.example"].latencies.quantile(0.99) == 54


def test_many_hosts_stay_small_and_the_busiest_are_named() -> None:
    def shard(number: int) -> dict[str, object]:
        figures = LinkFigures(max_hosts=50)
        for host in range(2_000):
            figures.add(f"h{number}-{host}.example", GONE, known=False)
        for _ in range(5):
            figures.add("busy.example", OK, known=False)
        part = figures.as_json()
        assert len(json.dumps(part)) < 10_000
        return part

    merged = LinkFigures.merge((shard(number) for number in range(30)), max_hosts=50)
    assert len(merged.hosts) == 50
    assert merged.hosts["busy.example"].links == Counter(ok=150)
    named = sum(figures.links.total() for figures in merged.hosts.values())
    assert named + merged.other.links.total() == merged.links == 30 * 2_005


def test_shards_without_figures_count_nothing() -> None:
    assert LinkFigures.merge([{}, {"seconds": 3}]).as_json() == LinkFigures().as_json()
