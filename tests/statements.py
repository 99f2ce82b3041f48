"""The statements that are sent to the database, as the driver sends them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Engine, event

Statements = list[str]


@contextmanager
def counted(engine: Engine) -> Iterator[Statements]:
    """Every statement that the engine's connections send, whichever layer sends it, but for BEGIN, COMMIT and pings."""
    sent: Statements = []

    class Counting(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
            sent.append(str(query))
            return super().execute(query, *arguments, **options)

    def count(connection: psycopg.Connection[Any], *_: object) -> None:
        connection.cursor_factory = Counting

    def stop(connection: psycopg.Connection[Any], *_: object) -> None:
        connection.cursor_factory = psycopg.Cursor

    plain = psycopg.AsyncCursor.execute  # of reads in the event loop, whose connections are not the engine's

    async def counting(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        sent.append(str(query))
        return await plain(self, query, *arguments, **options)

    event.listen(engine, "checkout", count)
    event.listen(engine, "checkin", stop)
    psycopg.AsyncCursor.execute = counting  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        psycopg.AsyncCursor.execute = plain  # type: ignore[method-assign]
        event.remove(engine, "checkout", count)
        event.remove(engine, "checkin", stop)


@contextmanager
def explained(engine: Engine) -> Iterator[list[str]]:
    """The plans of all statements that read, as the server makes them for these very values."""
    plans: list[str] = []

    class Explaining(psycopg.Cursor[Any]):
        def execute(self, query: Any, *given: Any, **options: Any) -> Any:
            if str(query).startswith(("SELECT", "WITH")):
                super().execute(f"EXPLAIN {query}", *given, **options)
                plans.extend(row[0] for row in self.fetchall())
            return super().execute(query, *given, **options)

    def explain(connection: psycopg.Connection[Any], *_: object) -> None:
        connection.cursor_factory = Explaining

    event.listen(engine, "checkout", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "checkout", explain)
