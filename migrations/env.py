"""Runs migrations on the connection that :mod:`ecif.migrate` hands over."""

from alembic import context

from ecif.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
context.run_migrations()
