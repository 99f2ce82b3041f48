"""A real PostgreSQL for every test that asks for one: the embedded server, one for each worker, empty for each test or module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine, create_engine

from ecif.db import open_database
from ecif.embedded import DatabaseError, embedded_server
from ecif.migrate import upgrade
from ecif.models import Base
from ecif.services.context import KeyDigests
from ecif.settings import Settings

_serial = count()


@pytest.fixture(scope="session")
def homes() -> Iterator[Callable[[], Path]]:
    """Gives homes. Not in pytest's folder: whenever pytest starts, it shuts that to the user as whom the server runs."""
    with TemporaryDirectory(prefix="ecif-") as top:
        serial = count()
        yield lambda: Path(top) / f"home{next(serial)}"
        for running in Path(top).glob("*/pgdata/postmaster.pid"):  # its last user was killed: the next one stops it
            with suppress(DatabaseError), embedded_server(running.parents[1]):
                pass


@pytest.fixture
def home(homes: Callable[[], Path]) -> Path:
    """A home that is not there yet."""
    return homes()


@pytest.fixture(scope="session")
def server(homes: Callable[[], Path]) -> Iterator[Engine]:
    """A migrated database on a server of its own, stopped at the end. It waits for no disk: nobody cuts its power."""
    with open_database(Settings(homes())) as engine:
        upgrade(engine)
        settings = [
            f"ALTER SYSTEM SET {setting} = off" for setting in ("fsync", "synchronous_commit", "full_page_writes")
        ]
        _carry_out(engine, *settings, "SELECT pg_reload_conf()")
        yield engine


@pytest.fixture(scope="session")
def migrated(server: Engine) -> str:
    """The name of a database that nobody is connected to, so that it can be copied."""
    _carry_out(server, "CREATE DATABASE migrated")
    engine = create_engine(server.url.set(database="migrated"))
    upgrade(engine)
    engine.dispose()
    return "migrated"


@pytest.fixture(scope="module")
def database(server: Engine, migrated: str) -> Iterator[Engine]:
    """A migrated database that a module has to itself, made in no time as a copy on the server of all."""
    name = f"module_{next(_serial)}"
    _carry_out(server, f"CREATE DATABASE {name} TEMPLATE {migrated}")
    url = server.url.set(database=name, drivername="postgresql").render_as_string(hide_password=False)
    with open_database(Settings(Path(), url)) as engine:
        yield engine
    _carry_out(server, f"DROP DATABASE {name} WITH (FORCE)")


def _carry_out(server: Engine, *statements: str) -> None:
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def engine(server: Engine) -> Engine:
    """The database, empty."""
    empty(server)
    return server


def empty(engine: Engine) -> None:
    """Deletes all rows, at one go: of a few, which is much quicker than new files for all tables."""
    with engine.begin() as connection:
        connection.exec_driver_sql("; ".join(f"DELETE FROM {table}" for table in reversed(Base.metadata.sorted_tables)))


@pytest.fixture(scope="session")
def digests() -> KeyDigests:
    """Keyed digests under a key of the tests."""
    return KeyDigests(b"k" * 32)
