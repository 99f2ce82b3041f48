"""Turns a row into a :class:`~ecif.domain.records.PartyRecord` as its contract says: a pure function of the row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, TypeVar

import orjson

from ecif.adapters.sources.contract import AccountsColumn, CodeColumn, Contract, IdentifierColumns
from ecif.adapters.sources.reader import Row, reject
from ecif.domain.identifiers import IdentifierKind
from ecif.domain.records import (
    Account,
    AccountStatus,
    Address,
    Finding,
    Gender,
    Identifier,
    PartyRecord,
    Phone,
    RecordStatus,
    Rejection,
    RelatedParty,
)
from ecif.domain.text import compact, visible

T = TypeVar("T")

CHINA = timezone(timedelta(hours=8))
"""Business dates are China Standard Time, which has had no daylight saving since 1991."""
ACCOUNTS_MAX = 200
KEY_MAX = 64
_FLOOR = datetime(1970, 1, 1, tzinfo=UTC)
"""Business time of a record whose source gives none: any other version of it is newer."""


class _Cells:
    """One row's cells by column name, cleaned on the way out; collects the findings."""

    __slots__ = ("_cells", "_columns", "_length_max", "findings")

    def __init__(self, cells: Sequence[str], columns: Mapping[str, int], length_max: int) -> None:
        self._cells, self._columns, self._length_max = cells, columns, length_max
        self.findings: list[Finding] = []

    def raw(self, column: str | None) -> str:
        place = self._columns.get(column) if column else None
        return "" if place is None else self._cells[place]

    def code(self, column: str | None) -> str:
        return compact(self.raw(column))

    def text(self, column: str | None) -> str:
        value = visible(self.raw(column))
        if len(value) <= self._length_max:
            return value
        self.find("TOO_LONG", column)
        return ""

    def find(self, code: str, column: str | None) -> None:
        self.findings.append(Finding(code, column or ""))


class Mapper:
    """Maps the rows of one file: a contract, and where the file's header has each column."""

    def __init__(self, contract: Contract, columns: Mapping[str, int]) -> None:
        self.contract, self.columns = contract, columns
        self._date_forms = [(f, len(datetime(2000, 1, 1).strftime(f))) for f in contract.dates]
        self._dates: dict[str, datetime | None] = {}

    @staticmethod
    def required(contract: Contract) -> tuple[str, ...]:
        """The columns without which no row can be accepted."""
        return (contract.key, contract.party_type.column, contract.name, contract.business_time[0])

    def map(self, row: Row) -> PartyRecord | Rejection:
        """The record of a row, or why it has none. Only what names a party or its kind is essential."""
        contract = self.contract
        cells = _Cells(row.cells, self.columns, contract.length_max)
        key = cells.code(contract.key)
        if not key:
            return reject(row.line, "MISSING_KEY", contract.key, "缺少主键", "the key is missing", row.raw)
        if len(key) > KEY_MAX:
            return reject(
                row.line, "TOO_LONG", contract.key, "主键过长", f"the key is over {KEY_MAX} characters", row.raw
            )
        party_type = contract.party_type.codes.get(cells.code(contract.party_type.column))
        if party_type is None:
            column = contract.party_type.column
            return reject(
                row.line, "UNKNOWN_CODE", column, "未知的客户类型代码", "unknown code of the party type", row.raw
            )
        opened = self._moment(cells, contract.opened_on)
        return PartyRecord(
            system=contract.system,
            key=key,
            party_type=party_type,
            business_time=self._business_time(cells),
            name=cells.text(contract.name),
            latin_name=cells.text(contract.latin_name),
            identifiers=tuple(self._identifiers(cells, contract.identifiers)),
            birth_date=self._date(cells, contract.birth_date),
            gender=self._gender(cells),
            nationality=_coded(cells, contract.nationality),
            phones=tuple(Phone(p.kind, t) for p in contract.phones if (t := cells.text(p.column))),
            addresses=tuple(Address(a.kind, t) for a in contract.addresses if (t := cells.text(a.column))),
            emails=tuple(t for column in contract.emails if (t := cells.text(column))),
            postcode=cells.code(contract.postcode)[:20],
            employer=cells.text(contract.employer),
            occupation=_coded(cells, contract.occupation),
            education=_coded(cells, contract.education),
            marital_status=_coded(cells, contract.marital_status),
            related=tuple(self._related(cells)),
            accounts=self._accounts(cells),
            legal_entity=contract.legal_entity,
            branch=cells.code(contract.branch)[:40],
            opened_on=opened.date() if opened else None,
            status=self._status(cells),
            findings=tuple(cells.findings),
        )

    def _business_time(self, cells: _Cells) -> datetime:
        for column in self.contract.business_time:
            moment = self._moment(cells, column)
            if moment:
                return moment.astimezone(UTC)
        cells.find("NO_BUSINESS_TIME", self.contract.business_time[0])
        return _FLOOR

    def _moment(self, cells: _Cells, column: str | None) -> datetime | None:
        """A date or time in China Standard Time. Impossible ones are findings."""
        raw = cells.raw(column)
        if not raw or raw.isspace():
            return None
        if raw not in self._dates:
            if len(self._dates) > 100_000:
                self._dates.clear()
            self._dates[raw] = self._parse(raw)
        moment = self._dates[raw]
        if moment is None:
            cells.find("BAD_DATE", column)
        return moment

    def _parse(self, raw: str) -> datetime | None:
        packed = compact(raw)
        for form, length in self._date_forms:
            wanted = form.replace(" ", "")
            if len(packed) == length - (" " in form):
                try:
                    return datetime.strptime(packed, wanted).replace(tzinfo=CHINA)
                except ValueError:
                    continue
        return None

    def _date(self, cells: _Cells, column: str | None) -> date | None:
        moment = self._moment(cells, column)
        return moment.date() if moment else None

    def _gender(self, cells: _Cells) -> Gender | None:
        return (
            _look_up(cells, self.contract.gender.column, self.contract.gender.codes) if self.contract.gender else None
        )

    def _status(self, cells: _Cells) -> RecordStatus:
        column = self.contract.status
        return (_look_up(cells, column.column, column.codes) if column else None) or RecordStatus.ACTIVE

    def _identifiers(self, cells: _Cells, columns: Iterable[IdentifierColumns]) -> Iterator[Identifier]:
        for column in columns:
            number = cells.text(column.number)
            if number:
                yield Identifier(_kind(cells, column), number, self._date(cells, column.valid_to))

    def _related(self, cells: _Cells) -> Iterator[RelatedParty]:
        for related in self.contract.related:
            name = cells.text(related.name)
            if name:
                columns = (related.identifier,) if related.identifier else ()
                yield RelatedParty(related.relation, name, next(self._identifiers(cells, columns), None))

    def _accounts(self, cells: _Cells) -> tuple[Account, ...]:
        columns = self.contract.accounts
        raw = cells.raw(columns.column).strip() if columns else ""
        if not columns or not raw:
            return ()
        try:
            entries = _entries(raw, columns)[:ACCOUNTS_MAX]
            return tuple(a for a in (self._account(cells, e, columns) for e in entries) if a)
        except (orjson.JSONDecodeError, TypeError, AttributeError):
            cells.find("BAD_ACCOUNTS", columns.column)
            return ()

    def _account(self, cells: _Cells, entry: Mapping[int | str, Any], columns: AccountsColumn) -> Account | None:
        number = compact(str(entry.get(columns.number) or ""))
        if not number or len(number) > KEY_MAX:
            cells.find("BAD_ACCOUNT", columns.column)
            return None
        kind_code = compact(str(entry.get(columns.kind.part) or "")) if columns.kind.part is not None else ""
        kind = columns.kind.codes.get(kind_code) or (kind_code if columns.kind.open else "") or columns.kind.default
        status = columns.status.codes.get(compact(str(entry.get(columns.status.part) or "")))
        if status is None:
            cells.find("UNKNOWN_CODE", columns.column)
        opened = self._parse(str(entry.get(columns.opened_on) or "")) if columns.opened_on is not None else None
        return Account(number, kind[:40], status or AccountStatus.NORMAL, opened.date() if opened else None)


def _entries(raw: str, columns: AccountsColumn) -> list[Mapping[int | str, Any]]:
    """The entries of an accounts cell, each by position or by JSON member."""
    if columns.items is None:
        parsed = orjson.loads(raw)
        return [dict(entry) for entry in parsed] if isinstance(parsed, list) else []
    return [dict(enumerate(item.split(columns.parts))) for item in raw.split(columns.items) if item.strip()]


def _look_up(cells: _Cells, column: str, codes: Mapping[str, T]) -> T | None:
    code = cells.code(column)
    if code and code not in codes:
        cells.find("UNKNOWN_CODE", column)
    return codes.get(code)


def _coded(cells: _Cells, column: CodeColumn | None) -> str:
    """A code's meaning; a column without codes gives its text."""
    if column is None:
        return ""
    if not column.codes:
        return cells.text(column.column)[:40]
    code = cells.code(column.column)
    if code and code not in column.codes and not column.open:
        cells.find("UNKNOWN_CODE", column.column)
    return (column.codes.get(code, code if column.open else "") or "")[:40]


def _kind(cells: _Cells, column: IdentifierColumns) -> IdentifierKind | None:
    return (
        column.kind
        if isinstance(column.kind, IdentifierKind)
        else _look_up(cells, column.kind.column, column.kind.codes)
    )
