"""Derived for matching: features, keys, shared values and doubtful pairs of live source records."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, SmallInteger, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code, Document, Moment


class RecordFeatures(Base):
    """What the comparators look at, computed once per record version (比对特征)."""

    __tablename__ = "record_features"

    record_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"), primary_key=True)
    document: Mapped[Document]


class RecordKey(Base):
    """A keyed digest under which a record is found: match keys (匹配键) and look-up keys in one index."""

    __tablename__ = "record_key"
    __table_args__ = (Index(None, "record_id"),)

    digest: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    record_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)  # no foreign key: ten of these a record
    kind: Mapped[int] = mapped_column(SmallInteger)


class SharedValue(Base):
    """A key value that too many records or names hold to say anything of one party (共用值, e.g. an agent's phone)."""

    __tablename__ = "shared_value"

    digest: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    kind: Mapped[int] = mapped_column(SmallInteger)
    holders: Mapped[int] = mapped_column(Integer)
    since: Mapped[Moment]


class DoubtfulPair(Base):
    """Two records whose decision is REVIEW, or an AUTO that a veto held back. Reviews are made of these."""

    __tablename__ = "doubtful_pair"
    __table_args__ = (Index(None, "record_hi"),)

    record_lo: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"), primary_key=True)
    record_hi: Mapped[int] = mapped_column(BigInteger, ForeignKey("source_record.id"), primary_key=True)
    held: Mapped[bool]
    level: Mapped[Code]
    rule: Mapped[Code]
    evidence: Mapped[Document]
    policy_version: Mapped[str] = mapped_column(String(20))
