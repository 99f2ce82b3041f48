"""Writes many rows of one table in one statement whose text is always the same, so that the server plans it once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import TextClause

Row = tuple[Any, ...]


@lru_cache(maxsize=128)
def _source(table: Table, columns: tuple[str, ...]) -> str:
    """``unnest`` of one array parameter a column, typed as the table is."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    types = (table.c[name].type.compile(dialect).split("(")[0] for name in columns)
    return ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in zip(columns, types, strict=True))


@lru_cache(maxsize=128)
def _insert(table: Table, columns: tuple[str, ...], suffix: str) -> TextClause:
    names = ", ".join(f'"{name}"' for name in columns)
    return text(f'INSERT INTO "{table.name}" ({names}) SELECT * FROM unnest({_source(table, columns)}) {suffix}')


@lru_cache(maxsize=128)
def _update(table: Table, key: str, columns: tuple[str, ...]) -> TextClause:
    names = ", ".join(f'"{name}"' for name in (key, *columns))
    changes = ", ".join(f'"{name}" = new."{name}"' for name in columns)
    source = _source(table, (key, *columns))
    return text(f'UPDATE "{table.name}" t SET {changes} FROM unnest({source}) new({names}) WHERE t."{key}" = new."{key}"')


def _arrays(columns: Sequence[str], rows: Sequence[Row]) -> dict[str, list[Any]]:
    return {name: [row[place] for row in rows] for place, name in enumerate(columns)}


def insert_rows(
    session: Session, table: Table, columns: tuple[str, ...], rows: Sequence[Row], suffix: str = ""
) -> Sequence[Row]:
    """Inserts the rows; ``suffix`` is an ON CONFLICT or RETURNING clause, whose rows come back."""
    if not rows:
        return []
    result = session.execute(_insert(table, columns, suffix), _arrays(columns, rows))
    return [tuple(row) for row in result] if "RETURNING" in suffix else []


def update_rows(session: Session, table: Table, key: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Updates rows by their key column, the first value of each row."""
    if rows:
        session.execute(_update(table, key, columns), _arrays((key, *columns), rows))
