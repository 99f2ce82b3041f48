"""What stewards say of reviews (审核): which are meant, what is decided, and why."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ecif.api.bodies import Line, Name, Remark
from ecif.api.cursors import CURSOR, place_of
from ecif.api.merge_bodies import Number, Override
from ecif.api.parameters import Asked, Word
from ecif.domain.review_policy import RISK_MAX, ReviewDecision, ReviewKind, ReviewState
from ecif.services.review_queue import Filter, Place, Sort

IN_BULK = Literal[ReviewDecision.NOT_SAME, ReviewDecision.NEED_INFO, ReviewDecision.ESCALATE]
OPEN = Literal[ReviewState.OPEN, ReviewState.NEED_INFO, ReviewState.ESCALATED, ReviewState.WAITING]
Level = Annotated[str, Field(pattern="^[A-Z][A-Z0-9]{0,19}$", examples=["M2"])]
RuleId = Annotated[str, Field(pattern="^[A-Z][A-Z0-9-]{0,39}$", examples=["P-ID-NAME"])]
RiskClass = Annotated[int, Field(ge=1, le=RISK_MAX)]
Person = Annotated[Word, Field(min_length=1, max_length=200)]


class _Meant(Asked):
    kind: ReviewKind | None = Field(None, description="审核种类")
    level: Level | None = Field(None, description="证据级别")
    rule: RuleId | None = Field(None, description="规则")
    customer_no: Number | None = Field(None, description="客户号: either of the two")
    claimed_by: Person | None = Field(None, description="认领人")
    risk: RiskClass | None = Field(None, description="风险级别")

    def _filter(self, state: str | None) -> Filter:
        kind = self.kind.value if self.kind else ""
        return Filter(
            state or "",
            kind,
            self.level or "",
            self.rule or "",
            self.customer_no or "",
            self.claimed_by or "",
            self.risk,
        )


class ReviewsQuery(_Meant):
    """A page of the queue."""

    state: ReviewState | None = Field(None, description="审核状态; all that are open unless given")
    sort: Sort = Field(Sort.PRIORITY, description="priority: risk × age; closed ones by when they were closed")
    after: str = Field(
        "",
        pattern=CURSOR,
        description="next_after of the page before; it keeps the time as of which priorities are reckoned",
    )
    limit: int = Field(50, ge=1, le=100)

    @model_validator(mode="after")
    def _of_this_order(self) -> ReviewsQuery:
        place_of(self.sort, self.after)
        return self

    @property
    def filter(self) -> Filter:
        """Which reviews are meant."""
        return self._filter(self.state)

    @property
    def place(self) -> Place | None:
        """After which review the page begins."""
        return place_of(self.sort, self.after)


class FilterBody(_Meant):
    """Which of the open reviews are meant."""

    state: OPEN | None = Field(None, description="审核状态; all unless given")

    @property
    def filter(self) -> Filter:
        """As services take it."""
        return self._filter(self.state)


class DecideBody(Asked):
    """What is decided of a review (裁决)."""

    decision: ReviewDecision = Field(
        description="SAME, RENAME 与 TYPO_FIX 申请合并, 由另一人复核; DONE 为合并后续事项已办理"
    )
    reason: Line = Field(description="原因")  # type: ignore[valid-type]
    survivor: Number | None = Field(None, description="合并的存续客户号; 不给则按规则选定")
    evidence: Name | None = Field(None, description="证明材料编号")  # type: ignore[valid-type]
    override: list[Override] = Field([], max_length=len(Override), description="由经办人承担而越过的规则")


class CommentBody(Asked):
    """A remark."""

    text: Remark = Field(description="备注, 请勿写入证件号码等个人信息")  # type: ignore[valid-type]


class BulkPreviewBody(Asked):
    """One decision on many reviews."""

    filter: FilterBody
    decision: IN_BULK


class BulkBody(BulkPreviewBody):
    """The same, after it was seen."""

    reason: Line = Field(description="原因")  # type: ignore[valid-type]
    seen: str = Field(pattern="^[0-9a-f]{24}$", description="`seen` of the preview: the reviews as they were")


class UndoBody(Asked):
    """Why a decision is taken back."""

    reason: Line = Field(description="原因")  # type: ignore[valid-type]
