"""aiohttp's errors, and answers that are no images, become typed failures: here, and nowhere else."""

from __future__ import annotations

import socket
from typing import Final, NamedTuple

import aiohttp

from nameplate.recipe import ClockSection
from nameplate.records import FetchStatus
from nameplate.stages.fetch.network.pace import Ending, Outcome
from nameplate.stages.fetch.network.retry import TRANSIENT_HTTP, parse_retry_after
from nameplate.stages.fetch.result import LinkFailed

HttpError = aiohttp.ClientError | TimeoutError

_NAMED_HTTP: Final = {
    403: FetchStatus.HTTP_403,
    404: FetchStatus.HTTP_404,
    410: FetchStatus.HTTP_410,
    429: FetchStatus.HTTP_429,
}
_ASK_FOR_REST: Final = frozenset({429, 503})
NOT_THE_HOSTS_FAULT: Final = frozenset({FetchStatus.ADDRESS_BLOCKED, FetchStatus.BAD_URL, FetchStatus.SCHEME_BLOCKED})
"""The guard's refusals: nobody was asked."""


class _Cause(NamedTuple):
    status: FetchStatus
    detail: str
    transient: bool


def refuse_status(response: aiohttp.ClientResponse) -> None:
    """Pass an answer with a body that may be what was asked for.

    Raises:
        LinkFailed: any status but 2xx.
    """
    status = response.status
    if 200 <= status < 300:
        return
    rest = parse_retry_after(response.headers.get("Retry-After")) if status in _ASK_FOR_REST else None
    raise LinkFailed(
        _code_of(status),
        f"HTTP {status}",
        http_status=status,
        transient=status in TRANSIENT_HTTP,
        retry_after_seconds=rest,
    )


def explained(error: HttpError, clocks: ClockSection, *, http_status: int | None) -> LinkFailed:
    """The failure that an aiohttp error means."""
    status, detail, transient = _cause(error, clocks)
    return LinkFailed(status, detail, http_status=http_status, transient=transient)


def ending_of(failure: LinkFailed | None) -> Ending:
    """What a request that ended in `failure`, or well, says of its host."""
    if failure is None:
        return Ending(Outcome.ANSWERED)
    return Ending(_outcome_of(failure), str(failure.status), failure.detail, failure.retry_after_seconds)


def _outcome_of(failure: LinkFailed) -> Outcome:
    if failure.http_status is None:
        return Outcome.UNUSED if failure.status in NOT_THE_HOSTS_FAULT else Outcome.SILENT
    if failure.http_status in _ASK_FOR_REST:
        return Outcome.BUSY
    broke_off = failure.transient and 200 <= failure.http_status < 300
    return Outcome.BROKEN if broke_off else Outcome.ANSWERED


def _code_of(http_status: int) -> FetchStatus:
    if http_status in _NAMED_HTTP:
        return _NAMED_HTTP[http_status]
    if 400 <= http_status < 500:
        return FetchStatus.HTTP_4XX
    # A redirect without a place, or a 304 that nobody asked for: an answer, and no image in it.
    return FetchStatus.NOT_AN_IMAGE if http_status < 400 else FetchStatus.HTTP_5XX


def _cause(error: HttpError, clocks: ClockSection) -> _Cause:
    """What an aiohttp error means. The order counts: several of these classes inherit from each other."""
    if isinstance(error, TimeoutError):
        return _Cause(FetchStatus.TIMEOUT, _which_clock(error, clocks), transient=True)
    if isinstance(error, aiohttp.ClientSSLError):
        return _Cause(FetchStatus.TLS_ERROR, str(error), transient=False)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        cause = error.os_error
        again = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN
        return _Cause(FetchStatus.DNS_ERROR, f"{error.host}: {cause.strerror}", transient=again)
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return _Cause(FetchStatus.BAD_URL, str(error), transient=False)
    if isinstance(error, aiohttp.ClientPayloadError):
        return _Cause(FetchStatus.TRUNCATED, f"the body ended early ({error})", transient=True)
    return _Cause(FetchStatus.CONNECT_ERROR, f"{type(error).__name__}: {error}", transient=True)


def _which_clock(error: TimeoutError, clocks: ClockSection) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection within {clocks.connect_seconds:g} s"
    if isinstance(error, aiohttp.SocketTimeoutError):
        return f"nothing came for {clocks.read_seconds:g} s"
    return f"not finished within {clocks.total_seconds:g} s"
