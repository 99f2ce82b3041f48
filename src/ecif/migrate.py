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


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resource_dir("migrations")))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> None:
    """Migrates to the newest revision; of two processes that race, one waits.

    Raises:
        MigrationError: the database was made by a newer version of the program.
    """
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        now = MigrationContext.configure(connection).get_current_revision()
        script = ScriptDirectory.from_config(_config())
        if now is not None and now not in {revision.revision for revision in script.walk_revisions()}:
            raise MigrationError(
                f"数据库版本 {now} 比程序新, 请升级程序 the database (revision {now}) is newer than this program: upgrade it"
            )
        if now != script.get_current_head():
            command.upgrade(_config(connection), "head")


def is_current(engine: Engine) -> bool:
    """Whether the database is at the newest revision."""
    with engine.connect() as connection:
        now = MigrationContext.configure(connection).get_current_revision()
    return now == ScriptDirectory.from_config(_config()).get_current_head()


def differences(engine: Engine) -> list[str]:
    """Where the migrated schema and the models differ; empty if nowhere (what ``alembic check`` tells)."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [str(change) for change in compare_metadata(context, Base.metadata)]
