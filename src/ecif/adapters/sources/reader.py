"""Reads a source file row by row in bounded memory; a bad row never takes its neighbours with it.

A row is a physical line, or several while a quote is open (RFC 4180). What cannot be read as a row is rejected as one
physical line, and the next line begins anew. UTF-8, with or without BOM, and GB 18030 are told apart by which of them
more of the lines are.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from ecif.domain.records import Rejection
from ecif.domain.text import compact

ROW_LINES_MAX = 50
ROW_BYTES_MAX = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_SAMPLE_BYTES = 16 * 1024 * 1024


class SourceFileError(Exception):
    """A file that cannot be loaded at all; the text says which, why, and what to do."""


Fault = tuple[str, str, str]
"""Why lines are no row: a stable code, 原因, the reason."""
_CSV: Fault = ("CSV", "不符合 RFC 4180 (引号未闭合?)", "not a row of RFC 4180 (a quote that stays open?)")
_ROW_IN_CELL: Fault = ("ROW_IN_CELL", "单元格内含有整行 (引号未闭合?)", "a cell holds a row (a quote that stays open?)")
_TOO_LONG: Fault = ("TOO_LONG", f"行超过 {ROW_BYTES_MAX} 字节", f"the line is over {ROW_BYTES_MAX} bytes")
_NUL_BYTE: Fault = ("NUL_BYTE", "含有空字节", "holds a NUL byte")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it begins, its cells, and its text."""

    line: int
    cells: Sequence[str] = field(repr=False)
    raw: str = field(repr=False)


def reject(line: int, code: str, field: str, zh: str, en: str, raw: str) -> Rejection:
    """A rejection, with NUL bytes shown: the database stores none."""
    return Rejection(line, code, field, zh, en, raw.rstrip("\r\n").replace("\x00", "\\0"))


class SourceFile:
    """An open file. ``bytes_read`` of ``size`` tells the progress."""

    def __init__(self, path: Path, *, delimiter: str = ",", required: Collection[str] = ()) -> None:
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
        try:
            self.encoding = self._find_encoding()
            self.columns = self._read_header(required)
        except SourceFileError:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _find_encoding(self) -> str:
        if self._file.read(3) == _BOM:
            return "utf-8"
        self._file.seek(0)
        good = bad = 0
        while self._file.tell() < _SAMPLE_BYTES and (line := self._file.readline(ROW_BYTES_MAX)):
            if not line.isascii():
                good, bad = (good + 1, bad) if _is_utf8(line) else (good, bad + 1)
        self._file.seek(0)
        return "utf-8" if good >= bad else "gb18030"

    def _read_header(self, required: Collection[str]) -> dict[str, int]:
        line = self._next_line()
        if line is None:
            raise SourceFileError(f"{self.path.name}: 文件为空 the file is empty")
        try:
            names = [compact(c) for c in next(csv.reader([line.decode(self.encoding)], delimiter=self.delimiter))]
        except (UnicodeDecodeError, csv.Error, StopIteration) as error:
            raise SourceFileError(f"{self.path.name}: 首行不是表头 the first line is not a header") from error
        missing = sorted(set(required).difference(names))
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
            if len(line) > ROW_BYTES_MAX and not line.endswith(b"\n"):
                line = self._skip_rest(line)
        if not line:
            return None
        self._line += 1
        return line

    def _skip_rest(self, line: bytes) -> bytes:
        """A line that is too long: its beginning, then its length and digest, as another may begin alike."""
        digest, size, piece = blake2b(line, digest_size=8), len(line), line
        while not piece.endswith(b"\n") and (piece := self._file.readline(ROW_BYTES_MAX)):
            digest.update(piece)
            size += len(piece)
        self.bytes_read += size - len(line)
        return line + f" ... [{size} bytes, blake2b {digest.hexdigest()}]".encode()

    def rows(self) -> Iterator[Row | Rejection]:
        """Every row after the header, as a row or as the reason why it is none. Blank lines are no rows."""
        while (first := self._next_line()) is not None:
            if first.strip(b" \t\r\n"):
                yield self._row(first)

    def _row(self, first: bytes) -> Row | Rejection:
        line, lines = self._line, [first]
        try:
            cells = next(csv.reader(self._texts(lines), delimiter=self.delimiter, strict=True))
        except csv.Error:
            fault = _CSV
        else:
            if len(cells) == self.width:
                return self._whole(line, cells, lines)
            fault = ("RAGGED_ROW", f"应有 {self.width} 列, 实有 {len(cells)} 列",
                     f"{len(cells)} cells where the header has {self.width}")  # fmt: skip
        self._line -= len(lines) - 1
        self._back.extendleft(reversed(lines[1:]))
        code, zh, en = self._fault(first) or fault
        return reject(line, code, "", zh, en, self._text(first))

    def _texts(self, lines: list[bytes]) -> Iterator[str]:
        """The first line, and as many more, within bounds, as the CSV reader asks for while a quote is open."""
        yield self._text(lines[0])
        while len(lines) < ROW_LINES_MAX and sum(map(len, lines)) <= ROW_BYTES_MAX:
            line = self._next_line()
            if line is None:
                return
            lines.append(line)
            yield self._text(line)

    def _text(self, line: bytes) -> str:
        return line.decode(self.encoding, "backslashreplace")

    def _whole(self, line: int, cells: list[str], lines: list[bytes]) -> Row | Rejection:
        """A row with as many cells as the header. One that holds whole rows in a cell is rejected with all its text:

        maybe two rows each have a stray quote, maybe somebody typed a row into an address; nobody can tell.
        """
        fault = next(filter(None, map(self._fault, lines)), None)
        if "\n" not in cells[0] and any(map(self._looks_whole, lines[1:])):
            fault = fault or _ROW_IN_CELL
        text = self._text(b"".join(lines))
        if fault:
            code, zh, en = fault
            return reject(line, code, "", zh, en, text)
        return Row(line, cells, text.rstrip("\r\n"))

    def _fault(self, line: bytes) -> Fault | None:
        if len(line) > ROW_BYTES_MAX:
            return _TOO_LONG
        if b"\x00" in line:
            return _NUL_BYTE
        if line.isascii() or self._is_of_this_encoding(line):
            return None
        return "ENCODING", f"不是 {self.encoding} 编码", f"not {self.encoding} text"

    def _is_of_this_encoding(self, line: bytes) -> bool:
        """Most UTF-8 would decode as GB 18030 too, to other characters."""
        if self.encoding == "utf-8":
            return _is_utf8(line)
        try:
            line.decode(self.encoding)
        except UnicodeDecodeError:
            return False
        return not _is_utf8(line, at_least="\u0800")

    def _looks_whole(self, line: bytes) -> bool:
        try:
            return len(next(csv.reader([self._text(line)], delimiter=self.delimiter), ())) == self.width
        except csv.Error:
            return False


def _is_utf8(line: bytes, at_least: str = "") -> bool:
    """Whether the line is UTF-8, and its highest character at least this one. Some pairs of GB 18030 look like ``é``."""
    try:
        return max(line.decode()) >= at_least
    except UnicodeDecodeError:
        return False
