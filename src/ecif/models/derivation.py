"""With what the derived tables were derived: the versions of the policies, and the key of the digests."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ecif.models.base import Base, Code


class Derivation(Base):
    """One row a thing that everything derived depends on. Another value, and only a rebuild makes it fit again."""

    __tablename__ = "derivation"

    name: Mapped[Code] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(80))
