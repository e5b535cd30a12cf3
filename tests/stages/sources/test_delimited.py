"""CSV and TSV: every row arrives at its line, and a broken one spoils only itself."""

from __future__ import annotations

import csv
import gzip
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nameplate.errors import InputError
from nameplate.stages.ingest.sources import RawRow, open_source


def read(tmp_path: Path, data: bytes, name: str = "t.csv") -> list[RawRow]:
    path = tmp_path / name
    path.write_bytes(data)
    return list(open_source(str(path)).rows())


def good(rows: list[RawRow]) -> list[tuple[int, list[str]]]:
    return [(row.line, list(row.cells.values())) for row in rows if row.problem is None]


def bad(rows: list[RawRow]) -> list[str]:
    return [row.problem for row in rows if row.problem is not None]


def test_an_unclosed_quote_costs_one_row(tmp_path: Path) -> None:
    body = b"".join(b"%d,plain,x\n" % number for number in range(2000))
    rows = read(tmp_path, b'a,b,c\n1,"two,3\n' + body)
    assert len(good(rows)) == 2000
    assert good(rows)[0] == (3, ["0", "plain", "x"])
    assert len(bad(rows)) == 1
    assert "line 2: a quote is opened here and not closed" in bad(rows)[0]
    assert rows[0].cells["a"] == "1"


def test_a_stray_quote_closed_by_the_quote_of_a_later_row_does_not_glue_the_rows_between(tmp_path: Path) -> None:
    # By the lax rule these three lines are one record of the right width.
    rows = read(tmp_path, b'a,b,c\n1,"two,3\n4,five,6\n7,"eight",9\n10,11,12\n')
    assert good(rows) == [(3, ["4", "five", "6"]), (4, ["7", "eight", "9"]), (5, ["10", "11", "12"])]
    assert len(bad(rows)) == 1


@pytest.mark.parametrize("last", [b'1,"two\n', b'1,"two', b'"1,two\n', b'1,"two\r\n'])
def test_an_unclosed_quote_in_the_last_line_is_seen(tmp_path: Path, last: bytes) -> None:
    rows = read(tmp_path, b"a,b\n0,x\n" + last)
    assert good(rows) == [(2, ["0", "x"])]
    assert bad(rows) == ["line 3: a quote is opened here and not closed"]


def test_a_last_line_without_end_is_a_row(tmp_path: Path) -> None:
    assert good(read(tmp_path, b'a,b\n1,"x"\n2,"lax" y')) == [(2, ["1", "x"]), (3, ["2", "lax y"])]


def test_every_row_with_an_unclosed_quote_is_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    lines = [b'%d,"x,y\n' % number if number % 3 == 0 else b"%d,x,y\n" % number for number in range(3000)]
    rows = read(tmp_path, b"a,b,c\n" + b"".join(lines))
    assert len(bad(rows)) == 1000
    assert [line for line, _ in good(rows)] == [number + 2 for number in range(3000) if number % 3]


def test_cells_over_several_lines_are_one_row_at_its_first_line(tmp_path: Path) -> None:
    rows = read(tmp_path, b'a,b\n1,"x\ny\r\nz"\n\n2,"say ""hi"""\n3,"lax" quote\n')
    assert good(rows) == [(2, ["1", "x\ny\r\nz"]), (6, ["2", 'say "hi"']), (7, ["3", "lax quote"])]


def test_a_line_of_100_megabytes_is_skipped_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with path.open("wb") as stream:
        stream.write(b"a,b\n1,")
        for _ in range(100):
            stream.write(b"x" * 1_000_000)
        stream.write(b"\n2,y\n")
    tracemalloc.start()
    rows = list(open_source(str(path)).rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert good(rows) == [(3, ["2", "y"])]
    assert bad(rows) == ["line 2: longer than 1,000,000 characters"]
    assert peak < 20_000_000  # measured 9.6 MB


def test_a_long_line_inside_an_open_quote_does_not_swallow_the_line_after_it(tmp_path: Path) -> None:
    rows = read(tmp_path, b'a,b\n1,"open\n' + b"x" * 2_000_000 + b"\n2,y\n")
    assert good(rows) == [(4, ["2", "y"])]
    assert [problem.split(":")[0] for problem in bad(rows)] == ["line 2", "line 3"]


def test_a_truncated_gz_keeps_what_could_be_read_and_says_where_it_ends(tmp_path: Path) -> None:
    plain = b"a,b\n" + b"".join(b"%d,%d\n" % (number, number * 7919) for number in range(50_000))
    whole = gzip.compress(plain)
    rows = read(tmp_path, whole[: len(whole) // 2], "t.csv.gz")
    assert 1000 < len(good(rows)) < 50_000
    assert good(rows) == [(number + 2, [str(number), str(number * 7919)]) for number in range(len(good(rows)))]
    assert "cut off or damaged here" in bad(rows)[-1]
    assert f"line {len(good(rows)) + 2}:" in bad(rows)[-1]
    assert len(read(tmp_path, whole, "whole.csv.gz")) == 50_000


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", b"a;b\n1;2\n"),
        ("t.csv", b"a|b\n1|2\n"),
        ("t.csv", b"a\tb\n1\t2\n"),
        ("t.tsv", b"a\tb\n1\t2\n"),
        ("t.csv", b"\xef\xbb\xbfa,b\r\n1,2\r\n"),
        ("t.CSV", b"a, b \n1,2\n"),
        ("t.csv", b"a,b\r1,2\r"),
    ],
)
def test_other_delimiters_and_marks_are_seen(tmp_path: Path, name: str, data: bytes) -> None:
    rows = read(tmp_path, data, name)
    assert [dict(row.cells) for row in rows] == [{"a": "1", "b": "2"}]


def test_a_column_without_a_name_is_called_by_its_place(tmp_path: Path) -> None:
    assert dict(read(tmp_path, b",b\n0,x\n")[0].cells) == {"column_1": "0", "b": "x"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "NUL"),
        (b"caf\xe9,b\n1,2\n", "not UTF-8"),
        (b"a,b,a\n", "'a' stands twice"),
        (b"", "the table is empty"),
        (b"x" * 2_000_000, "no header can be read"),
    ],
)
def test_a_header_that_cannot_be_one_is_a_clear_error(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, data)


def test_columns_are_projected(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b,c\n1,2,3\n4,5\n")
    rows = list(open_source(str(path)).rows(columns={"c"}))
    assert [dict(row.cells) for row in rows] == [{"c": "3"}, {}]
    assert rows[1].problem == "line 3: 2 cells, the header has 3"


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@given(st.lists(st.tuples(cells, cells), max_size=8))
def test_what_the_csv_module_writes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([("a", "b"), *rows])
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_text(stream.getvalue(), encoding="utf-8", newline="")
    found = list(open_source(str(path)).rows())
    assert [tuple(row.cells.values()) for row in found] == rows
    assert bad(found) == []


PIECES = ["1,2\n", '"x,2\n', 'x",2\n', '"a\nb",2\n', "1\n", "\x00,2\n", '""",2\n', "\udce9,1\n"]


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_no_line_is_lost_or_read_twice(tmp_path_factory: pytest.TempPathFactory, pieces: list[str]) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(("a,b\n" + "".join(pieces)).encode("utf-8", "surrogateescape"))
    rows = list(open_source(str(path)).rows())
    # A row covers the line at which it begins and one more for each line end inside its cells.
    covered = [row.line + extra for row in rows for extra in range(1 + "".join(row.cells.values()).count("\n"))]
    assert covered == list(range(2, 2 + "".join(pieces).count("\n")))
