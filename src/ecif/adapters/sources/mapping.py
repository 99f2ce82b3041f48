"""Turns a row into a :class:`~ecif.domain.records.PartyRecord` as its contract says: a pure function of the row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TypeVar

from ecif.adapters.sources.contract import AccountsColumn, CodeColumn, Contract, IdentifierColumns
from ecif.adapters.sources.reader import Row, reject
from ecif.domain.days import CHINA
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import (
    Account,
    AccountClass,
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
from ecif.domain.text import clean, compact, visible

T = TypeVar("T")

"""Business dates are China Standard Time, which has had no daylight saving since 1991."""
ACCOUNTS_MAX = 200
KEY_MAX = 64
CODE_MAX = 40
DATE_MAX = 40
_FLOOR, _CEILING = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Business times outside are no times but low and high values (0001-01-01, 9999-12-31), after which nothing would ever be
newer or older. The floor is that of a record whose source gives none: any other version of it is newer."""
_SEPARATED = re.compile(r"(?:%[A-Za-z][^%]+)*(?:%[A-Za-z])?")
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can spell and nothing can store."""


class _Cells:
    """One row's cells by column name, cleaned on the way out; collects the findings."""

    __slots__ = ("_cells", "_columns", "_length_max", "findings")

    def __init__(self, cells: Sequence[str], columns: Mapping[str, int], length_max: int) -> None:
        self._cells, self._columns, self._length_max = cells, columns, length_max
        self.findings: list[Finding] = []

    def raw(self, column: str | None) -> str:
        return self._cells[self._columns[column]] if column else ""

    def code(self, column: str | None) -> str:
        return compact(self.raw(column))

    def short(self, column: str | None) -> str:
        return self._within(CODE_MAX, self.code(column), column)

    def text(self, column: str | None, most: int | None = None) -> str:
        return self._within(most or self._length_max, visible(self.raw(column)), column)

    def _within(self, most: int, value: str, column: str | None) -> str:
        if len(value) <= most:
            return value
        self.find("TOO_LONG", column)
        return ""

    def find(self, code: str, column: str | None) -> None:
        self.findings.append(Finding(code, column or ""))


class Mapper:
    """Maps the rows of one file: a contract, and where the file's header has each column."""

    def __init__(self, contract: Contract, columns: Mapping[str, int]) -> None:
        self.contract, self.columns = contract, columns
        self._date_forms = [_date_form(form) for form in contract.dates]
        self._dates: dict[str, datetime | None] = {}

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
            postcode=cells.short(contract.postcode),
            employer=cells.text(contract.employer),
            occupation=_coded(cells, contract.occupation),
            education=_coded(cells, contract.education),
            marital_status=_coded(cells, contract.marital_status),
            related=tuple(self._related(cells)),
            accounts=self._accounts(cells),
            legal_entity=contract.legal_entity,
            branch=cells.short(contract.branch),
            opened_on=opened.date() if opened else None,
            status=self._status(cells),
            findings=tuple(cells.findings),
        )

    def _business_time(self, cells: _Cells) -> datetime:
        for column in self.contract.business_time:
            moment = self._moment(cells, column)
            if moment and _FLOOR <= moment < _CEILING:
                return moment.astimezone(UTC)
            if moment:
                cells.find("BAD_DATE", column)
        cells.find("NO_BUSINESS_TIME", self.contract.business_time[0])
        return _FLOOR

    def _moment(self, cells: _Cells, column: str | None) -> datetime | None:
        """A date or time, in China Standard Time unless it says otherwise. Impossible ones are findings."""
        text = cells.code(column)
        moment = self._parse(text)
        if text and moment is None:
            cells.find("BAD_DATE", column)
        return moment

    def _parse(self, text: str) -> datetime | None:
        """The moment that a text without spaces names. Texts are remembered: a file has few different dates."""
        if len(text) > DATE_MAX:
            return None
        if text not in self._dates:
            if len(self._dates) > 100_000:
                self._dates.clear()
            self._dates[text] = _parse(text, self._date_forms)
        return self._dates[text]

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
            columns = (related.identifier,) if related.identifier else ()
            identifier = next(self._identifiers(cells, columns), None)
            if name or identifier:
                yield RelatedParty(related.relation, name, identifier)

    def _accounts(self, cells: _Cells) -> tuple[Account, ...]:
        columns = self.contract.accounts
        if columns is None:
            return ()
        entries = _entries(cells.raw(columns.column), columns)
        if entries is None:
            cells.find("BAD_ACCOUNTS", columns.column)
            return ()
        if len(entries) > ACCOUNTS_MAX:
            cells.find("TOO_MANY_ACCOUNTS", columns.column)
        return tuple(a for a in (self._account(cells, e, columns) for e in entries[:ACCOUNTS_MAX]) if a)

    def _account(self, cells: _Cells, entry: object, columns: AccountsColumn) -> Account | None:
        number = _member(entry, columns.number)
        if not number or len(number) > KEY_MAX:
            cells.find("BAD_ACCOUNT", columns.column)
            return None
        code = _member(entry, columns.kind.part)
        kind = columns.kind.codes.get(code) or (code if columns.kind.open and len(code) <= CODE_MAX else "")
        if code and not kind:
            cells.find("UNKNOWN_CODE", columns.column)
        status = columns.status.codes.get(_member(entry, columns.status.part))
        if status is None:
            cells.find("UNKNOWN_CODE", columns.column)
        day = _member(entry, columns.opened_on)
        opened = self._parse(day)
        if day and opened is None:
            cells.find("BAD_DATE", columns.column)
        kept = status or AccountStatus.NORMAL
        account_class = self._account_class(cells, entry, columns)
        return Account(number, kind or columns.kind.default, kept, opened.date() if opened else None, account_class)

    def _account_class(self, cells: _Cells, entry: object, columns: AccountsColumn) -> AccountClass | None:
        code = _member(entry, columns.account_class.part) if columns.account_class else ""
        found = columns.account_class.codes.get(code) if columns.account_class else None
        if code and found is None:
            cells.find("UNKNOWN_CODE", columns.column)
        return found


def _date_form(form: str) -> tuple[str, int]:
    """A format as it stands in texts without spaces, and the length of its texts; 0 if it has separators to go by."""
    wanted = form.replace(" ", "")
    loose = wanted == form and _SEPARATED.fullmatch(wanted.removesuffix("%z"))
    return wanted, 0 if loose else len(datetime(2000, 1, 1, tzinfo=CHINA).strftime(wanted))


def _parse(text: str, forms: Iterable[tuple[str, int]]) -> datetime | None:
    for form, length in forms:
        if length in (0, len(text)):
            try:
                moment = datetime.strptime(text, form)
            except ValueError:
                continue
            return moment if moment.tzinfo else moment.replace(tzinfo=CHINA)
    return None


def _entries(raw: str, columns: AccountsColumn) -> list[object] | None:
    """The entries of an accounts cell, each by position or by JSON member; None if it is neither a list nor an object."""
    if columns.items is not None:
        return [dict(enumerate(i.split(columns.parts))) for i in clean(raw).split(columns.items) if i.strip()]
    try:
        parsed = json.loads(visible(raw) or "[]", parse_int=str, parse_float=lambda _: None)
    except (ValueError, RecursionError):
        return None
    return [parsed] if isinstance(parsed, dict) else parsed if isinstance(parsed, list) else None


def _member(entry: object, part: int | str | None) -> str:
    """One part of an account. Only texts are any good: whole numbers were read as texts, digit by digit."""
    value = entry.get(part) if isinstance(entry, dict) and part is not None else None
    return compact(value) if isinstance(value, str) and not _SURROGATE.search(value) else ""


def _look_up(cells: _Cells, column: str, codes: Mapping[str, T]) -> T | None:
    code = cells.code(column)
    if code and code not in codes:
        cells.find("UNKNOWN_CODE", column)
    return codes.get(code)


def _coded(cells: _Cells, column: CodeColumn | None) -> str:
    """A code's meaning; a column without codes gives its text."""
    if column is None:
        return ""
    if not column.codes and not column.open:
        return cells.text(column.column, CODE_MAX)
    code = cells.short(column.column)
    if code and code not in column.codes and not column.open:
        cells.find("UNKNOWN_CODE", column.column)
    return column.codes.get(code, code if column.open else "") or ""


def _kind(cells: _Cells, column: IdentifierColumns) -> IdentifierKind | None:
    return (
        column.kind
        if isinstance(column.kind, IdentifierKind)
        else _look_up(cells, column.kind.column, column.kind.codes)
    )
