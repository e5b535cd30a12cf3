"""A .json file: one array of objects, read piece by piece, or JSON Lines under another name."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterator
from typing import IO, NamedTuple

from nameplate.stages.ingest.sources.base import MAX_ROW_CHARS, RawRow, place
from nameplate.stages.ingest.sources.jsonlines import JsonLines, object_row
from nameplate.stages.ingest.sources.places import DAMAGED, TableFile

_PIECE_CHARS = 1 << 16
_BETWEEN = re.compile(r"[\s,]*")
_decode = json.JSONDecoder().raw_decode


class Json(JsonLines):
    """Rows of an array stand at the line on which their object begins."""

    def rows(self, file: TableFile, columns: Collection[str] | None) -> Iterator[RawRow]:
        """Objects in order; after a broken one nothing can be found any more, and a bad row says so."""
        with file.open() as stream:
            is_array = stream.read(_PIECE_CHARS).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
        if not is_array:
            yield from super().rows(file, columns)
            return
        with file.open() as stream:
            for item in _items(stream):
                if item.problem is None:
                    yield object_row(item.value, item.line, columns, file.label)
                else:
                    problem = f"{place(item.line, file.label)}: {item.problem}, and the rest is lost"
                    yield RawRow(item.line, {}, problem=problem, file=file.label)


class _Item(NamedTuple):
    line: int
    value: object
    problem: str | None = None


def _items(stream: IO[bytes]) -> Iterator[_Item]:
    # surrogateescape: bytes that are no UTF-8 spoil the row that they stand in, not the file.
    reader = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape")
    text, at, line = reader.read(_PIECE_CHARS), 0, 1
    at = text.index("[") + 1
    line += text.count("\n", 0, at)
    while True:
        between = _BETWEEN.match(text, at)
        assert between is not None
        line += text.count("\n", at, between.end())
        at = between.end()
        if text.startswith("]", at):
            return
        try:
            value, end = _decode(text, at)
        except (ValueError, RecursionError) as error:
            try:
                piece = reader.read(_PIECE_CHARS)
            except DAMAGED as damage:
                yield _Item(line, None, f"the file is cut off or damaged here ({damage})")
                return
            if not piece or len(text) - at > MAX_ROW_CHARS:
                yield _Item(line, None, "the array is not closed" if at == len(text) else f"not JSON ({error})")
                return
            text, at = text[at:] + piece, 0
            continue
        yield _Item(line, value)
        line += text.count("\n", at, end)
        at = end
