"""Answers that the page's script shows on demand: JSON, squeezed, and in letters that can be no markup."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nameplate.report.marking import Answer, Column


def pack(columns: Mapping[str, Sequence[Column]]) -> str:
    """Columns by row id as base64 of gzip of JSON; "" where there are none. Equal answers stand in it once.

    `models`: place, name and role of each. `said`: question, outcome (1 right, 0 wrong, -1 not scored), rule, note, and
    the pieces, each with its tone before it (1 the name, 2 another one). `rows`: by row id, a list for each model: its
    index in `models`, then the indexes of its answers in `said`.
    """
    if not columns:
        return ""
    models: dict[tuple[int, str, str], int] = {}
    said: dict[tuple[Any, ...], int] = {}
    rows = {
        row: [
            [
                models.setdefault((column.place, column.model, column.role), len(models)),
                *(said.setdefault((each.question, *_flat(each.answer)), len(said)) for each in column.said),
            ]
            for column in found
        ]
        for row, found in columns.items()
    }
    tree = {"models": list(models), "said": list(said), "rows": rows}
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode("utf-8"), 9, mtime=0)).decode("ascii")


def _flat(answer: Answer) -> tuple[Any, ...]:
    outcome = int(answer.right) if answer.scored else -1
    pieces = [part for piece in answer.pieces for part in (int(piece.is_name) + 2 * int(piece.is_other), piece.text)]
    return (outcome, answer.verdict, answer.note, *pieces)
