"""The database: the only module that makes engines and ends transactions."""

from __future__ import annotations

import logging
import random
import time
from asyncio import Semaphore, timeout
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar, cast

import psycopg
from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from ecif.embedded import DatabaseError, disk_full, disk_is_full, embedded_server
from ecif.settings import Settings

__all__ = [
    "DatabaseError",
    "GivenUp",
    "Readers",
    "bound_time",
    "is_away",
    "is_busy",
    "open_database",
    "reading",
    "run_transaction",
    "sqlstate",
    "transaction",
]

T = TypeVar("T")

logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # it quotes the server, who quotes people

THREADS = 20
"""Threads that work on calls. Each holds one connection at most, so none ever waits for one while it keeps others from a
thread; more of them would only wait for the same few cores."""
POOL_SIZE = THREADS + 4
"""A connection for each thread, and for what runs beside them: commits, health, figures."""
READERS = 8
"""Connections for reads in the event loop, each of which is busy for a fraction of a millisecond."""
POOL_TIMEOUT_S = 2
BOUNDS = {"lock_timeout": "8s", "statement_timeout": "10s", "idle_in_transaction_session_timeout": "15s"}
"""How long a call may hang in the database. A chunk of a file, whose claims a call waits for, takes about a second."""
ATTEMPTS_MAX = 10
RETRIED = frozenset({"40001", "40P01", "53200"})
"""Serialization failure, deadlock, and a full lock table: each is over when the others are."""
BUSY = RETRIED | {"55P03", "57014", "25P03"}
"""And what is over its bound: a wait for a lock, a statement, a transaction in which nothing happens."""

_REASONS = {
    "25006": "数据库只读, 请连接主库 the database is read-only: connect to the primary",
    "28": "数据库拒绝该用户, 请核对 ECIF_DATABASE_URL the database refuses this user: check ECIF_DATABASE_URL",
    "3D": "数据库不存在, 请先创建 there is no such database: create it first",
    "42501": "数据库用户权限不足, 请授权建表 the database user lacks rights: grant it the right to create tables",
    "42": "数据库结构与程序不符, 请运行 ecif migrate --check the schema is not this program's: run ecif migrate --check",
    "53100": disk_full("PostgreSQL"),
    "53300": "数据库连接已用尽, 请提高 max_connections the database has no connection left: raise max_connections",
}
"""What to do, by SQLSTATE or its class. Never the server's own words: they may quote a person."""


class GivenUp(DatabaseError):
    """A transaction was given up for the sake of others, again and again."""


@contextmanager
def open_database(settings: Settings) -> Iterator[Engine]:
    """The bank's own PostgreSQL if one is set, else the embedded one, started here and stopped by its last user.

    Raises:
        DatabaseError: it cannot be reached or started, or what is done with it fails.
    """
    with ExitStack() as stack:
        url = settings.database_url or stack.enter_context(embedded_server(settings.home))
        try:
            engine = _engine(url, ping=bool(settings.database_url))
            stack.callback(engine.dispose)
            with engine.connect() as connection:
                encoding = connection.execute(text("SHOW server_encoding")).scalar()
            if encoding != "UTF8":
                raise DatabaseError(
                    f"数据库编码为 {encoding}, 请以 UTF8 创建 the database is in {encoding}: create it with ENCODING 'UTF8'"
                )
            yield engine
        except (SQLAlchemyError, psycopg.Error) as error:
            full = not settings.database_url and disk_is_full(settings.home)
            raise DatabaseError(disk_full(settings.home) if full else _reason(error)) from error


def _engine(url: str, *, ping: bool) -> Engine:
    try:
        return create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_S,
            pool_pre_ping=ping,
            connect_args={"connect_timeout": 5},
        )
    except (ArgumentError, ValueError) as error:  # whose text may quote the password
        raise DatabaseError(
            "ECIF_DATABASE_URL: 应为 it should be postgresql://user:password@host:5432/database"
        ) from error


def bound_time(engine: Engine, bounds: Mapping[str, str] = BOUNDS) -> None:
    """From now on nothing that this engine does may hang: for calls, not for loads and migrations, which take their time."""
    sql = "; ".join(f"SET {name} = '{bound}'" for name, bound in bounds.items())

    def bound(connection: psycopg.Connection, _: object) -> None:
        connection.execute(sql)  # type: ignore[arg-type, unused-ignore]
        connection.commit()

    event.listen(engine, "connect", bound)
    engine.dispose()  # connections that know no bounds


def sqlstate(error: BaseException) -> str:
    """The code the server gave, if it was the server that spoke."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def is_busy(error: BaseException) -> bool:
    """Whether the database had too much to do for this, so that it is worth trying again at once."""
    return isinstance(error, PoolTimeout | GivenUp) or sqlstate(error) in BUSY


def is_away(error: BaseException) -> bool:
    """Whether the database cannot be reached just now, so that it is worth trying later."""
    given = getattr(error, "orig", error)
    return isinstance(given, psycopg.OperationalError | psycopg.InterfaceError)


def _reason(error: BaseException) -> str:
    code = sqlstate(error)
    told = _REASONS.get(code) or _REASONS.get(code[:2])
    if told:
        return told
    if is_away(error):
        detail = "" if code else str(getattr(error, "orig", error)).strip().partition("\n")[0][:200]
        return (
            "数据库不可用, 请确认其正在运行并核对 ECIF_DATABASE_URL, 然后再运行一次 the database cannot be reached:"
            f" see that it runs, check ECIF_DATABASE_URL, and run it again ({detail or code})"
        )
    return f"数据库报错 the database reports {code or type(error).__name__}; 请将此代码告知维护者 tell its keepers this code"


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One transaction: committed at the end of the block, rolled back by an exception."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        session.info["driver"] = session.connection().connection.driver_connection
        yield session


@contextmanager
def reading(engine: Engine) -> Iterator[psycopg.Connection[Any]]:
    """A connection on which every statement stands alone: a transaction around one that reads takes two round trips more."""
    borrowed = engine.raw_connection()
    connection = cast(psycopg.Connection[Any], borrowed.driver_connection)
    try:
        connection.autocommit = True
        yield connection
    finally:
        if not connection.closed:
            connection.autocommit = False
        borrowed.close()


def run_transaction(engine: Engine, work: Callable[[Session], T], *, attempts: int = ATTEMPTS_MAX) -> T:
    """Runs ``work`` in a transaction, and again if the database gave it up for the sake of another.

    Raises:
        GivenUp: it was given up ``attempts`` times.
    """
    for attempt in range(attempts):
        try:
            with transaction(engine) as session, session.info["driver"].pipeline():
                session.info["attempt"] = attempt
                return work(session)
        except (DBAPIError, psycopg.Error) as error:
            if sqlstate(error) not in RETRIED:
                raise
            time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))
    raise GivenUp(f"事务重试 {attempts} 次未成功 the transaction was given up {attempts} times")


class Readers:
    """Connections for reads of one statement in the event loop: to wake a thread for one costs more than the statement."""

    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine
        self._room = Semaphore(READERS)
        self._idle: list[psycopg.AsyncConnection[Any]] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """A connection on which every statement stands alone."""
        try:
            async with timeout(POOL_TIMEOUT_S):
                await self._room.acquire()
        except TimeoutError as error:
            raise PoolTimeout from error
        try:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                yield connection
            finally:
                if connection.closed:
                    await self.close()  # the others may be too, and nobody knows before he asks
                else:
                    self._idle.append(connection)
        finally:
            self._room.release()

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        assert self._engine is not None
        _, options = self._engine.dialect.create_connect_args(self._engine.url)
        connection = await psycopg.AsyncConnection.connect(**options, connect_timeout=5, autocommit=True)
        await connection.execute(f"SET statement_timeout = '{BOUNDS['statement_timeout']}'")
        return connection

    async def close(self) -> None:
        """Closes those that nobody uses."""
        while self._idle:
            await self._idle.pop().close()
