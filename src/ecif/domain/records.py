"""What one source system says of one party, in the bank-wide vocabulary (源记录).

Adapters end in :class:`PartyRecord` and everything else starts from it. Values are the source's own, freed of invisible
characters and with codes translated; they are *not* judged here: a placeholder stays in the record, and matching and
survivorship treat it as missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from dataclasses import field as _field
from datetime import date, datetime
from enum import StrEnum

from ecif.domain.identifier_kinds import IdentifierKind


class PartyType(StrEnum):
    """客户类型. Decides the first digit of a customer number."""

    PERSON = "PERSON"
    ORGANIZATION = "ORGANIZATION"


class Gender(StrEnum):
    """性别, GB/T 2261.1."""

    MALE = "MALE"
    FEMALE = "FEMALE"


class RecordStatus(StrEnum):
    """状态 of the relationship in the source system."""

    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"
    ENDED = "ENDED"
    """The source has deleted its record: it is kept, still finds its party, and says nothing where a live record speaks."""


class CustomerStatus(StrEnum):
    """客户状态 of the customer as a whole, from the mildest to the strictest. One whose number was merged has none of his own."""

    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"
    RESTRICTED = "RESTRICTED"
    """Kept, and used for nothing else (限制处理)."""
    DECEASED = "DECEASED"

    @property
    def strictness(self) -> int:
        """Its place among the others: strict ones are not lifted by milder ones."""
        return list(CustomerStatus).index(self)


class PhoneKind(StrEnum):
    """电话类型."""

    MOBILE = "MOBILE"
    HOME = "HOME"
    WORK = "WORK"
    OTHER = "OTHER"


class AddressKind(StrEnum):
    """地址类型."""

    HOME = "HOME"
    REGISTERED = "REGISTERED"
    WORK = "WORK"
    CONTACT = "CONTACT"


class RelationType(StrEnum):
    """客户间关系, from the record's party to the related one."""

    LEGAL_REPRESENTATIVE = "LEGAL_REPRESENTATIVE"
    SPOUSE = "SPOUSE"
    GUARDIAN = "GUARDIAN"


class AccountStatus(StrEnum):
    """账户状态."""

    NORMAL = "NORMAL"
    FROZEN = "FROZEN"
    DORMANT = "DORMANT"
    CLOSED = "CLOSED"


class AccountClass(StrEnum):
    """账户类别 of a person's settlement account (银发〔2015〕392号): I does everything, II and III within limits."""

    I = "I"  # noqa: E741
    II = "II"
    III = "III"


DEBIT_CARD = "DEBIT_CARD"
"""The kind of account by which every system's contract names a debit card (借记卡), so that it can be told from other cards."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """证件: a document kind and its number as the source wrote them. ``kind`` is None where the source left it out.

    ``replaced`` (已更换): the number was the party's and another has taken its place. Both lead to the party, and only such
    a statement lets it hold two numbers of a kind of which a party has one.
    """

    kind: IdentifierKind | None
    number: str = field(repr=False)
    valid_to: date | None = None
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Phone:
    """电话."""

    kind: PhoneKind
    number: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """地址, as one line of text."""

    kind: AddressKind
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """账户索引 entry: that an account exists and whose it is; never its transactions."""

    number: str = field(repr=False)
    kind: str
    status: AccountStatus
    opened_on: date | None = None
    account_class: AccountClass | None = None

    @property
    def masked(self) -> bool:
        """Whether digits are hidden (``622580******0002``): two cards may show the same, so it finds nobody."""
        return "*" in self.number


@dataclass(frozen=True, slots=True)
class RelatedParty:
    """关系人: somebody the record names beside its own party."""

    relation: RelationType
    name: str = field(repr=False)
    identifier: Identifier | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """数据质量问题: a value that was not usable, in a record that was accepted all the same. Holds no personal value."""

    code: str
    field: str


RecordName = tuple[str, str]
"""System and key: the name of a source record, for ever."""


@dataclass(frozen=True, slots=True)
class PartyRecord:
    """源记录. ``(system, key)`` names it for ever; ``business_time`` (UTC) orders its versions.

    Attributes:
        same_as: records of whose party this one speaks, because it was written onto a known customer (补录). It says
            nothing but what was changed.
        not_same_as: records of parties that, when it was written, were looked at and found to be others.
        customer_status: a decision on the customer as a whole (销户, 激活, 限制, 死亡), not on a relationship in one system,
            which holds from the bank's day ``customer_status_on``; one who is deceased died on that day.
        customer_status_over: records whose earlier decisions on the customer it takes the place of; of one that closes him, all
            that he had, which it closes.
        said_at: the fields that were said at other times than ``business_time``, in a record that is written bit by bit.
    """

    system: str
    key: str
    party_type: PartyType
    business_time: datetime
    name: str = field(default="", repr=False)
    former_names: tuple[str, ...] = field(default=(), repr=False)
    latin_name: str = field(default="", repr=False)
    identifiers: tuple[Identifier, ...] = ()
    birth_date: date | None = field(default=None, repr=False)
    gender: Gender | None = None
    nationality: str = ""
    phones: tuple[Phone, ...] = ()
    addresses: tuple[Address, ...] = ()
    emails: tuple[str, ...] = field(default=(), repr=False)
    postcode: str = ""
    employer: str = field(default="", repr=False)
    occupation: str = ""
    education: str = ""
    marital_status: str = ""
    related: tuple[RelatedParty, ...] = ()
    accounts: tuple[Account, ...] = ()
    legal_entity: str = ""
    branch: str = ""
    opened_on: date | None = None
    status: RecordStatus = RecordStatus.ACTIVE
    customer_status: CustomerStatus | None = None
    customer_status_on: date | None = None
    customer_status_over: tuple[RecordName, ...] = ()
    same_as: tuple[RecordName, ...] = ()
    not_same_as: tuple[RecordName, ...] = ()
    said_at: tuple[tuple[str, datetime], ...] = ()
    findings: tuple[Finding, ...] = ()

    def when(self, field: str) -> datetime:
        """The business time at which a field was said."""
        return dict(self.said_at).get(field, self.business_time)


@dataclass(frozen=True, slots=True)
class Rejection:
    """拒收: a row that could not become a record, with where it stands, why, and its text (which repr hides)."""

    line: int
    code: str
    field: str
    message_zh: str
    message_en: str
    raw: str = _field(repr=False)
