"""What the journal keeps of each answer, and of what went wrong on the way to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from nameplate.records import CleanReason
from nameplate.teacher.ladder import CUT_OFF, Ask, problems_of_finish
from nameplate.teacher.patience import Arrived, Failures
from nameplate.teacher.reply import OVER_LONG, Reply


def entry_of(
    arrived: Arrived, ask: Ask, judge: Callable[[str, str], list[str]] | None, *, series: str
) -> dict[str, Any]:
    """One answer, with everything that was said about it, and what is wrong with it."""
    sent, reply = arrived.sent, arrived.sent.reply
    return {
        "text": reply.text,
        "raw": reply.raw,
        "reasoning": reply.reasoning,
        "finish_reason": reply.finish_reason,
        "model": reply.model,
        "usage": reply.usage,
        "latency_ms": round(sent.seconds * 1000),
        "request_id": sent.request_id,
        "server": arrived.server,
        "at": round(time.time(), 3),
        "note": reply.note,
        "dropped": list(sent.dropped),
        "problems": _problems(reply, judge) if judge is not None else [],
        "ask": ask.to_json(),
        "series": series,
        "simulated": arrived.is_simulated,
    }


def line_key(key: str) -> str:
    """Where the failures of a question's line stand: beside its answers, not among them."""
    return f"{key}:line"


def line_entry(failures: Failures, before: dict[str, Any] | None) -> dict[str, Any]:
    """All failures of one question, over all runs: one entry, with a count for each kind, status and server."""
    counts = {(each["fault"], each["status"], each["server"]): each["count"] for each in (before or {}).get("line", ())}
    for what, count in failures.counts.items():
        counts[what] = counts.get(what, 0) + count
    failures.counts.clear()
    line = [
        {"fault": fault, "status": status, "server": server, "count": count}
        for (fault, status, server), count in sorted(counts.items(), key=str)
    ]
    return {"line": line, "said": failures.said, "at": round(time.time(), 3)}


def _problems(reply: Reply, judge: Callable[[str, str], list[str]]) -> list[str]:
    """The judge's codes, then the server's own; silence is a problem whatever the judge says."""
    found = list(judge(reply.text, reply.finish_reason)) if reply.text.strip() else [CleanReason.EMPTY.value]
    # A thought that the model itself ended would end there with more tokens, too.
    if reply.is_unfinished and reply.finish_reason != "stop":
        found.append(CUT_OFF)
    if reply.note == OVER_LONG:
        found.append(CleanReason.TAIL_LOOP.value)
    return list(dict.fromkeys([*found, *problems_of_finish(reply.finish_reason)]))
