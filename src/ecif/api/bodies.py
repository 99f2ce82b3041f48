"""What a request states of a party: JSON in the words of the domain, made into a source record.

Values are taken as they are typed, full-width, with spaces, in traditional characters; what they mean is for the domain to say.
Unknown fields are refused: a mistyped one would be lost in silence.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    create_model,
    model_validator,
)

from ecif.api.invalid import unfit
from ecif.api.parameters import Asked
from ecif.api.times import Day, Moment
from ecif.domain.existence import Mode
from ecif.domain.field_groups import CHANGEABLE, FieldGroup, fields_of
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.phones import normalize_phone
from ecif.domain.records import (
    Account,
    AccountClass,
    AccountStatus,
    Address,
    AddressKind,
    Gender,
    Identifier,
    PartyRecord,
    PartyType,
    Phone,
    PhoneKind,
    RecordStatus,
    RelatedParty,
    RelationType,
)
from ecif.domain.review_policy import REMARK_MAX
from ecif.domain.text import visible
from ecif.services.maintenance import OWN_KEY

LIST_MAX = 20
ACCOUNTS_MAX = 500


def _seen(text: str) -> str:
    """What a reader sees of the text."""
    shown = visible(text)
    if not shown:
        raise unfit("string_blank")
    return shown


def _text(most: int) -> Any:
    return Annotated[str, Field(min_length=1, max_length=most), AfterValidator(_seen)]


Name = _text(200)
Word = _text(40)
Line = _text(500)
Remark = _text(REMARK_MAX)
AccountNumber = _text(64)


class IdentifierBody(Asked):
    """证件."""

    kind: IdentifierKind
    number: _text(64)  # type: ignore[valid-type]
    valid_to: Day | None = Field(None, description="有效期止; 长期 9999-12-31")

    def made(self) -> Identifier:
        """As a record holds it."""
        return Identifier(self.kind, self.number, self.valid_to)


class PhoneBody(Asked):
    """电话."""

    kind: PhoneKind
    number: _text(40)  # type: ignore[valid-type]


class AddressBody(Asked):
    """地址."""

    kind: AddressKind
    text: Line  # type: ignore[valid-type]


class RelatedBody(Asked):
    """关系人."""

    relation: RelationType
    name: Name  # type: ignore[valid-type]
    identifier: IdentifierBody | None = None


class AccountBody(Asked):
    """账户: that it exists, never what is on it."""

    number: AccountNumber  # type: ignore[valid-type]
    kind: Word = Field(description="账户种类; 借记卡为 DEBIT_CARD")  # type: ignore[valid-type]
    status: AccountStatus = AccountStatus.NORMAL
    opened_on: Day | None = None
    account_class: AccountClass | None = Field(None, description="账户类别")

    def made(self) -> Account:
        """As a record holds it."""
        return Account(self.number, self.kind, self.status, self.opened_on, self.account_class)


def _phone(given: PhoneBody | str) -> Phone:
    if isinstance(given, PhoneBody):
        return Phone(given.kind, given.number)
    found = normalize_phone(given)
    return Phone(PhoneKind.MOBILE if found and found.mobile else PhoneKind.OTHER, given)


def _address(given: AddressBody | str) -> Address:
    return Address(given.kind, given.text) if isinstance(given, AddressBody) else Address(AddressKind.CONTACT, given)


class _Facts(Asked):
    """What may be said of a party by anybody who knows it (客户信息项)."""

    name: Name | None = Field(None, description="姓名或名称")  # type: ignore[valid-type]
    identifiers: list[IdentifierBody] = Field([], max_length=LIST_MAX, description="证件")
    birth_date: Day | None = Field(None, description="出生或成立日期")
    gender: Gender | None = None
    nationality: Word | None = Field(None, description="国籍, ISO 3166-1")  # type: ignore[valid-type]
    phones: list[PhoneBody | _text(40)] = Field([], max_length=LIST_MAX, description="电话")  # type: ignore[valid-type]
    latin_name: Name | None = Field(None, description="英文名或拼音")  # type: ignore[valid-type]
    addresses: list[AddressBody | Line] = Field([], max_length=LIST_MAX, description="地址")  # type: ignore[valid-type]
    emails: list[_text(200)] = Field([], max_length=LIST_MAX)  # type: ignore[valid-type]
    postcode: Word | None = None  # type: ignore[valid-type]
    employer: Name | None = Field(None, description="工作单位")  # type: ignore[valid-type]
    occupation: Word | None = Field(None, description="职业")  # type: ignore[valid-type]
    education: Word | None = Field(None, description="学历")  # type: ignore[valid-type]
    marital_status: Word | None = Field(None, description="婚姻状况")  # type: ignore[valid-type]

    def facts(self) -> dict[str, Any]:
        """The fields of a record that this states."""
        return {
            "name": self.name or "",
            "identifiers": tuple(i.made() for i in self.identifiers),
            "birth_date": self.birth_date,
            "gender": self.gender,
            "phones": tuple(map(_phone, self.phones)),
            "addresses": tuple(map(_address, self.addresses)),
            "emails": tuple(self.emails),
            **{
                field: getattr(self, field) or ""
                for field in (
                    "nationality", "latin_name", "postcode", "employer", "occupation", "education", "marital_status",
                )
            },
        }  # fmt: skip


class ExistsBody(Asked):
    """Who is looked for."""

    party_type: PartyType
    name: Name = Field(description="姓名或名称")  # type: ignore[valid-type]
    identifiers: list[IdentifierBody] = Field([], max_length=LIST_MAX, description="证件")
    birth_date: Day | None = None
    gender: Gender | None = None
    phones: list[PhoneBody | _text(40)] = Field([], max_length=LIST_MAX)  # type: ignore[valid-type]
    mode: Mode = Mode.STRICT

    def record(self, now: datetime) -> PartyRecord:
        """A record of nobody, to compare with."""
        return PartyRecord(
            "",
            "",
            self.party_type,
            now,
            name=self.name,
            identifiers=tuple(i.made() for i in self.identifiers),
            birth_date=self.birth_date,
            gender=self.gender,
            phones=tuple(map(_phone, self.phones)),
        )


class Verdict(Asked):
    """What the clerk said of a suspect (柜员确认)."""

    customer_no: Annotated[str, Field(pattern="^[0-9]{12}$")]
    same: bool


def _not_ours(key: str) -> str:
    if key.startswith(OWN_KEY):
        raise unfit("reserved_key")
    return key


SourceKey = Annotated[
    str, Field(min_length=1, max_length=64, pattern="^[^\\x00-\\x1f\\x7f]+$"), AfterValidator(_not_ours)
]


class OpenBody(_Facts):
    """The new customer."""

    party_type: PartyType
    name: Name = Field(description="姓名或名称")  # type: ignore[valid-type]
    related: list[RelatedBody] = Field([], max_length=LIST_MAX, description="关系人: 法定代表人, 监护人")
    on_exists: Literal["return", "error"] = Field("error", description="客户已存在时返回该客户号或报错")
    suspects: list[Verdict] = Field([], max_length=LIST_MAX, description="对疑似客户的确认, 仅柜面")
    source_key: SourceKey | None = Field(None, description="本渠道的客户键; 不给则自动生成")
    reason: _text(500) | None = None  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _keeps_verdicts(self) -> OpenBody:
        """What a clerk has said of suspects would be gone with the next version that the source sends under its key."""
        if self.suspects and self.source_key:
            raise unfit("source_key_and_suspects")
        return self


class SourceRecordBody(_Facts):
    """One system's newest word on one party."""

    party_type: PartyType
    business_time: Moment = Field(description="源系统业务时间, 较晚者为准")
    former_names: list[Name] = Field([], max_length=LIST_MAX, description="曾用名")  # type: ignore[valid-type]
    related: list[RelatedBody] = Field([], max_length=LIST_MAX)
    accounts: list[AccountBody] = Field([], max_length=ACCOUNTS_MAX, description="账户索引")
    legal_entity: Word | None = Field(None, description="法人机构")  # type: ignore[valid-type]
    branch: Word | None = Field(None, description="机构")  # type: ignore[valid-type]
    opened_on: Day | None = None
    status: Literal[RecordStatus.ACTIVE, RecordStatus.CLOSED] = RecordStatus.ACTIVE

    @model_validator(mode="after")
    def _says_somebody(self) -> SourceRecordBody:
        if not (self.name or self.identifiers):
            raise unfit("name_or_identifier")
        return self

    def record(self, system: str, key: str) -> PartyRecord:
        """The source record."""
        return PartyRecord(
            system,
            key,
            self.party_type,
            self.business_time.astimezone(UTC),
            **self.facts(),
            former_names=tuple(self.former_names),
            related=tuple(map(related, self.related)),
            accounts=tuple(account.made() for account in self.accounts),
            legal_entity=self.legal_entity or "",
            branch=self.branch or "",
            opened_on=self.opened_on,
            status=RecordStatus(self.status),
        )


def related(given: RelatedBody) -> RelatedParty:
    """As a record holds it."""
    return RelatedParty(given.relation, given.name, given.identifier.made() if given.identifier else None)


def _refuse(rule: str) -> Any:
    def refuse(_: Any) -> Any:
        raise unfit(rule)

    return (Annotated[Any, BeforeValidator(refuse)], None)


_UNWRITABLE = {
    **dict.fromkeys(fields_of(FieldGroup.DERIVED), _refuse("derived_field")),
    **dict.fromkeys(fields_of(FieldGroup.SOURCE_OWNED), _refuse("source_owned_field")),
}
"""Fields that no patch may write, so that each is refused with its own reason."""


def _hide(schema: dict[str, Any]) -> None:
    for field in _UNWRITABLE:
        schema["properties"].pop(field, None)


_WithoutThem = ConfigDict(extra="forbid", json_schema_extra=_hide)
_Writable: type[_Facts] = create_model("_Writable", __base__=_Facts, **_UNWRITABLE)  # type: ignore[call-overload]


class PatchBody(_Writable):  # type: ignore[misc, valid-type]
    """A merge patch (RFC 7396): members that are there change, null takes the channel's value away."""

    model_config = _WithoutThem

    reason: _text(500) = Field(description="变更原因")  # type: ignore[valid-type]
    evidence: _text(200) | None = Field(None, description="关键身份变更的证明材料编号")  # type: ignore[valid-type]

    @model_validator(mode="before")
    @classmethod
    def _writable(cls, given: Any) -> Any:
        """Null means an empty list where a list is changed."""
        if isinstance(given, dict):
            given = {k: [] if v is None and k in _LISTS else v for k, v in given.items()}
        return given

    @property
    def fields(self) -> list[str]:
        """The fields that are to be changed."""
        return [field for field in CHANGEABLE if field in self.model_fields_set]

    def patch(self) -> PartyRecord:
        """A record that holds the new values alone."""
        return PartyRecord("", "", PartyType.PERSON, datetime.min.replace(tzinfo=UTC), **self.facts())


_LISTS = ("identifiers", "phones", "addresses", "emails")


class StatusBody(Asked):
    """Why."""

    reason: _text(500) = Field(description="原因")  # type: ignore[valid-type]


class DeceasedBody(StatusBody):
    """When the customer died, and by what proof."""

    deceased_on: Day = Field(description="死亡日期")
    evidence: _text(200) = Field(description="死亡证明材料编号")  # type: ignore[valid-type]


class NoteBody(Asked):
    """What the second person says."""

    note: _text(500) | None = Field(None, description="复核意见")  # type: ignore[valid-type]
