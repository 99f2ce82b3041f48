"""What a request may ask for. An unknown query parameter is refused: a mistyped filter would answer for everybody."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ecif.api.invalid import unfit
from ecif.api.times import Moment
from ecif.api.views import SECTIONS, Section
from ecif.domain.channels import Channel
from ecif.domain.events import EventType
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import RecordName
from ecif.services.change_requests import RequestStatus
from ecif.services.operations import Kind, Status

_NO = {"pattern": "^[0-9]{12}$", "description": "客户号 customer number", "examples": ["100000000016"]}
CustomerNo = Annotated[str, Path(**_NO)]


def utf8(header: Any) -> Any:
    """The text of a header. HTTP hands it over as Latin-1; who writes 汉字 writes UTF-8."""
    return header.encode("latin-1", "replace").decode(errors="replace").strip() if isinstance(header, str) else header


class Asked(BaseModel):
    """What a request says, without unknown members. Its repr names nobody."""

    model_config = ConfigDict(extra="forbid")

    def __repr_args__(self) -> tuple[()]:
        return ()


class NoQuery(Asked):
    """No parameters."""


async def _asks_nothing(asked: Annotated[NoQuery, Query()]) -> None:
    pass


NO_QUERY = Depends(_asks_nothing)
"""For a route that has no query parameters: any is one that it does not know."""


class ReadHeaders(BaseModel):
    """What a read says of itself in headers."""

    purpose: Annotated[str, Field(max_length=200), BeforeValidator(utf8)] | None = Field(
        None, alias="X-Purpose", description="查看明文的用途"
    )
    operator: Annotated[str, Field(max_length=64), BeforeValidator(utf8)] = Field(
        "", alias="X-Operator", description="操作员 the clerk"
    )
    channel: Channel | None = Field(None, alias="X-Channel", description="渠道 where the call comes from")


BATCH_MAX = 100
"""Customers in one answer."""

_RECORD = "[a-z][a-z0-9_]{0,39}:.{1,64}"


def _visible(text: str) -> str:
    if not text.isprintable():
        raise unfit("control_character")
    return text


Word = Annotated[str, AfterValidator(_visible)]
"""A text that is compared as it is."""


class View(Asked):
    """How values are shown."""

    clear: bool | None = Field(
        None,
        description="true: clear values, or a refusal; false: masked; unless given: clear with X-Purpose, for the field "
        "classes of the scopes pii:clear and pii:clear:identity, :contact, :account "
        "明文须有相应字段类别的 pii:clear 权限并用 X-Purpose 说明用途",
    )


class PartsView(View):
    """Parts of golden records."""

    sections: list[Section] = Field(list(SECTIONS), description="repeatable; all unless given")
    provenance: bool = Field(False, description="with each value's source, rule and what lost to it 附来源")


Time = Annotated[Moment, Field(ge=datetime(1900, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))]


class CustomerQuery(PartsView):
    """Parts of a golden record, of now or of another time."""

    as_of: Time | None = Field(None, description="记录时间: what was answered then")
    valid_at: Time | None = Field(
        None, description="业务时间: what was so then, by what is known now, or was as of as_of"
    )


class _CustomerPath(BaseModel):
    no: Annotated[str, Field(**_NO)]


class CustomerRead(BaseModel):
    """All that a read of one golden record says, by the place where it says it."""

    path: _CustomerPath
    query: CustomerQuery
    header: ReadHeaders


class BatchQuery(PartsView):
    """Many golden records."""

    no: list[Annotated[str, Field(pattern="^[0-9]{12}$")]] = Field(
        min_length=1,
        max_length=BATCH_MAX,
        description="客户号 customer numbers, repeatable",
        examples=[["100000000016"]],
    )


class SearchQuery(View):
    """Criteria, which all must be met."""

    identifier: str | None = Field(None, min_length=1, max_length=64, description="证件号码")
    identifier_kind: IdentifierKind | None = Field(None, description="narrows how the identifier is read 证件种类")
    name: str | None = Field(None, min_length=1, max_length=200, description="姓名或名称")
    phone: str | None = Field(None, min_length=1, max_length=32, description="电话")
    account: str | None = Field(None, min_length=1, max_length=64, description="账号")
    source_system: Word | None = Field(None, min_length=1, max_length=40, description="源系统, with source_key")
    source_key: Word | None = Field(None, min_length=1, max_length=64, description="源系统客户键, with source_system")
    after: str = Field("", pattern="^([0-9]{12})?$", description="next_after of the page before")
    limit: int = Field(20, ge=1, le=100)

    @model_validator(mode="after")
    def _belong_together(self) -> SearchQuery:
        if bool(self.source_system) != bool(self.source_key):
            raise unfit("source_and_key")
        if self.identifier_kind and not self.identifier:
            raise unfit("kind_and_identifier")
        return self

    @property
    def source(self) -> tuple[str, str] | None:
        """The source record asked for."""
        return (self.source_system, self.source_key) if self.source_system and self.source_key else None


class _Page(View):
    limit: int = Field(100, ge=1, le=100)


class SourcesQuery(_Page):
    """A page of source records."""

    after: Word = Field("", pattern=f"^({_RECORD})?$", description="next_after of the page before")

    @property
    def place(self) -> tuple[str, str]:
        """Where the page begins."""
        system, _, key = self.after.partition(":")
        return system, key


class PartsQuery(_Page):
    """A page of what source records hold: accounts, relations."""

    after: Word = Field("", pattern=f"^({_RECORD}:[0-9]{{1,4}})?$", description="next_after of the page before")

    @property
    def place(self) -> tuple[str, str, int]:
        """Where the page begins."""
        record, _, position = self.after.rpartition(":")
        system, _, key = record.partition(":")
        return system, key, int(position or 0)


class HistoryQuery(_Page):
    """A page of versions."""

    limit: int = Field(20, ge=1, le=100)
    after: str = Field("", pattern="^([0-9]{12}:[0-9]{1,9})?$", description="next_after of the page before")

    @property
    def place(self) -> tuple[str, int]:
        """After which version, newest first, the page begins."""
        no, _, version = self.after.partition(":")
        return no, int(version or 0)


class RequestsQuery(View):
    """A page of change requests."""

    status: RequestStatus = Field(RequestStatus.PENDING, description="复核状态")
    customer_no: str = Field("", pattern="^([0-9]{12})?$", description="客户号")
    after: int = Field(0, ge=0, lt=2**63, description="next_after of the page before")
    limit: int = Field(20, ge=1, le=100)


class EventsQuery(Asked):
    """A page of events."""

    after: int = Field(
        0, ge=0, lt=2**53, description="next_after of the page before; 0: from the beginning 游标, 0 表示从头"
    )
    limit: int = Field(100, ge=1, le=500)
    types: list[EventType] = Field([], max_length=50, description="repeatable; all unless given 事件类型")
    customer_no: str | None = Field(
        None, pattern="^[0-9]{12}$", description="events of this very number, also of a merged one 客户号"
    )
    wait_s: int = Field(0, ge=0, le=30, description="seconds to wait for the first event 长轮询等待秒数")


class OperationsQuery(Asked):
    """A page of operations."""

    status: Status | None = Field(None, description="操作状态")
    kind: Kind | None = Field(None, description="操作种类")
    customer_no: str = Field("", pattern="^([0-9]{12})?$", description="客户号, also one that was merged")
    after: int = Field(0, ge=0, lt=2**63, description="next_after of the page before")
    limit: int = Field(20, ge=1, le=100)


class EntriesQuery(Asked):
    """A page of what was done with a review, oldest first."""

    after: int = Field(0, ge=0, lt=2**63, description="next_after of the page before")
    limit: int = Field(50, ge=1, le=100)


class JudgementsQuery(Asked):
    """A page of what was judged of a source record, newest first."""

    system: str = Field(pattern="^[a-z][a-z0-9_]{0,39}$", description="源系统", examples=["core"])
    key: Word = Field(min_length=1, max_length=64, description="源系统客户键", examples=["10000000001"])
    after: int = Field(0, ge=0, lt=2**63, description="next_after of the page before")
    limit: int = Field(20, ge=1, le=100)

    @property
    def name(self) -> RecordName:
        """The record that is asked for."""
        return self.system, self.key
