"""Change events on their way out (发件箱事件)."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Integer, String, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code, CustomerNo, Document, Moment


class OutboxEvent(Base):
    """Written in the transaction of the change it tells; ``seq`` counts without gap for each customer.

    ``position`` (位点) is given after the commit, in the order of commits: it is what a reader's cursor counts, since an
    ``id`` is drawn before the commit and may become visible after a later one.
    """

    __tablename__ = "outbox_event"
    __table_args__ = (
        UniqueConstraint("customer_no", "seq"),
        UniqueConstraint("position"),
        Index("ix_outbox_event_unplaced", "id", postgresql_where=sql("position IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    customer_no: Mapped[CustomerNo] = mapped_column(String(12), ForeignKey("party.customer_no"))
    seq: Mapped[int] = mapped_column(Integer)
    type: Mapped[Code]
    occurred_at: Mapped[Moment]
    document: Mapped[Document]
    position: Mapped[int | None] = mapped_column(BigInteger)
    change_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("change_log.id"))
