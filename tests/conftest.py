"""A real PostgreSQL for every test that asks for one: the embedded server, one for each worker, empty for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from ecif.db import open_database
from ecif.migrate import upgrade
from ecif.models import Base
from ecif.services.context import KeyDigests
from ecif.settings import Settings


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A migrated database on a server of its own, stopped at the end."""
    home = tmp_path_factory.mktemp("ecif")
    for folder in (home, *home.parents):  # started by root, the server runs as a user of its own, who must get there
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    with open_database(Settings(home)) as engine:
        upgrade(engine)
        yield engine


@pytest.fixture
def engine(server: Engine) -> Engine:
    """The database, empty."""
    empty(server)
    return server


def empty(engine: Engine) -> None:
    """Deletes all rows."""
    tables = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))


@pytest.fixture(scope="session")
def digests() -> KeyDigests:
    """Keyed digests under a key of the tests."""
    return KeyDigests(b"k" * 32)
