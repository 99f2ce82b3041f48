"""The layout of one system's file, read from ``contracts/sources/*.yaml`` (docs/sources.md describes the keys)."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecif.domain.identifiers import IdentifierKind
from ecif.domain.records import AccountStatus, AddressKind, Gender, PartyType, PhoneKind, RecordStatus, RelationType


class ContractError(Exception):
    """A contract that cannot be used; the text names the file, the place and the rule."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CodeColumn(_Part):
    """A column of codes and what each means; ``open`` lets codes that are not listed through as they are."""

    column: str
    codes: dict[str, str | None] = Field(default_factory=dict)
    open: bool = False


class PartyTypeColumn(_Part):
    column: str
    codes: dict[str, PartyType]


class StatusColumn(_Part):
    column: str
    codes: dict[str, RecordStatus]


class GenderColumn(_Part):
    column: str
    codes: dict[str, Gender | None]


class KindColumn(_Part):
    column: str
    codes: dict[str, IdentifierKind]


class IdentifierColumns(_Part):
    number: str
    kind: IdentifierKind | KindColumn
    valid_to: str | None = None


class PhoneColumn(_Part):
    column: str
    kind: PhoneKind


class AddressColumn(_Part):
    column: str
    kind: AddressKind


class RelatedColumns(_Part):
    relation: RelationType
    name: str
    identifier: IdentifierColumns | None = None


class KindPart(_Part):
    """A part of an account entry: a position or a JSON member, and what its codes mean."""

    part: int | str | None = None
    codes: dict[str, str] = Field(default_factory=dict)
    open: bool = False
    default: str = "OTHER"


class StatusPart(_Part):
    part: int | str
    codes: dict[str, AccountStatus]


class AccountsColumn(_Part):
    """Several accounts in one cell: JSON objects, or text cut by ``items`` and then by ``parts``."""

    column: str
    items: str | None = None
    parts: str | None = None
    number: int | str
    kind: KindPart
    status: StatusPart
    opened_on: int | str | None = None


class Contract(_Part):
    """One system's file. Names in capitals on the right are its columns."""

    system: str = Field(pattern="^[a-z][a-z0-9_]{1,39}$")
    name_zh: str
    delimiter: str = ","
    key: str
    dates: tuple[str, ...] = Field(min_length=1)
    business_time: tuple[str, ...] = Field(min_length=1)
    opened_on: str | None = None
    branch: str | None = None
    legal_entity: str
    party_type: PartyTypeColumn
    status: StatusColumn | None = None
    name: str
    latin_name: str | None = None
    birth_date: str | None = None
    gender: GenderColumn | None = None
    nationality: CodeColumn | None = None
    identifiers: tuple[IdentifierColumns, ...] = ()
    phones: tuple[PhoneColumn, ...] = ()
    addresses: tuple[AddressColumn, ...] = ()
    emails: tuple[str, ...] = ()
    postcode: str | None = None
    employer: str | None = None
    occupation: CodeColumn | None = None
    education: CodeColumn | None = None
    marital_status: CodeColumn | None = None
    related: tuple[RelatedColumns, ...] = ()
    accounts: AccountsColumn | None = None
    length_max: int = Field(default=200, ge=8, le=4000)
    """Longest value of a cell in characters; longer ones are findings, longer keys and party types reject the row."""


def load_contract(path: Path) -> Contract:
    """Reads and checks a contract.

    Raises:
        ContractError: the file is missing, not YAML, or says something that a contract cannot say.
    """
    try:
        return Contract.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        raise ContractError(f"{path.name}: 无法读取契约文件 cannot read the contract: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ContractError(f"{path.name}: 不是有效的 YAML not valid YAML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise ContractError(f"{path.name}: 契约有误 the contract is wrong: {wrong}") from error
