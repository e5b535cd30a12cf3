"""JSON Lines and JSON arrays: one object a row, with the line at which it stands."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from nameplate.errors import InputError
from nameplate.stages.ingest.sources import RawRow, open_source


def read(tmp_path: Path, data: bytes, name: str = "t.jsonl") -> list[RawRow]:
    path = tmp_path / name
    path.write_bytes(data)
    return list(open_source(str(path)).rows())


def test_values_become_text_and_nested_ones_json(tmp_path: Path) -> None:
    (row,) = read(tmp_path, b'{"a": null, "b": 1, "c": 1.5, "d": true, "e": ["x"], "f": "\\u00e9"}\n')
    assert dict(row.cells) == {"a": "", "b": "1", "c": "1.5", "d": "true", "e": '["x"]', "f": "é"}


def test_broken_lines_are_reported_each_and_the_others_arrive(tmp_path: Path) -> None:
    lines = [
        b'{"a": 1}',
        b'{"a": 1',
        b"[1]",
        b"",
        b'{"a": "\xe9"}',
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b'{"a": "' + b"x" * 2_000_000 + b'"}',
        b'{"b": 2}',
    ]
    rows = read(tmp_path, b"\xef\xbb\xbf" + b"\n".join(lines))
    assert [(row.line, dict(row.cells)) for row in rows if row.problem is None] == [(1, {"a": "1"}), (10, {"b": "2"})]
    problems = [row.problem or "" for row in rows if row.problem is not None]
    words = ["not JSON", "not a JSON object", "not UTF-8", "NUL", "not UTF-8", "not JSON", "longer than"]
    assert [word in problem for word, problem in zip(words, problems, strict=True)] == [True] * 7
    assert [problem.split(":")[0] for problem in problems] == [f"line {line}" for line in (2, 3, 5, 6, 7, 8, 9)]


def test_columns_are_all_keys_of_the_first_thousand_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('nonsense\n{"a": 1}\n{"b": 1}\n', encoding="utf-8")
    assert open_source(str(path)).columns == ("a", "b")


def test_a_truncated_gz_says_where_it_ends(tmp_path: Path) -> None:
    whole = gzip.compress("".join(json.dumps({"n": n, "sq": n * n}) + "\n" for n in range(50_000)).encode())
    rows = read(tmp_path, whole[: len(whole) // 2], "t.jsonl.gz")
    assert [row.cells["n"] for row in rows[:-1]] == [str(n) for n in range(len(rows) - 1)]
    assert len(rows) > 1000
    assert "cut off or damaged" in (rows[-1].problem or "")


def test_an_array_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    with path.open("w", encoding="utf-8") as stream:
        stream.write("[\n")
        for n in range(60_000):
            stream.write((",\n" if n else "") + json.dumps({"n": n, "text": "x" * 300}))
        stream.write("\n]\n")
    tracemalloc.start()
    found = [(row.line, row.cells["n"]) for row in open_source(str(path)).rows(columns={"n"})]
    peak = tracemalloc.get_traced_memory()[1] - 60_000 * 150
    tracemalloc.stop()
    assert found == [(n + 2, str(n)) for n in range(60_000)]
    assert peak < 8_000_000  # the file has 19 MB


@pytest.mark.parametrize(
    ("data", "kept", "words"),
    [
        (b'[{"a": 1}, {"a": 2}', 2, "not closed"),
        (b'[{"a": 1},\n{"a": oops},\n{"a": 2}]', 1, "line 2: not"),
        (b'[{"a": 1}, 5, {"a": 2}]', 2, "not a JSON object"),
    ],
)
def test_a_broken_array_keeps_what_stands_before(tmp_path: Path, data: bytes, kept: int, words: str) -> None:
    rows = read(tmp_path, data, "t.json")
    assert sum(row.problem is None for row in rows) == kept
    assert words in next(row.problem or "" for row in rows if row.problem is not None)


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    assert [row.cells["a"] for row in read(tmp_path, b'{"a": 1}\n{"a": 2}\n', "t.json")] == ["1", "2"]


@pytest.mark.parametrize(("data", "words"), [(b"", "empty"), (b"nonsense\n", "not JSON"), (b"{}\n", "without keys")])
def test_a_file_without_any_object_is_a_clear_error(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, data)
