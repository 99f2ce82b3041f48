"""Whole batches in one statement whose text is always the same, so that the server plans it once.

Arrays go to the server in binary form, straight through the driver of the session's connection: as text, every quote of
every document would be escaped one by one, which took more time than everything else together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Session

from ecif.services.arrays import array

Row = tuple[Any, ...]
Reads = Session | psycopg.Connection[Any]
"""Where reads run: in a transaction, or on a connection that has none."""


def query(session: Reads, sql: str, **params: Any) -> list[Any]:
    """Runs a statement (parameters as ``%(name)b``) in the session's transaction; rows have their columns' names."""
    with _connection(session).cursor(binary=True, row_factory=namedtuple_row) as cursor:
        cursor.execute(sql, _written(params))  # type: ignore[arg-type, unused-ignore]
        return cursor.fetchall()


def send(session: Reads, sql: str, **params: Any) -> None:
    """Runs a statement that gives no rows. In a transaction of :func:`ecif.db.run_transaction` nobody waits for it: it goes
    with the next that does, and that one raises what is wrong with it."""
    with _connection(session).cursor(binary=True) as cursor:
        cursor.execute(sql, _written(params))  # type: ignore[arg-type, unused-ignore]


def _connection(session: Reads) -> psycopg.Connection[Any]:
    if isinstance(session, psycopg.Connection):
        return session
    known: psycopg.Connection[Any] | None = session.info.get("driver")
    return known or cast(psycopg.Connection[Any], session.connection().connection.driver_connection)


def _written(params: dict[str, Any]) -> dict[str, Any]:
    return {name: array(value) if type(value) is list else value for name, value in params.items()}


async def query_alone(connection: psycopg.AsyncConnection[Any], sql: str, **params: Any) -> list[Any]:
    """Runs a statement that reads, without a transaction and without a thread; rows are plain tuples."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(sql, params)  # type: ignore[arg-type, unused-ignore]
        return await cursor.fetchall()


@lru_cache(maxsize=128)
def _source(table: Table, columns: tuple[str, ...]) -> str:
    """``unnest`` of one array parameter a column, typed as the table is."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    types = (table.c[name].type.compile(dialect).split("(")[0] for name in columns)
    return ", ".join(f"%({name})b::{kind}[]" for name, kind in zip(columns, types, strict=True))


@lru_cache(maxsize=128)
def _insert(table: Table, columns: tuple[str, ...], suffix: str) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    return f'INSERT INTO "{table.name}" ({names}) SELECT * FROM unnest({_source(table, columns)}) {suffix}'


@lru_cache(maxsize=128)
def _update(table: Table, key: str, columns: tuple[str, ...]) -> str:
    names = ", ".join(f'"{name}"' for name in (key, *columns))
    changes = ", ".join(f'"{name}" = new."{name}"' for name in columns)
    source = _source(table, (key, *columns))
    return f'UPDATE "{table.name}" t SET {changes} FROM unnest({source}) new({names}) WHERE t."{key}" = new."{key}"'


def _arrays(columns: Sequence[str], rows: Sequence[Row]) -> dict[str, list[Any]]:
    return dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))


def insert_rows(
    session: Session, model: type[DeclarativeBase], columns: tuple[str, ...], rows: Sequence[Row], suffix: str = ""
) -> list[Any]:
    """Inserts the rows; ``suffix`` is an ON CONFLICT or RETURNING clause, whose rows come back."""
    if not rows:
        return []
    sql, arrays = _insert(cast(Table, model.__table__), columns, suffix), _arrays(columns, rows)
    if "RETURNING" in suffix:
        return query(session, sql, **arrays)
    send(session, sql, **arrays)
    return []


def update_rows(
    session: Session, model: type[DeclarativeBase], key: str, columns: tuple[str, ...], rows: Sequence[Row]
) -> None:
    """Updates rows by their key column, the first value of each row."""
    if rows:
        send(session, _update(cast(Table, model.__table__), key, columns), **_arrays((key, *columns), rows))
