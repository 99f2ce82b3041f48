"""Open questions for a steward: may these two customers be one? (疑似合并审核)."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, String
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code, CustomerNo, Document, Moment


class MergeReview(Base):
    """At most one open review for a pair of customers; new data rebuilds its evidence, never doubles it."""

    __tablename__ = "merge_review"
    __table_args__ = (
        CheckConstraint("customer_lo < customer_hi", name="ordered"),
        Index(
            "uq_merge_review_open", "customer_lo", "customer_hi", unique=True, postgresql_where=sql("closed_at IS NULL")
        ),
        Index("ix_merge_review_hi_open", "customer_hi", postgresql_where=sql("closed_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    customer_lo: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"))
    customer_hi: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"))
    level: Mapped[Code]
    evidence: Mapped[Document]
    opened_at: Mapped[Moment]
    closed_at: Mapped[Moment | None]
    outcome: Mapped[Code | None]
