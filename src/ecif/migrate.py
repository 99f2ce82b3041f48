"""Brings a database to the schema of this version (alembic)."""

from __future__ import annotations

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from ecif.models import Base
from ecif.resources import resource_dir

_LOCK = 0x6563_6966  # "ecif"


class MigrationError(Exception):
    """The database cannot be migrated; the text says why and what to do."""


def alembic_config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resource_dir("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> None:
    """Migrates to the newest revision; of two processes that race, one waits.

    Raises:
        MigrationError: the database was made by a newer version of the program.
    """
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        now, head = _revisions(connection)
        if now != head:
            command.upgrade(alembic_config(connection), "head")


def _revisions(connection: Connection) -> tuple[str | None, str | None]:
    """The database's revision and the program's."""
    now = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory.from_config(alembic_config())
    if now is not None and now not in {revision.revision for revision in script.walk_revisions()}:
        raise MigrationError(
            f"数据库版本 {now} 比程序新, 请升级程序 the database (revision {now}) is newer than this program: upgrade it"
        )
    return now, script.get_current_head()


def is_current(engine: Engine) -> bool:
    """Whether the database is at the newest revision."""
    with engine.connect() as connection:
        try:
            now, head = _revisions(connection)
        except MigrationError:
            return False
    return now == head


def differences(engine: Engine) -> list[str]:
    """Where the schema and the program differ; empty if nowhere (what ``alembic check`` tells).

    Raises:
        MigrationError: the database was made by a newer version of the program.
    """
    with engine.connect() as connection:
        now, head = _revisions(connection)
        if now != head:
            return [
                f"数据库版本 {now}, 程序版本 {head}; 请运行 ecif migrate the database is at {now}: run ecif migrate"
            ]
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [str(change) for change in compare_metadata(context, Base.metadata)]
