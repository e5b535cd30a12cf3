"""When a link is asked again, and when a host has said no."""

import pytest

from nameplate.records import FetchStatus
from nameplate.stages.fetch.network.optout import refusal
from nameplate.stages.fetch.network.retry import LONGEST_REST_SECONDS, parse_retry_after, pause_before_retry
from nameplate.stages.fetch.result import LinkFailed, LinkResult, clip


@pytest.mark.parametrize(
    ("headers", "directive"),
    [
        (["noai"], "noai"),
        (["max-image-preview: large, NoImageAI"], "noimageai"),
        (["all", "noindex, nofollow"], "noindex"),
        (["nameplate: none"], "none"),
        (["otherbot: noindex, noai"], None),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST"], None),
        (["nofollow, noarchive"], None),
        ([], None),
    ],
)
def test_a_host_may_refuse_us_by_header(headers: list[str], directive: str | None) -> None:
    assert refusal(headers, user_agent="nameplate/0.1 (+https://example.org)") == directive


def test_retries_follow_the_cause() -> None:
    def pause(status: FetchStatus, attempt: int, *, transient: bool = True, rest: float | None = None) -> float | None:
        failure = LinkFailed(status, "", transient=transient, retry_after_seconds=rest)
        return pause_before_retry(failure, attempt=attempt, max_attempts=3)

    first, second = pause(FetchStatus.TIMEOUT, 1), pause(FetchStatus.TIMEOUT, 2)
    assert first is not None and second is not None
    assert 0.1 <= first <= 0.2 <= second <= 0.4
    assert pause(FetchStatus.TIMEOUT, 3) is None
    assert pause(FetchStatus.HTTP_404, 1, transient=False) is None
    assert pause(FetchStatus.DNS_ERROR, 1) is not None
    assert pause(FetchStatus.DNS_ERROR, 2) is None
    assert pause(FetchStatus.HTTP_429, 1, rest=7.0) == 7.0
    assert pause(FetchStatus.HTTP_429, 1, rest=LONGEST_REST_SECONDS + 1) is None


def test_retry_after_is_seconds_or_a_date() -> None:
    assert parse_retry_after("120") == 120.0
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert (parse_retry_after("Wed, 21 Oct 2995 07:28:00 GMT") or 0) > 1e9
    assert [parse_retry_after(value) for value in (None, "", "soon", "-3")] == [None] * 4


def test_a_strangers_text_becomes_one_short_printable_line() -> None:
    assert clip("bad\x1b[31m\n  thing\u202e") == "bad [31m thing"
    assert len(clip("x" * 1000)) == 300
    assert LinkFailed(FetchStatus.BAD_URL, "x" * 1000).detail == clip("x" * 1000)


def test_a_result_survives_the_journal() -> None:
    result = LinkResult.failed(LinkFailed(FetchStatus.HTTP_404, "HTTP 404", http_status=404), attempts=1, ms=12)
    assert LinkResult.from_json(result.to_json()) == result
