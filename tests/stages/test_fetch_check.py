"""The link check's numbers: what may be said of a table after a few hundred links."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from nameplate.records import FetchStatus
from nameplate.stages.fetch.check import GOOD, USABLE, Cost, LinkCheck, SampledRow, Verdict, check
from nameplate.stages.fetch.meanings import MEANINGS
from nameplate.stages.fetch.result import KeptImage, LinkResult
from nameplate.statistics import wilson

COST = Cost({"a.example": 90_000}, per_host=4, concurrency=64)
GONE = LinkResult(FetchStatus.HTTP_404, http_status=404, attempts=1, ms=100)


def live(number: int = 0, *, num_bytes: int = 50_000, width: int = 600, ms: int = 100) -> LinkResult:
    sha256 = f"{number:064x}"
    image = KeptImage(
        sha256=sha256, ext="jpg", width=width, height=800, num_bytes=num_bytes, phash="0" * 16, changes=(),
        source_sha256=sha256, source_width=width, source_height=800, source_bytes=num_bytes,
    )  # fmt: skip
    return LinkResult(FetchStatus.OK, http_status=200, image=image, attempts=1, ms=ms)


def row(result: LinkResult | None, *, name: str = "ACME", host: str | None = "a.example") -> SampledRow:
    return SampledRow(name, "http://a.example/1.jpg", host, result)


def checked(num_live: int, num_dead: int, num_late: int = 0, *, table_rows: int = 90_000) -> LinkCheck:
    rows = [row(live(number)) for number in range(num_live)]
    rows += [row(GONE)] * num_dead + [row(None)] * num_late
    return check(rows, table_rows=table_rows, cost=COST, seconds=12.34)


@pytest.mark.parametrize(
    ("num_live", "num_dead", "num_late", "table_rows", "verdict", "sentence"),
    [
        (500, 0, 0, 90_000, "good",
         "good: 500 of 500 links are live (99.2 to 100.0 %); 89,300 to 90,000 of 90,000 rows "
         "remain"),
        (464, 36, 0, 90_000, "good", "good: 464 of 500 links are live (90.2 to 94.8 %)"),
        (460, 40, 0, 90_000, "usable", "usable: about 1 in 12 links is dead (89.3 to 94.1 % live)"),
        (400, 100, 0, 90_000, "usable",
         "usable: about 1 in 5 links is dead (76.3 to 83.3 % live); 68,600 to 74,900 of 90,000 "
         "rows remain"),
        (150, 350, 0, 90_000, "usable", "usable: only about 1 in 3 links is live"),
        (120, 380, 0, 90_000, "usable", "usable: only about 1 in 4 links is live (20.5 to"),
        (110, 390, 0, 90_000, "unclear",
         "unclear: 110 of 500 links are live; 18.6 to 25.8 % of all may be live: check more "
         "with --sample"),
        (80, 420, 0, 90_000, "unusable", "80 of 500 links are live: do not use this table"),
        (2, 498, 0, 44_840, "unusable", "2 of 500 links are live: do not use this table"),
        (0, 500, 0, 44_840, "unusable", "0 of 500 links are live: do not use this table"),
        (0, 5, 0, 44_840, "unclear",
         "unclear: 0 of 5 links are live; 0.0 to 43.4 % of all may be live: check more with "
         "--sample"),
        # Late rows are dead for the lower end and live for the upper.
        (490, 0, 10, 90_000, "good",
         "good: 490 of 490 links are live (96.4 to 100.0 %); 10 of 500 were not answered in "
         "time"),
        (300, 0, 200, 90_000, "usable",
         "usable: no link that was answered is dead (55.6 to 100.0 % live); 200 of 500 were not "
         "answered in time"),
        (0, 16, 484, 90_000, "unclear",
         "unclear: 0 of 16 links are live; 484 of 500 were not answered in time; 0.0 to 98.0 % "
         "of all may be live: run the same command again, it goes on with those"),
        (0, 480, 20, 90_000, "unusable",
         "0 of 480 links are live: do not use this table; 20 of 500 were not answered in time"),
        (0, 0, 500, 90_000, "unclear", "unclear: 0 of 0 links are live; 500 of 500 were not answered in time"),
        # A table that was checked whole leaves no room for chance.
        (3, 0, 0, 3, "good", "good: 3 of 3 links are live; 3 of 3 rows remain"),
        (1, 3, 0, 4, "usable", "usable: only about 1 in 4 links is live; 1 of 4 rows remain"),
        (0, 1, 0, 1, "unusable", "0 of 1 links is live: do not use this table"),
    ],
)  # fmt: skip
def test_verdicts(num_live: int, num_dead: int, num_late: int, table_rows: int, verdict: str, sentence: str) -> None:
    found = checked(num_live, num_dead, num_late, table_rows=table_rows)
    assert (str(found.verdict), found.sentence[: len(sentence)]) == (verdict, sentence)


def test_only_good_and_usable_mean_go_ahead() -> None:
    assert {str(verdict): verdict.exit_code for verdict in Verdict} == {
        "good": 0, "usable": 0, "unusable": 1, "unclear": 1,
    }  # fmt: skip


def test_the_interval_is_wilsons_and_late_rows_widen_it() -> None:
    share = checked(400, 100).live
    assert (share.count, share.n, share.low, share.high) == (400, 500, wilson(400, 500).low, wilson(400, 500).high)
    wider = checked(400, 50, 50).live
    assert (wider.low, wider.high) == (wilson(400, 500).low, wilson(450, 500).high)
    assert wider.value == 400 / 450


def test_a_late_row_can_not_make_a_table_look_better() -> None:
    for num_live in range(0, 101, 5):
        for num_late in range(0, 101 - num_live, 5):
            late, settled = checked(num_live, 100 - num_live - num_late, num_late), checked(num_live, 100 - num_live)
            assert late.live.low == settled.live.low
            if late.verdict is Verdict.UNUSABLE:
                assert settled.verdict is Verdict.UNUSABLE


def test_groups_are_worst_first() -> None:
    rows = [row(live(place, ms=place), name="Nike", host="good.example") for place in range(9)]
    rows += [row(GONE, name="Fila", host="bad.example"), row(None, name="Fila", host="bad.example")]
    rows += [row(GONE, name="Nike", host="bad.example"), row(live(99), name="", host=None)]
    found = check(rows, table_rows=90_000, cost=COST, seconds=1.0)
    assert [(group.key, group.live, group.rows, group.unanswered) for group in found.hosts] == [
        ("bad.example", 0, 3, 1), ("good.example", 9, 9, 0),
    ]  # fmt: skip
    assert found.hosts[1].median_ms == 4
    assert [(group.key, group.live, group.rows) for group in found.names] == [("Fila", 0, 2), ("Nike", 9, 10)]
    assert found.reasons == {"http_404": 2} and found.unanswered == 1


def test_refusals_are_counted() -> None:
    refused = [LinkResult(FetchStatus(code), attempts=1) for code in ("robots_disallowed", "opted_out", "http_403")]
    found = check([row(each) for each in [*refused, GONE]], table_rows=9, cost=COST, seconds=1.0)
    assert found.refused == 3


def test_sizes_are_of_live_images_only() -> None:
    rows = [row(live(number, num_bytes=1_000 * number, width=100 + number)) for number in range(1, 101)]
    rows.append(row(replace(live(101, num_bytes=10**9, width=1), status=FetchStatus.PLACEHOLDER)))
    sizes = check(rows, table_rows=900, cost=COST, seconds=1.0).sizes
    assert sizes is not None
    assert (sizes.median_bytes, sizes.p95_bytes, sizes.smallest_width) == (50_500, 95_050, 101)
    assert checked(0, 3).sizes is None


def cost_of(results: Sequence[tuple[str, int]], links: dict[str, int], *, per_host: int = 4) -> LinkCheck:
    rows = [row(live(place, ms=ms), host=host) for place, (host, ms) in enumerate(results)]
    return check(rows, table_rows=10**6, cost=Cost(links, per_host=per_host, concurrency=64), seconds=1.0)


def test_the_busiest_host_decides_how_long_it_takes() -> None:
    answers = [("slow.example", 1_000)] * 10 + [("fast.example", 100)] * 10
    estimate = cost_of(answers, {"slow.example": 36_000, "fast.example": 72_000}).estimate
    assert estimate is not None
    assert (estimate.busiest_host, estimate.hours) == ("slow.example", 2.5)
    assert (estimate.links, estimate.requests, estimate.bytes) == (108_000, 108_000, 108_000 * 50_000)
    assert estimate.megabits_per_second == pytest.approx(8e-6 * 108_000 * 50_000 / 9_000, abs=0.05)


def test_a_host_with_few_answers_is_taken_to_be_as_fast_as_the_others() -> None:
    answers = [("a.example", 1_000)] * 4 + [("b.example", 100)] * 96
    estimate = cost_of(answers, {"a.example": 100_000, "b.example": 1}).estimate
    assert estimate is not None and estimate.hours == pytest.approx(100_000 * 0.136 / 4 / 3600, abs=0.01)


def test_many_small_hosts_are_bound_by_all_requests_at_once() -> None:
    links = {f"h{number}.example": 100 for number in range(10_000)}
    estimate = cost_of([("h1.example", 640)] * 10, links).estimate
    assert estimate is not None and estimate.hours == round(10**6 * 0.64 / 64 / 3600, 2)


def test_without_answers_there_is_no_estimate() -> None:
    assert checked(0, 0, 5).estimate is None
    came_with_it = [row(live(1), host=None)]
    assert check(came_with_it, table_rows=5, cost=Cost({}, per_host=4, concurrency=64), seconds=1.0).estimate is None


def test_images_that_came_with_the_table_are_called_images() -> None:
    found = check([row(GONE, host=None)] * 50, table_rows=900, cost=COST, seconds=1.0)
    assert found.sentence == "0 of 50 images are live: do not use this table"


def test_the_json_has_these_keys() -> None:
    found = asdict(checked(3, 1))
    assert list(found) == [
        "verdict", "sentence", "table_rows", "rows", "unanswered", "live", "reasons", "refused", "hosts", "num_hosts",
        "names", "num_names", "sizes", "shared", "estimate", "seconds",
    ]  # fmt: skip
    assert list(found["live"]) == ["count", "n", "value", "low", "high"]
    assert list(found["hosts"][0]) == ["key", "rows", "live", "unanswered", "median_ms"]
    assert list(found["estimate"]) == [
        "links", "requests", "bytes", "hours", "busiest_host", "megabits_per_second",
    ]  # fmt: skip
    assert list(found["sizes"]) == [
        "median_bytes", "p95_bytes", "median_width", "median_height", "smallest_width", "smallest_height",
    ]  # fmt: skip


def test_every_failure_has_a_meaning() -> None:
    assert set(MEANINGS) == set(FetchStatus) - {FetchStatus.OK}


def test_the_docs_say_what_the_code_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "fetch.md").read_text(encoding="utf-8")
    missing = [
        status for status, (what, remedy) in MEANINGS.items() if f"| `{status}` | {what} | {remedy} |" not in page
    ]
    assert not missing
    assert f"at least {GOOD:.0%}".replace("%", " %") in page and f"under {USABLE:.0%}".replace("%", " %") in page
    assert [f"| {verdict} | " in page for verdict in Verdict] == [True] * 4
