"""Facts that people state of parties: judgements (人工裁决), and the operations that merge, split and undo (归并操作)."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, LargeBinary, String, Text, Uuid
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code, CustomerNo, Document, Moment


class Judgement(Base):
    """A person's SAME or NOT_SAME between two source records, or that it no longer holds. The newest of a pair counts;
    none is ever changed. ``basis_lo`` and ``basis_hi`` are digests of whom the records told of then.
    """

    __tablename__ = "judgement"
    __table_args__ = (
        CheckConstraint("record_lo < record_hi", name="ordered"),
        Index(None, "record_lo", "record_hi", "id"),
        Index(None, "record_hi"),
        Index(None, "change_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    record_lo: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"))
    record_hi: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"))
    verdict: Mapped[Code]
    basis_lo: Mapped[bytes | None] = mapped_column(LargeBinary(8))
    basis_hi: Mapped[bytes | None] = mapped_column(LargeBinary(8))
    reason: Mapped[str] = mapped_column(String(500))
    person: Mapped[str] = mapped_column(String(200))
    operation_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("operation.id"))
    change_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("change_log.id"))
    made_at: Mapped[Moment]


class Operation(Base):
    """A merge, a split, an undo or a judgement that moves records: asked for by one person, decided by another.

    ``request`` is what was asked for, ``seen`` what the customers were then, ``override`` the rules that were set aside (ids
    with blanks between), ``outcome`` what it did.
    """

    __tablename__ = "operation"
    __table_args__ = (
        Index(None, "status", "id"),
        Index(None, "customer_no"),
        Index(None, "reverses", unique=True, postgresql_where=sql("status IN ('PENDING', 'DONE')")),
        Index("uq_operation_pending", "fingerprint", unique=True, postgresql_where=sql("status = 'PENDING'")),
        Index(None, "fingerprint"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[Code]
    status: Mapped[Code]
    customer_no: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"))
    request: Mapped[Document]
    seen: Mapped[Document]
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(16))
    reason: Mapped[str] = mapped_column(String(500))
    evidence: Mapped[str] = mapped_column(String(200))
    override: Mapped[str] = mapped_column(String(200))
    maker: Mapped[str] = mapped_column(String(200))
    caller: Mapped[str] = mapped_column(String(200))
    channel: Mapped[Code]
    branch: Mapped[Code]
    made_at: Mapped[Moment]
    checker: Mapped[str | None] = mapped_column(String(200))
    note: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[Moment | None]
    outcome: Mapped[Document | None]
    reverses: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("operation.id"))
    reversed_at: Mapped[Moment | None]


class AccountMove(Base):
    """That an account of a record belongs to another record's customer (账户归属调整). The newest word on an account counts."""

    __tablename__ = "account_move"
    __table_args__ = (Index(None, "record_id", "digest", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    record_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"))
    digest: Mapped[UUID] = mapped_column(Uuid)
    owner_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"))
    operation_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("operation.id"))
    made_at: Mapped[Moment]


class OperationRecord(Base):
    """Under which number a record was before a merge or a split: what an undo restores."""

    __tablename__ = "operation_record"
    __table_args__ = (Index(None, "record_id"),)

    operation_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("operation.id"), primary_key=True)
    record_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"), primary_key=True)
    customer_no: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"))


class OperationCustomer(Base):
    """A number that an operation concerns: those it was asked for with, those they led to, those it brought forth."""

    __tablename__ = "operation_customer"
    __table_args__ = (Index(None, "customer_no"),)

    operation_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("operation.id"), primary_key=True)
    customer_no: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"), primary_key=True)
