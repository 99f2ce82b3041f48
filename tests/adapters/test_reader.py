"""Files as they really come: encodings, line ends, quotes, junk. Every row comes out once, as a row or as a rejection."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecif.adapters.sources import SourceFile, SourceFileError
from ecif.adapters.sources.reader import ROW_BYTES_MAX, ROW_LINES_MAX, Row
from ecif.domain.records import Rejection

HEADER = b"A,B,C,D\n"
GOOD = b"1,2,3,4"


def read(folder: Path, content: bytes, **options: str) -> list[Row | Rejection]:
    """Everything that comes out of a file."""
    path = folder / "x.csv"
    path.write_bytes(content)
    source = SourceFile(path, required=("A", "B"), **options)
    try:
        return list(source.rows())
    finally:
        source.close()


def brief(rows: list[Row | Rejection]) -> list[tuple[int, list[str] | str]]:
    """Line, and cells or the code of the reason."""
    return [(r.line, list(r.cells) if isinstance(r, Row) else r.code) for r in rows]


PEOPLE = "张三,䶮,𠂇𬱖,·"


@pytest.mark.parametrize(
    "encoded",
    [
        ("A,B,C,D\n" + PEOPLE).encode(),
        ("A,B,C,D\n" + PEOPLE).encode("utf-8-sig"),
        ("A,B,C,D\n" + PEOPLE).encode("gb18030"),
        ("\ufeffA,B,C,D\n" + PEOPLE).encode("gb18030"),
        ("A,B,C,D\r\n" + PEOPLE + "\r\n").encode("gb18030"),
        ('"A"," B　","\u200bC",Ｄ\r\r\n' + PEOPLE).encode(),
    ],
)
def test_encodings_and_line_ends(tmp_path: Path, encoded: bytes) -> None:
    assert brief(read(tmp_path, encoded)) == [(2, ["张三", "䶮", "𠂇𬱖", "·"])]


def test_few_latin_letters_do_not_make_a_file_chinese(tmp_path: Path) -> None:
    assert brief(read(tmp_path, HEADER + "José,2,3,4".encode())) == [(2, ["José", "2", "3", "4"])]


@pytest.mark.parametrize(("most", "other"), [("utf-8", "gb18030"), ("gb18030", "utf-8")])
def test_a_row_of_another_encoding_is_rejected_alone(tmp_path: Path, most: str, other: str) -> None:
    """UTF-8 would decode as GB 18030 now and then, to other people's names."""
    row = "张三丰,北京市,3,4\n"
    found = read(tmp_path, HEADER + row.encode(most) * 2 + row.encode(other) + row.encode(most))
    assert brief(found) == [(2, ["张三丰", "北京市", "3", "4"]), (3, ["张三丰", "北京市", "3", "4"]), (4, "ENCODING"),
                            (5, ["张三丰", "北京市", "3", "4"])]  # fmt: skip
    assert isinstance(found[2], Rejection) and "3,4" in found[2].raw


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"1,2,3", "RAGGED_ROW"),
        (b"1,2,3,4,5", "RAGGED_ROW"),
        (b"x", "RAGGED_ROW"),
        (b"\x1a", "RAGGED_ROW"),
        (b"1,\x00,3,4", "NUL_BYTE"),
        (b"1,\xff\xfe,3,4", "ENCODING"),
        (b'1,"2,3,4', "CSV"),
        (b'1,"2"x,3,4', "CSV"),
        (b"1,2\r3,4,5", "CSV"),
        (b"1," + b"x" * ROW_BYTES_MAX + b",3,4", "TOO_LONG"),
        (b"1," + b"x,y,z,4," * 1_400_000 + b"4", "TOO_LONG"),
    ],
)
def test_a_bad_row_takes_no_neighbour_with_it(tmp_path: Path, bad: bytes, code: str) -> None:
    quoted = b'1,"2,2","say ""hi""\n",4'
    found = brief(read(tmp_path, HEADER + b"\n".join((GOOD, bad, GOOD, quoted, bad, GOOD))))
    good, told = ["1", "2", "3", "4"], ["1", "2,2", 'say "hi"\n', "4"]
    assert found == [(2, good), (3, code), (4, good), (5, told), (7, code), (8, good)]


def test_a_rejection_tells_line_reason_and_text(tmp_path: Path) -> None:
    (found,) = read(tmp_path, HEADER + b"1,\x00,\xe5\xbc\xa0\r\n")
    assert found == Rejection(2, "NUL_BYTE", "", "含有空字节", "holds a NUL byte", "1,\\0,张")
    assert "张" not in repr(found)


@pytest.mark.parametrize(("bad", "code"), [("\x00", "NUL_BYTE"), ("\udcff", "ENCODING")])
def test_a_row_of_several_lines_is_rejected_whole(tmp_path: Path, bad: str, code: str) -> None:
    row = f'1,"2\n2{bad}",3,4\n'.encode(errors="surrogateescape")
    (found, good) = read(tmp_path, HEADER + row + GOOD)
    assert isinstance(found, Rejection) and isinstance(good, Row)
    assert (found.code, found.raw.count("\n"), found.raw[-4:]) == (code, 1, ",3,4")


def test_stray_quotes_far_apart_do_not_make_one_row_of_what_is_between(tmp_path: Path) -> None:
    rows = [GOOD] * 12
    rows[2], rows[9] = b'1,"2,3,4', b'1,2",3,4'
    found = brief(read(tmp_path, HEADER + b"\n".join(rows)))
    assert [line for line, row in found if row == "ROW_IN_CELL"] == [4]
    rows[9] = b'1,2,3",4'  # closes at another place: not a row of four cells
    assert [(n, r) for n, r in brief(read(tmp_path, HEADER + b"\n".join(rows))) if r != ["1", "2", "3", "4"]] == [
        (4, "RAGGED_ROW"),
        (11, ["1", "2", '3"', "4"]),
    ]


def test_a_row_typed_into_a_cell_does_not_become_a_record(tmp_path: Path) -> None:
    text = '1,"x\n9,9,9,9\ny",3,4'
    (found,) = read(tmp_path, HEADER + text.encode())
    assert isinstance(found, Rejection)
    assert (found.code, found.raw) == ("ROW_IN_CELL", text)


def test_a_cell_may_hold_any_line_break(tmp_path: Path) -> None:
    assert brief(read(tmp_path, HEADER + b'1,2,3,"\n\r \r\n"')) == [(2, ["1", "2", "3", "\n\r \r\n"])]


def test_a_quote_may_stay_open_for_some_lines_only(tmp_path: Path) -> None:
    cell = "\n" * (ROW_LINES_MAX - 1)
    assert brief(read(tmp_path, HEADER + f'1,"{cell}",3,4'.encode())) == [(2, ["1", cell, "3", "4"])]
    assert brief(read(tmp_path, HEADER + f'1,"{cell}\n",3,4\n'.encode() + GOOD))[0] == (2, "CSV")


def test_long_lines_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    long = b"1," + b"x" * 3 * ROW_BYTES_MAX
    one, two = read(tmp_path, HEADER + long + b"1\n" + long + b"2\n")
    assert isinstance(one, Rejection) and isinstance(two, Rejection)
    assert one.raw != two.raw
    assert f"[{len(long) + 2} bytes" in one.raw


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    assert brief(read(tmp_path, HEADER + b"\n \t\r\n" + GOOD + b"\n\n")) == [(4, ["1", "2", "3", "4"])]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"A,C,D\n1,2,3", "missing: B"),
        (b"A;B;C\n1;2;3", "missing: A, B"),
        (b"A,B,A\n", "twice: A"),
        (b"\xff\xfeA\x00,\x00B\x00\n\x00", "header|missing"),
        (b"A,B\rC,D\r1,2", "not a header"),
        (b"\n\n", "missing: A, B"),
        (b"x" * 10_000_000, "missing: A, B"),
    ],
)
def test_files_that_cannot_be_loaded_say_why(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(SourceFileError, match=said) as caught:
        read(tmp_path, content)
    assert len(str(caught.value)) < 500


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.csv"):
        with pytest.raises(SourceFileError, match="cannot open"):
            SourceFile(path)


def test_progress_ends_at_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(HEADER + b'1,"2,3,4\n' + b"x" * 200_000 + b"\n" + GOOD)
    source = SourceFile(path)
    assert len(list(source.rows())) == 3
    assert source.bytes_read == source.size
    source.close()


SOME = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JUNK = st.lists(
    st.sampled_from((b",", b'"', b'""', b"\n", b"\r\n", b"\r", b"\x00", b" ", b"1,2,3,4", b'"x', b'y"', b"x" * 70_000,
                     "张".encode(), "张".encode("gb18030"), "𠂇".encode("gb18030"), b"\xff", b"\x81"))
    | st.binary(max_size=6),
    max_size=40,
).map(b"".join)  # fmt: skip


@SOME
@given(junk=JUNK)
def test_law_every_line_comes_out_exactly_once(tmp_path: Path, junk: bytes) -> None:
    """Rows and rejections tile the file: each begins after the one before, and only blank lines lie between."""
    found = read(tmp_path, HEADER + junk)
    lines = (HEADER + junk).split(b"\n")
    covered: set[int] = set()
    for row in found:
        span = range(row.line, row.line + 1 + row.raw.count("\n"))
        assert covered.isdisjoint(span)
        covered.update(span)
        assert isinstance(row, Rejection) or len(row.cells) == 4
    assert [r.line for r in found] == sorted(r.line for r in found)
    blank = {n for n, line in enumerate(lines, 1) if not line.strip(b" \t\r\n")}
    assert set(range(2, len(lines) + 1)) - covered <= blank


@SOME
@given(junk=JUNK.filter(lambda b: b'"' not in b and b"\n" not in b), before=st.integers(0, 3), after=st.integers(0, 3))
def test_law_neighbours_of_junk_come_out_whole(tmp_path: Path, junk: bytes, before: int, after: int) -> None:
    found = brief(read(tmp_path, HEADER + b"\n".join([GOOD] * before + [junk] + [GOOD] * after)))
    good = [(n, ["1", "2", "3", "4"]) for n in (*range(2, 2 + before), *range(3 + before, 3 + before + after))]
    assert [row for row in found if row[0] != 2 + before] == good


CELL = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)


@SOME
@given(
    rows=st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6),
    encoding=st.sampled_from(("utf-8", "utf-8-sig", "gb18030")),
    end=st.sampled_from(("\n", "\r\n")),
)
def test_law_what_a_csv_writer_wrote_comes_back(tmp_path: Path, rows: list[list[str]], encoding: str, end: str) -> None:
    """Cells with quotes, commas and line breaks; each file says 中 often enough that its encoding shows."""
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if end == "\n" else csv.QUOTE_MINIMAL  # it would leave a lone CR without quotes
    writer = csv.writer(text, lineterminator=end, quoting=quoting)
    writer.writerows([["A", "B", "C", "D"], *(["中文", *cells] for cells in rows)])
    found = read(tmp_path, text.getvalue().encode(encoding))
    if not any(isinstance(r, Rejection) and r.code == "ROW_IN_CELL" for r in found):
        assert [list(r.cells) for r in found if isinstance(r, Row)] == [["中文", *cells] for cells in rows]


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A file of one line, of open quotes, of very long lines: some hundred kilobytes are held, whatever its size."""
    path = tmp_path / "big.csv"
    for content in (b"x" * 30_000_000, b'1,"\n' * 20_000, (b"1," + b"y" * 1_000_000 + b"\n") * 30):
        path.write_bytes(HEADER + content)
        tracemalloc.start()
        source = SourceFile(path)
        assert sum(1 for _ in source.rows()) > 0
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        source.close()
        assert peak < 5_000_000
