"""Open questions for a steward: may these two customers be one? (疑似合并审核)."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Integer, SmallInteger, String, Text
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code, CustomerNo, Document, Moment


class MergeReview(Base):
    """At most one open review of a kind for a pair of customers; new data rebuilds its evidence, never doubles it.

    ``kind`` is PAIR for two customers who may be one, MOVED for records that left one for the other by themselves (both ends
    are the other, if the one was merged into it by that), MISFIT for those that people placed under a number they no longer fit
    (both ends are that number), FOLLOW_UP for what merges left to be done (likewise). ``risk`` and ``opened_at`` give its place in
    the queue. ``version`` counts its changes. ``rule`` is that of the strongest pair, under ``policy_version``.
    ``outcome`` of one that is open is what it will be if the merge that was asked for (``operation_id``) is approved.
    """

    __tablename__ = "merge_review"
    __table_args__ = (
        CheckConstraint("customer_lo <= customer_hi", name="ordered"),
        Index(
            "uq_merge_review_open",
            "customer_lo",
            "customer_hi",
            "kind",
            unique=True,
            postgresql_where=sql("closed_at IS NULL"),
        ),
        Index(None, "customer_lo"),
        Index(None, "customer_hi"),
        Index(None, "operation_id"),
        Index(
            "ix_merge_review_closed", "closed_at", "id", "kind", "level", "rule", "risk",
            postgresql_where=sql("closed_at IS NOT NULL"),
        ),
        Index(
            "ix_merge_review_queue", "risk", "opened_at", "id", "state", "kind", "level", "rule", "claimed_by",
            postgresql_where=sql("closed_at IS NULL"),
        ),
    )  # fmt: skip
    # the queue is read in the order of an index, and what is filtered by stands in it: who is left out costs no look at a row

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    customer_lo: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"))
    customer_hi: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"))
    kind: Mapped[Code] = mapped_column(server_default="PAIR")
    level: Mapped[Code]
    rule: Mapped[Code] = mapped_column(server_default="")
    policy_version: Mapped[str] = mapped_column(String(20), server_default="")
    evidence: Mapped[Document]
    state: Mapped[Code] = mapped_column(server_default="OPEN")
    risk: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    claimed_by: Mapped[str | None] = mapped_column(String(200))
    claimed_at: Mapped[Moment | None]
    opened_at: Mapped[Moment]
    closed_at: Mapped[Moment | None]
    outcome: Mapped[Code | None]
    operation_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("operation.id"))


class BulkDecision(Base):
    """One decision on many reviews (批量裁决), which can be taken back as one. Its judgements refer to ``change_id`` too."""

    __tablename__ = "bulk_decision"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    decision: Mapped[Code]
    filter: Mapped[Document]
    reason: Mapped[str] = mapped_column(String(500))
    person: Mapped[str] = mapped_column(String(200))
    change_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("change_log.id"))
    made_at: Mapped[Moment]
    undone_at: Mapped[Moment | None]
    undone_by: Mapped[str | None] = mapped_column(String(200))


class ReviewEntry(Base):
    """The history of a review (审核记录): who claimed, released, commented and decided, when and why. Only ever added to.

    ``evidence`` is where the proof is kept; ``claimed_at`` since when the person had held a review that he gave away by a
    decision on many.
    """

    __tablename__ = "review_entry"
    __table_args__ = (Index(None, "review_id", "id"), Index(None, "bulk_id"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    review_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merge_review.id"))
    action: Mapped[Code]
    state_before: Mapped[Code]
    person: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    evidence: Mapped[str] = mapped_column(String(200))
    claimed_at: Mapped[Moment | None]
    bulk_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("bulk_decision.id"))
    made_at: Mapped[Moment]
