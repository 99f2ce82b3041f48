"""What calls leave behind: who changed what and why, answers kept for a repeat, clear reads, changes that wait for four eyes."""

from __future__ import annotations

from datetime import date

from sqlalchemy import BigInteger, Date, ForeignKey, Identity, Index, LargeBinary, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code, CustomerNo, Document, Moment


class Change(Base):
    """One writing call (变更登记): who, from which channel and branch, why. Versions and events refer to it."""

    __tablename__ = "change_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    action: Mapped[Code]
    caller: Mapped[str] = mapped_column(String(200))
    operator: Mapped[str] = mapped_column(String(64))
    channel: Mapped[Code]
    branch: Mapped[Code]
    business_date: Mapped[date | None] = mapped_column(Date)
    reason: Mapped[str] = mapped_column(String(500))
    evidence: Mapped[str] = mapped_column(String(200))
    request_id: Mapped[str] = mapped_column(String(64))
    changed_at: Mapped[Moment]


class StoredAnswer(Base):
    """The answer to a call that carried an Idempotency-Key (幂等键), kept for seven days; empty while it runs."""

    __tablename__ = "stored_answer"
    __table_args__ = (Index(None, "asked_at"),)

    caller: Mapped[str] = mapped_column(String(200), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary(16))
    status: Mapped[int] = mapped_column(SmallInteger, default=0)
    headers: Mapped[Document] = mapped_column(default="{}")
    body: Mapped[Document] = mapped_column(default="")
    asked_at: Mapped[Moment]


class ClearRead(Base):
    """Who saw which clear values of whom, when and what for (明文访问日志; PIPL Art 51, 57)."""

    __tablename__ = "clear_read"
    __table_args__ = (Index(None, "customer_no", "read_at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    customer_no: Mapped[CustomerNo]
    caller: Mapped[str] = mapped_column(String(200))
    operator: Mapped[str] = mapped_column(String(64))
    channel: Mapped[Code]
    purpose: Mapped[str] = mapped_column(String(200))
    fields: Mapped[str] = mapped_column(String(200))
    request_id: Mapped[str] = mapped_column(String(64))
    read_at: Mapped[Moment]


class CheckAnswer(Base):
    """What a check told somebody about a customer (检查应答): an undo of a merge has to know who acted on it."""

    __tablename__ = "check_answer"
    __table_args__ = (Index(None, "customer_no", "answered_at"), Index(None, "answered_at"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    customer_no: Mapped[CustomerNo]
    kind: Mapped[Code]
    result: Mapped[Code]
    caller: Mapped[str] = mapped_column(String(200))
    operator: Mapped[str] = mapped_column(String(64))
    channel: Mapped[Code]
    request_id: Mapped[str] = mapped_column(String(64))
    answered_at: Mapped[Moment]


class ChangeRequest(Base):
    """A change of key identity that another person has to approve (双人复核): maker, checker, and what it would change."""

    __tablename__ = "change_request"
    __table_args__ = (Index(None, "status", "id"), Index(None, "customer_no"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    customer_no: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"))
    status: Mapped[Code]
    patch: Mapped[Document]
    before: Mapped[Document]
    reason: Mapped[str] = mapped_column(String(500))
    evidence: Mapped[str] = mapped_column(String(200))
    maker: Mapped[str] = mapped_column(String(200))
    caller: Mapped[str] = mapped_column(String(200))
    channel: Mapped[Code]
    branch: Mapped[Code]
    made_at: Mapped[Moment]
    checker: Mapped[str | None] = mapped_column(String(200))
    note: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[Moment | None]
