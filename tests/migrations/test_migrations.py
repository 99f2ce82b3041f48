"""Migrations on a database of their own: from empty to the models, back, and again; a newer schema is refused."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text

from ecif.migrate import MigrationError, alembic_config, differences, is_current, upgrade
from ecif.models import Base

_serial = count()


@pytest.fixture
def empty_database(server: Engine) -> Iterator[Engine]:
    """A database without a table."""
    name = f"migrations_{next(_serial)}"
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine = create_engine(server.url.set(database=name))
    yield engine
    engine.dispose()
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE {name}"))


def catalogue(engine: Engine) -> list[tuple[str, ...]]:
    """Columns, constraints and indexes as the server describes them: more than a comparison of models sees."""
    query = text(
        "SELECT table_name, column_name, data_type || coalesce(character_maximum_length, 0), is_nullable, is_identity"
        " FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
        " UNION ALL SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid), ''"
        " FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'"
        " UNION ALL SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes"
        " WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2, 3, 4, 5"
    )
    with engine.connect() as connection:
        return [tuple(map(str, row)) for row in connection.execute(query)]


def test_upgrade_from_empty_gives_the_models(empty_database: Engine, server: Engine) -> None:
    assert not is_current(empty_database)
    assert differences(empty_database)
    upgrade(empty_database)
    assert is_current(empty_database)
    assert differences(empty_database) == []
    migrated = catalogue(empty_database)
    with empty_database.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
        Base.metadata.create_all(connection)
    assert catalogue(empty_database) == migrated


def test_alembic_check_finds_no_difference(empty_database: Engine) -> None:
    upgrade(empty_database)
    with empty_database.begin() as connection:
        command.check(alembic_config(connection))


def test_a_drifted_schema_is_told(empty_database: Engine) -> None:
    upgrade(empty_database)
    with empty_database.begin() as connection:
        connection.execute(text("DROP INDEX ix_account_digest"))
        connection.execute(text("ALTER TABLE party ADD COLUMN shoe_size integer"))
    told = " ".join(differences(empty_database))
    assert "ix_account_digest" in told and "shoe_size" in told


def test_down_to_base_and_up_again(empty_database: Engine) -> None:
    upgrade(empty_database)
    before = catalogue(empty_database)
    with empty_database.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    assert set(inspect(empty_database).get_table_names()) <= {"alembic_version"}
    upgrade(empty_database)
    assert catalogue(empty_database) == before


def test_there_is_one_line_of_revisions() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_processes_that_race_migrate_once(empty_database: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: upgrade(empty_database), range(4)))
    assert is_current(empty_database)


def test_a_newer_revision_is_refused_and_left_alone(empty_database: Engine) -> None:
    upgrade(empty_database)
    with empty_database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refused in (upgrade, differences):
        with pytest.raises(MigrationError, match=r"9999 比程序新.*upgrade it"):
            refused(empty_database)
    assert not is_current(empty_database)
    with empty_database.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
