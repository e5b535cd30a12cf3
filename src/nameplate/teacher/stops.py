"""Why a run of questions ends, in words that say what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nameplate.errors import TeacherError
from nameplate.recipe import TeacherSection
from nameplate.teacher.faults import Fault

_MOST_MODELS: Final = 8

_FIXES: Final = {
    400: "the request itself is refused: check caption.teacher.model, caption.sampling and that the model reads images",
    401: "set the environment variable {key} (caption.teacher.api_key_env) to a valid key",
    402: "the account has no money left: pay, or set caption.teacher to another server; the answers so far are kept",
    403: "the key in {key} may not use this model: check the account or caption.teacher.model",
    404: "check caption.teacher.base_urls (an address usually ends in /v1) and caption.teacher.model",
    429: "the account has no money left: pay, or set caption.teacher to another server; the answers so far are kept",
}
_AGAIN: Final = "run the same command again; the answers so far are kept"


def not_there(addresses: Sequence[str], said: str) -> TeacherError:
    """No server has ever answered."""
    return TeacherError(
        _teacher_at(addresses),
        found=f"nothing answers there ({said})",
        expected="an OpenAI-compatible server",
        fix="start it, or set caption.teacher.base_urls to its address, and run the same command again",
    )


def gone(addresses: Sequence[str], said: str) -> TeacherError:
    """None of the servers answers any more."""
    return TeacherError(
        _teacher_at(addresses),
        found=f"it does not answer any more ({said})",
        fix=f"look at its log, then {_AGAIN}",
    )


def not_a_teacher(address: str, said: str) -> TeacherError:
    """Something answers, but it is no chat completion."""
    return TeacherError(
        _teacher_at([address]),
        found=f"its replies cannot be read ({said})",
        expected="an OpenAI-compatible chat completion",
        fix="check caption.teacher.base_urls; an address usually ends in /v1",
    )


def refused(
    address: str, said: str, *, status: int | None, section: TeacherSection, models: Sequence[str] = ()
) -> TeacherError:
    """A server says what it would say to every question."""
    fix = _FIXES.get(status or 400, _FIXES[400]).format(key=section.api_key_env)
    if status is not None and 300 <= status < 400:
        fix = "set caption.teacher.base_urls to the address that is meant; a key is never sent on to another place"
    if models and section.model not in models and status in (400, 404, None):
        shown = ", ".join(models[:_MOST_MODELS]) + (", ..." if len(models) > _MOST_MODELS else "")
        fix = f"set caption.teacher.model to a model that it offers: {shown}"
    return TeacherError(
        _teacher_at([address]),
        found=f"{said}, for model '{section.model}'",
        expected="an answer",
        fix=fix,
    )


def all_refused(
    address: str, said: str, number: int, *, section: TeacherSection, models: Sequence[str]
) -> TeacherError:
    """A server refuses question after question."""
    found = f"it refused {number} questions in a row, the last with {said}"
    return refused(address, found, status=400, section=section, models=models)


def spent(addresses: Sequence[str], what: str) -> TeacherError:
    """The budget is used up."""
    return TeacherError(
        "caption.budget",
        found=f"it is spent: {what}, asking {', '.join(addresses)}",
        fix=f"raise caption.budget.max_tokens or max_money and {_AGAIN}",
    )


def uncounted(address: str) -> TeacherError:
    """A budget, and a server that does not say what an answer cost."""
    return TeacherError(
        _teacher_at([address]),
        found="it does not count tokens (no usage in its reply), so caption.budget cannot be kept",
        fix="let the server report usage, or take max_tokens and max_money out of caption.budget",
    )


def gone_bad(addresses: Sequence[str], what: str, share: float) -> TeacherError:
    """Answers go bad together."""
    return TeacherError(
        _teacher_at(addresses),
        found=what,
        expected=f"less than {100 * share:g} % bad (caption.teacher.stop_bad_share)",
        fix=f"look at the server and at caption.sampling, then {_AGAIN}; or set caption.teacher.stop_bad_share: null",
    )


def _teacher_at(addresses: Sequence[str]) -> str:
    return "teacher at " + ", ".join(addresses)


def silence(addresses: Sequence[str], said: str, *, fault: Fault | None, has_answered: bool) -> TeacherError:
    """None of the servers answers: which of the reasons above it is."""
    if has_answered:
        return gone(addresses, said)
    if fault is Fault.UNREACHABLE:
        return not_there(addresses, said)
    return not_a_teacher(addresses[0], said) if fault is Fault.UNREADABLE else gone(addresses, said)
