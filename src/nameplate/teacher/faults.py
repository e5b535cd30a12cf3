"""What can go wrong with one request, as far as it decides what happens next. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final


class Fault(StrEnum):
    """Why a request got no answer."""

    UNREACHABLE = "unreachable"
    """Nothing listens there."""
    TIMED_OUT = "timed_out"
    """Connected, but no answer in time."""
    DROPPED = "dropped"
    """The connection ended before the answer did."""
    BUSY = "busy"
    """429 or 503: there, but it wants less."""
    BROKEN = "broken"
    """Another status of 500 or more."""
    UNREADABLE = "unreadable"
    """A reply that is no chat completion."""
    REFUSED = "refused"
    """A request that this server will not answer; the next one may be another matter."""
    FATAL = "fatal"
    """What every request would be told: wrong model, wrong key, no money."""


OF_THE_SERVER: Final = frozenset(
    {Fault.UNREACHABLE, Fault.TIMED_OUT, Fault.DROPPED, Fault.BUSY, Fault.BROKEN, Fault.UNREADABLE}
)
"""Faults after which the same request may be answered later, or elsewhere."""

_BUSY: Final = frozenset({408, 409, 425, 429, 503, 529})
_OF_THE_REQUEST: Final = frozenset({400, 413, 415, 422})
_NO_MONEY: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_NO_MODEL: Final = frozenset({"model_not_found", "model_not_supported", "invalid_model"})
_BY_WORD: Final = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "overloaded_error": 529,
    "server_error": 500,
    "internal_error": 500,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "BadRequestError": 400,
    "NotFoundError": 404,
}


def fault_of(status: int, error: Mapping[str, Any]) -> Fault:
    """What a failed status means, with the words of the error object's own `code`, `type` and `param`.

    Words decide only over what a status leaves open: an exhausted account says 429 like a busy server, and a wrong
    model says 400 like a bad picture.
    """
    words = {str(error.get(key)) for key in ("code", "type")}
    if words & _NO_MONEY or words & _NO_MODEL or (status in _OF_THE_REQUEST and error.get("param") == "model"):
        return Fault.FATAL
    if status in _BUSY:
        return Fault.BUSY
    if status in _OF_THE_REQUEST:
        return Fault.REFUSED
    return Fault.BROKEN if status >= 500 else Fault.FATAL


def status_of(error: Mapping[str, Any]) -> int:
    """The status that an error object inside a 200 stands for; 500 where it does not say."""
    for key in ("code", "status", "type"):
        word = error.get(key)
        if isinstance(word, int | str) and str(word).isdecimal() and 400 <= int(word) <= 599:
            return int(word)
        if isinstance(word, str) and word in _BY_WORD:
            return _BY_WORD[word]
    return 500


class NoAnswer(Exception):
    """A request got no answer. Never leaves this room.

    Args:
        said: what happened, on one line, without secrets.
        fault: which kind.
        status: the HTTP status, if there was one.
        retry_after: seconds that the server asks us to stay away.
    """

    def __init__(self, said: str, fault: Fault, *, status: int | None = None, retry_after: float = 0.0) -> None:
        super().__init__(said)
        self.fault = fault
        self.status = status
        self.retry_after = retry_after
