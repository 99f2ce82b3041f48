"""The layout of one system's file, read from ``contracts/sources/*.yaml`` (docs/sources.md describes the keys)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import (
    AccountClass,
    AccountStatus,
    AddressKind,
    Gender,
    PartyType,
    PhoneKind,
    RecordStatus,
    RelationType,
)
from ecif.domain.text import compact


class ContractError(Exception):
    """A contract that cannot be used; the text names the file, the place and the rule."""


class _ColumnName(str):
    """A column's name, told apart from the other texts of a contract."""

    __slots__ = ()


def _date_format(form: str) -> str:
    moment = datetime(2001, 12, 31, tzinfo=UTC)
    if datetime.strptime(moment.strftime(form), form).date() != moment.date():
        raise ValueError(f"{form!r} names no day")
    return form


Code = Annotated[str, AfterValidator(compact)]
"""A code in the form in which cells are read: without spaces, full-width characters folded."""
Column = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(lambda name: _ColumnName(compact(name)))]
Meaning = Annotated[str, Field(max_length=40)]
DateFormat = Annotated[str, AfterValidator(_date_format)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CodeColumn(_Part):
    """A column of codes and what each means; ``open`` lets codes that are not listed through as they are."""

    column: Column
    codes: dict[Code, Meaning | None] = Field(default_factory=dict)
    open: bool = False


class PartyTypeColumn(_Part):
    column: Column
    codes: dict[Code, PartyType]


class StatusColumn(_Part):
    column: Column
    codes: dict[Code, RecordStatus]


class GenderColumn(_Part):
    column: Column
    codes: dict[Code, Gender | None]


class KindColumn(_Part):
    column: Column
    codes: dict[Code, IdentifierKind]


class IdentifierColumns(_Part):
    number: Column
    kind: IdentifierKind | KindColumn
    valid_to: Column | None = None


class PhoneColumn(_Part):
    column: Column
    kind: PhoneKind


class AddressColumn(_Part):
    column: Column
    kind: AddressKind


class RelatedColumns(_Part):
    relation: RelationType
    name: Column
    identifier: IdentifierColumns | None = None


class KindPart(_Part):
    """A part of an account entry: a position or a JSON member, and what its codes mean."""

    part: int | str | None = None
    codes: dict[Code, Meaning] = Field(default_factory=dict)
    open: bool = False
    default: Meaning = "OTHER"


class StatusPart(_Part):
    part: int | str
    codes: dict[Code, AccountStatus]


class ClassPart(_Part):
    part: int | str
    codes: dict[Code, AccountClass]


class AccountsColumn(_Part):
    """Several accounts in one cell: JSON objects, or text cut by ``items`` and then by ``parts``."""

    column: Column
    items: str | None = Field(default=None, min_length=1)
    parts: str | None = Field(default=None, min_length=1)
    number: int | str
    kind: KindPart
    status: StatusPart
    opened_on: int | str | None = None
    account_class: ClassPart | None = None

    @model_validator(mode="after")
    def _named_as_read(self) -> Self:
        account_class = self.account_class.part if self.account_class else None
        parts = (self.number, self.kind.part, self.status.part, self.opened_on, account_class)
        named = {type(part) for part in parts if part is not None}
        if (self.items is None) is not (self.parts is None):
            raise ValueError("items and parts go together")
        if named != {str if self.items is None else int}:
            raise ValueError("JSON members are named, parts of a text are counted from 0")
        return self


class Contract(_Part):
    """One system's file."""

    system: str = Field(pattern="^[a-z][a-z0-9_]{1,39}$")
    name_zh: str
    delimiter: str = Field(default=",", pattern=r'^[^"\r\n]$')
    key: Column
    dates: tuple[DateFormat, ...] = Field(min_length=1)
    business_time: tuple[Column, ...] = Field(min_length=1)
    opened_on: Column | None = None
    branch: Column | None = None
    legal_entity: Meaning
    party_type: PartyTypeColumn
    status: StatusColumn | None = None
    name: Column
    latin_name: Column | None = None
    birth_date: Column | None = None
    gender: GenderColumn | None = None
    nationality: CodeColumn | None = None
    identifiers: tuple[IdentifierColumns, ...] = ()
    phones: tuple[PhoneColumn, ...] = ()
    addresses: tuple[AddressColumn, ...] = ()
    emails: tuple[Column, ...] = ()
    postcode: Column | None = None
    employer: Column | None = None
    occupation: CodeColumn | None = None
    education: CodeColumn | None = None
    marital_status: CodeColumn | None = None
    related: tuple[RelatedColumns, ...] = ()
    accounts: AccountsColumn | None = None
    length_max: int = Field(default=200, ge=8, le=4000)
    """Longest value of a cell in characters; longer ones are findings, longer keys and party types reject the row."""

    @property
    def columns(self) -> frozenset[str]:
        """Every column that the contract names. A file without one of them has another layout."""
        return frozenset(_columns(self))


def _columns(part: object) -> Iterator[str]:
    if isinstance(part, _ColumnName):
        yield part
    elif isinstance(part, _Part | tuple):  # a part is iterated as pairs of name and value
        for member in part:
            yield from _columns(member)


def load_contract(path: Path) -> Contract:
    """Reads and checks a contract.

    Raises:
        ContractError: the file is missing, not YAML, or says something that a contract cannot say.
    """
    try:
        return Contract.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        raise ContractError(f"{path.name}: 无法读取契约文件 cannot read the contract: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ContractError(f"{path.name}: 不是有效的 YAML not valid YAML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise ContractError(f"{path.name}: 契约有误 the contract is wrong: {wrong}") from error
