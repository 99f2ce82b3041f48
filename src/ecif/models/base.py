"""The declarative base: naming rules for constraints and the column types that every table shares."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from sqlalchemy import DateTime, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
"""A point in time, UTC, aware."""

CustomerNo = Annotated[str, mapped_column(String(12))]
"""A customer number (客户号)."""

Code = Annotated[str, mapped_column(String(40))]
"""A value of a code table, as its English word."""

Document = Annotated[str, mapped_column(Text)]
"""Canonical JSON. No query ever looks inside, so that it can be encrypted at rest without changing one."""


class Base(DeclarativeBase):
    """All tables; ``Base.metadata`` is what migrations are compared with."""

    metadata = MetaData(naming_convention=NAMING)
