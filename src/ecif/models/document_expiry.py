"""Derived from golden records: when identity documents end, and which stage was told last (证件有效期)."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import Date, ForeignKey, Index, SmallInteger, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code, CustomerNo, Moment


class DocumentExpiry(Base):
    """One dated document of a customer; ``digest`` stands for its space and number. A new date begins again at stage 0."""

    __tablename__ = "document_expiry"
    __table_args__ = (Index(None, "stage", "valid_to"),)

    customer_no: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"), primary_key=True)
    digest: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    space: Mapped[Code]
    valid_to: Mapped[date] = mapped_column(Date)
    stage: Mapped[int] = mapped_column(SmallInteger)
    told_at: Mapped[Moment | None]
