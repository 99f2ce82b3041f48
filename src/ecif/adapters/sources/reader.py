"""Reads a source file row by row in bounded memory; a bad row never takes its neighbours with it.

Works on bytes first: physical lines are joined to rows while a quote is open (RFC 4180), and each row is decoded on its
own. UTF-8, with or without BOM, and GB 18030 are told apart by which of them more of the lines are.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ecif.domain.records import Rejection
from ecif.domain.text import compact

ROW_LINES_MAX = 50
ROW_BYTES_MAX = 64 * 1024
RAW_MAX = 4096
_BOM = b"\xef\xbb\xbf"
_SAMPLE_BYTES = 16 * 1024 * 1024


class SourceFileError(Exception):
    """A file that cannot be loaded at all; the text says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it begins, its cells, and its text."""

    line: int
    cells: Sequence[str] = field(repr=False)
    raw: str = field(repr=False)


def reject(line: int, code: str, field: str, zh: str, en: str, raw: str) -> Rejection:
    """A rejection, with NUL bytes shown (the database stores none) and the text bounded."""
    return Rejection(line, code, field, zh, en, raw.replace("\x00", "\\0")[:RAW_MAX])


class SourceFile:
    """An open file. ``bytes_read`` of ``size`` tells the progress."""

    def __init__(self, path: Path, *, delimiter: str = ",", required: Sequence[str] = ()) -> None:
        """Opens the file, finds its encoding and reads its header.

        Raises:
            SourceFileError: it is missing, empty, or a required column is not in its header.
        """
        self.path, self.delimiter = path, delimiter
        self.bytes_read = 0
        self._line = 0
        self._back: deque[bytes] = deque()
        try:
            self.size = path.stat().st_size
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise SourceFileError(f"{path}: 无法打开文件 cannot open the file: {error.strerror}") from error
        self.encoding = self._find_encoding()
        self.columns = self._read_header(required)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _find_encoding(self) -> str:
        if self._file.read(3) == _BOM:
            return "utf-8"
        self._file.seek(0)
        good = bad = 0
        for line in self._file.readlines(_SAMPLE_BYTES):
            if not line.isascii():
                good, bad = (good + 1, bad) if _decodes(line) else (good, bad + 1)
        self._file.seek(0)
        return "utf-8" if good >= bad else "gb18030"

    def _read_header(self, required: Sequence[str]) -> dict[str, int]:
        line = self._next_line()
        if line is None:
            raise SourceFileError(f"{self.path.name}: 文件为空 the file is empty")
        try:
            names = [compact(c) for c in next(csv.reader([line.decode(self.encoding)], delimiter=self.delimiter))]
        except (UnicodeDecodeError, csv.Error, StopIteration) as error:
            raise SourceFileError(f"{self.path.name}: 首行不是表头 the first line is not a header") from error
        missing = [name for name in required if name not in names]
        if missing:
            listed = ", ".join(missing)
            raise SourceFileError(
                f"{self.path.name}: 缺少列 {listed}; 请核对 contracts/sources 中的契约 "
                f"columns are missing: {listed}; compare with the contract in contracts/sources"
            )
        twice = sorted({n for n in names if n and names.count(n) > 1})
        if twice:
            raise SourceFileError(f"{self.path.name}: 列名重复 columns stand twice: {', '.join(twice)}")
        self.width = len(names)
        return {name: place for place, name in enumerate(names)}

    def _next_line(self) -> bytes | None:
        if self._back:
            line = self._back.popleft()
        else:
            line = self._file.readline(ROW_BYTES_MAX + 1)
            self.bytes_read += len(line)
        if not line:
            return None
        self._line += 1
        return line

    def rows(self) -> Iterator[Row | Rejection]:
        """Every row after the header, as a row or as the reason why it is none. Blank lines are no rows."""
        while (first := self._next_line()) is not None:
            start = self._line
            if first.strip(b" \t\r\n"):
                yield self._row(start, self._join(first))

    def _join(self, first: bytes) -> bytes | None:
        """The physical lines of one row; None (and only the first line consumed) if its quote never closes in bounds."""
        lines, size, open_quote = [first], len(first), first.count(b'"') % 2 == 1
        while open_quote and len(lines) < ROW_LINES_MAX and size <= ROW_BYTES_MAX:
            line = self._next_line()
            if line is None:
                break
            lines.append(line)
            size += len(line)
            open_quote ^= line.count(b'"') % 2 == 1
        if not open_quote and size <= ROW_BYTES_MAX:
            return b"".join(lines)
        self._line -= len(lines) - 1
        self._back.extendleft(reversed(lines[1:]))
        self._first_of_bad = first
        return None

    def _row(self, line: int, raw: bytes | None) -> Row | Rejection:
        if raw is None:
            text = self._first_of_bad.decode(self.encoding, "replace").rstrip("\r\n")
            return reject(
                line, "UNCLOSED_QUOTE", "", "引号未闭合或行过长", "a quote is not closed, or the row is too long", text
            )
        try:
            text = raw.decode(self.encoding).rstrip("\r\n")
        except UnicodeDecodeError:
            shown = raw.decode(self.encoding, "backslashreplace")
            return reject(line, "ENCODING", "", f"不是 {self.encoding} 编码", f"not {self.encoding} text", shown)
        if "\x00" in text:
            return reject(line, "NUL_BYTE", "", "含有空字节", "holds a NUL byte", text)
        try:
            cells = next(csv.reader([text], delimiter=self.delimiter, strict=True))
        except (csv.Error, StopIteration):
            return reject(line, "CSV", "", "不符合 RFC 4180", "not a row of RFC 4180", text)
        if len(cells) != self.width:
            zh, en = (
                f"应有 {self.width} 列, 实有 {len(cells)} 列",
                f"{len(cells)} cells where the header has {self.width}",
            )
            return reject(line, "RAGGED_ROW", "", zh, en, text)
        return Row(line, cells, text)


def _decodes(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
