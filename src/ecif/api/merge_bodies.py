"""What stewards ask for: merges, splits, undoes and judgements. Customers go by number, records by system and key."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from ecif.api.bodies import AccountNumber, Line, Name
from ecif.api.parameters import Asked
from ecif.domain.judgements import Verdict
from ecif.domain.merge_policy import OVERRIDABLE
from ecif.domain.records import RecordName
from ecif.services.merges import MEMBERS_MAX

SPLIT_MAX = 1000
"""Source records that are named in one split."""
SPLIT_ACCOUNTS_MAX = 100
"""Accounts that leave the record that names them, in one split."""

Override = StrEnum("Override", [(rule, rule) for rule in OVERRIDABLE])  # type: ignore[misc]
Number = Annotated[str, Field(pattern="^[0-9]{12}$", examples=["100000000016"])]
System = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$", examples=["core"])]
Key = Annotated[str, Field(min_length=1, max_length=64, pattern="^[^\\x00-\\x1f\\x7f]+$", examples=["10000000001"])]


class RecordBody(Asked):
    """源记录, by its name."""

    system: System = Field(description="源系统")
    key: Key = Field(description="源系统客户键")

    @property
    def name(self) -> RecordName:
        """As services name it."""
        return self.system, self.key


class MergePreviewBody(Asked):
    """Customers who may be one."""

    members: list[Number] = Field(min_length=2, max_length=MEMBERS_MAX, description="客户号")
    survivor: Number | None = Field(None, description="存续客户号; 不给则按规则选定")


class _Reasoned(Asked):
    reason: Line = Field(description="原因")  # type: ignore[valid-type]
    evidence: Name | None = Field(None, description="证明材料编号")  # type: ignore[valid-type]


class _Overriding(_Reasoned):
    override: list[Override] = Field([], max_length=len(Override), description="由经办人承担而越过的规则")


class MergeBody(MergePreviewBody, _Overriding):
    """Customers who are one."""


class ReverseBody(_Reasoned):
    """Why a merge was wrong."""


class NamedAccount(RecordBody):
    """账户, by the source record that names it."""

    number: AccountNumber = Field(description="账号")  # type: ignore[valid-type]


class SplitPreviewBody(Asked):
    """Source records that may be another's, and accounts of those that stay."""

    source_records: list[RecordBody] = Field(min_length=1, max_length=SPLIT_MAX, description="分出的源记录")
    accounts: list[NamedAccount] = Field(
        [], max_length=SPLIT_ACCOUNTS_MAX, description="随之分出的, 留下的源记录的账户"
    )

    @property
    def names(self) -> list[RecordName]:
        """The records by their names."""
        return [record.name for record in self.source_records]

    @property
    def given(self) -> list[tuple[RecordName, str]]:
        """The accounts by the names of their records, and their numbers."""
        return [(account.name, account.number) for account in self.accounts]


class SplitBody(SplitPreviewBody, _Reasoned):
    """Source records that are another's."""


class JudgementBody(_Overriding):
    """What is said of two source records."""

    records: list[RecordBody] = Field(min_length=2, max_length=2, description="两条源记录")
    verdict: Literal[Verdict.SAME, Verdict.NOT_SAME, Verdict.WITHDRAWN] = Field(
        description="SAME 同一客户, NOT_SAME 非同一客户, WITHDRAWN 撤回先前裁决"
    )
