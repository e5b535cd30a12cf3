"""How numbers are written on the page: with their unit, and the same everywhere."""

from __future__ import annotations

import math

NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
EN_DASH = "\N{EN DASH}"


def percent(share: float, decimals: int = 1) -> str:
    """A share as percent: `71.2 %`."""
    return f"{100 * share:.{decimals}f}{NBSP}%"


def interval(low: float, high: float, decimals: int = 1) -> str:
    """An interval of shares: `64.8-76.9 %`, with an en dash."""
    return f"{100 * low:.{decimals}f}{EN_DASH}{percent(high, decimals)}"


def points(difference: float) -> str:
    """A signed difference of shares, in percentage points."""
    sign = MINUS if difference < 0 else "+"
    return f"{sign}{100 * abs(difference):.1f}{NBSP}points"


def count(number: int) -> str:
    """A whole number with commas."""
    return f"{number:,}"


def p_value(p: float) -> str:
    """`p = 0.031`, or a bound where more digits would say nothing."""
    if p < 0.0001:
        return f"p{NBSP}<{NBSP}0.0001"
    return f"p{NBSP}={NBSP}{p:.2g}" if p < 0.001 else f"p{NBSP}={NBSP}{p:.3f}"


def bare_p(p: float) -> str:
    """A p-value in a column that says so: `0.031`."""
    return p_value(p).removeprefix(f"p{NBSP}=").removeprefix("p").strip(NBSP)


def duration(seconds: float) -> str:
    """Seconds as a person says them: `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f}{NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{NBSP}min {rest}{NBSP}s"
    return f"{minutes // 60}{NBSP}h {minutes % 60}{NBSP}min"


def memory(num_bytes: int) -> str:
    """Bytes in MB or GB (powers of ten); 0 is not measured."""
    if num_bytes <= 0:
        return EN_DASH
    if num_bytes < 10**9:
        return f"{num_bytes / 10**6:.0f}{NBSP}MB"
    return f"{num_bytes / 10**9:.2f}{NBSP}GB"


def loss(value: float | None) -> str:
    """A loss with three decimals; none, or not a number, is a dash."""
    return EN_DASH if value is None or not math.isfinite(value) else f"{value:.3f}"


def words(code: str) -> str:
    """A reason code as words: `tail_loop` becomes `tail loop`."""
    return code.replace("_", " ")


def clip(text: str, limit: int) -> str:
    """At most `limit` characters of a text, and how long it is when some are left out."""
    text = text.strip()
    if len(text) <= limit:
        return text
    return f"{text[:limit].rstrip()}\N{HORIZONTAL ELLIPSIS} ({len(text):,} characters)"


QUESTIONS = {
    "name": "asked for the name",
    "detail": "asked for a detailed caption",
    "short": "asked for a short caption",
}


def question(prompt: str) -> str:
    """A prompt's name as words."""
    return QUESTIONS.get(prompt, f"asked '{prompt}'")


FILTERS = {
    "percent": percent,
    "interval_text": interval,
    "points": points,
    "count": count,
    "p_value": p_value,
    "bare_p": bare_p,
    "duration": duration,
    "memory": memory,
    "loss": loss,
    "words": words,
    "question": question,
}
"""For the template, by the same names."""
