"""Change events on their way out (发件箱事件)."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Identity, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code, CustomerNo, Document, Moment


class OutboxEvent(Base):
    """Written in the transaction of the change it tells; ``seq`` counts without gap for each customer."""

    __tablename__ = "outbox_event"
    __table_args__ = (UniqueConstraint("customer_no", "seq"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    customer_no: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"))
    seq: Mapped[int] = mapped_column(Integer)
    type: Mapped[Code]
    occurred_at: Mapped[Moment]
    document: Mapped[Document]
