"""Facts: what the source systems delivered (源记录), and what of it could not be taken in (拒收)."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code, Document, Moment


class Load(Base):
    """One delivery of one file (批次). ``read = accepted + rejected`` holds when it is finished."""

    __tablename__ = "load"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    system: Mapped[Code]
    file_name: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]
    rows_read: Mapped[int] = mapped_column(Integer, default=0)
    rows_accepted: Mapped[int] = mapped_column(Integer, default=0)
    rows_rejected: Mapped[int] = mapped_column(Integer, default=0)


class SourceRecord(Base):
    """The newest version of what one system says of one party; ``(system, key)`` is its name for ever."""

    __tablename__ = "source_record"
    __table_args__ = (UniqueConstraint("system", "key"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    system: Mapped[Code]
    key: Mapped[str] = mapped_column(String(64))
    party_type: Mapped[Code]
    legal_entity: Mapped[Code]
    branch: Mapped[Code]
    version: Mapped[int] = mapped_column(Integer)
    business_time: Mapped[Moment]
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(16))
    document: Mapped[Document]
    received_at: Mapped[Moment]


class SourceRecordVersion(Base):
    """Every version that ever arrived, older ones too; never changed, never deleted."""

    __tablename__ = "source_record_version"
    __table_args__ = (UniqueConstraint("record_id", "content_hash", "business_time"),)

    record_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    business_time: Mapped[Moment]
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(16))
    document: Mapped[Document]
    received_at: Mapped[Moment]
    load_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("load.id"))
    line: Mapped[int | None] = mapped_column(Integer)
    change_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("change_log.id"))


class Reject(Base):
    """A row that was not accepted, with where it stood, why, and its raw text. The same row again is not kept twice."""

    __tablename__ = "reject"
    __table_args__ = (UniqueConstraint("system", "fingerprint"), Index(None, "load_id"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    load_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("load.id"))
    system: Mapped[Code]
    file_name: Mapped[str] = mapped_column(String(255))
    line: Mapped[int] = mapped_column(Integer)
    code: Mapped[Code]
    field: Mapped[str] = mapped_column(String(80))
    message_zh: Mapped[str] = mapped_column(Text)
    message_en: Mapped[str] = mapped_column(Text)
    raw: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(16))
    rejected_at: Mapped[Moment]
