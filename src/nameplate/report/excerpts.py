"""Excerpts: a long answer around the place that matters."""

from __future__ import annotations

from typing import Final

from nameplate.report.marking import Piece

ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"


def excerpt(text: str, place: tuple[int, int] | None, limit: int) -> tuple[Piece, ...]:
    """At most `limit` characters of a text around a place in it, which is marked; none: its beginning, unmarked.

    Args:
        text: as it was given.
        place: start and end, in its characters.
        limit: characters; a place that is longer is shown whole.
    """
    start, end = place or (0, 0)
    before = max(0, limit - (end - start)) // 2
    first = max(0, min(start - before, len(text) - limit))
    last = max(end, first + limit)
    pieces = (
        Piece((ELLIPSIS if first else "") + text[first:start].lstrip(), False),
        Piece(text[start:end], True),
        Piece(text[end:last].rstrip() + (ELLIPSIS if last < len(text) else ""), False),
    )
    return tuple(piece for piece in pieces if piece.text)
