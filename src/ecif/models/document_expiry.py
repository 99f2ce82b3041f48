"""Derived from golden records: when identity documents end, and which stage was told last (证件有效期)."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Date, ForeignKey, Index, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code, CustomerNo, Moment


class DocumentExpiry(Base):
    """The dated document of a customer in a number space. A new date begins again at stage 0 (VALID).

    ``stage`` and ``told_at`` are what was told, which no golden record knows: a rebuild keeps them.
    """

    __tablename__ = "document_expiry"
    __table_args__ = (Index(None, "stage", "valid_to"),)

    customer_no: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"), primary_key=True)
    space: Mapped[Code] = mapped_column(String(40), primary_key=True)
    valid_to: Mapped[date] = mapped_column(Date)
    stage: Mapped[int] = mapped_column(SmallInteger)
    told_at: Mapped[Moment | None]
