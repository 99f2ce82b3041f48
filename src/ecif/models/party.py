"""Customer numbers (客户号), which record belongs to which (归属), and the golden record of each (统一视图)."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Integer, LargeBinary, String
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code, CustomerNo, Document, Moment


class Party(Base):
    """The register of every number ever issued. ``anchor_id`` is the record for which it was issued.

    A merged number stays for ever and points at its survivor; chains are kept one step long.
    """

    __tablename__ = "party"
    __table_args__ = (
        CheckConstraint("(status = 'MERGED') = (merged_into IS NOT NULL)", name="merged"),
        CheckConstraint("merged_into <> customer_no", name="no_self_merge"),
        Index(None, "anchor_id", unique=True),
        Index(None, "merged_into", postgresql_where=sql("merged_into IS NOT NULL")),
    )

    customer_no: Mapped[CustomerNo] = mapped_column(String(12), primary_key=True)
    party_type: Mapped[Code]
    status: Mapped[Code]
    merged_into: Mapped[CustomerNo | None] = mapped_column(String(12), ForeignKey("party.customer_no"))
    anchor_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"))
    version: Mapped[int] = mapped_column(Integer)
    event_seq: Mapped[int] = mapped_column(Integer)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(16))
    issued_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class Link(Base):
    """This source record belongs to that party from ``started_at`` until ``ended_at``; one open link a record."""

    __tablename__ = "link"
    __table_args__ = (
        Index("uq_link_live", "record_id", unique=True, postgresql_where=sql("ended_at IS NULL")),
        Index(None, "customer_no"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    record_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"))
    customer_no: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"))
    origin: Mapped[Code]
    rule: Mapped[Code]
    policy_version: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[Moment]
    ended_at: Mapped[Moment | None]


class GoldenRecord(Base):
    """Every version of every golden record; the current one is the party's ``version``. Rows are only ever added."""

    __tablename__ = "golden_record"

    customer_no: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    document: Mapped[Document]
    recorded_at: Mapped[Moment]
