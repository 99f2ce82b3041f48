"""Derived indexes of what a record names beside its party: accounts (账户索引) and relations (客户间关系)."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import BigInteger, Date, ForeignKey, Index, SmallInteger, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code


class Account(Base):
    """That an account exists and through which record it belongs to a party. Never a transaction, never a balance.

    ``digest`` finds it by its number; a number that the source masks has none. ``owner_id`` is the record whose customer it
    belongs to: the one that names it, unless a split gave it to another.
    """

    __tablename__ = "account"
    __table_args__ = (Index(None, "digest"), Index(None, "owner_id"))

    record_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    owner_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"))
    digest: Mapped[UUID | None] = mapped_column(Uuid)
    number: Mapped[str] = mapped_column(String(64))
    kind: Mapped[Code]
    status: Mapped[Code]
    account_class: Mapped[Code | None]
    opened_on: Mapped[date | None] = mapped_column(Date)
    branch: Mapped[Code]
    legal_entity: Mapped[Code]


class Relation(Base):
    """Somebody the record names; whether that is a customer too is looked up by ``digest`` when it is read."""

    __tablename__ = "relation"
    __table_args__ = (Index(None, "digest"),)

    record_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    type: Mapped[Code]
    name: Mapped[str] = mapped_column(String(200))
    digest: Mapped[UUID | None] = mapped_column(Uuid)
