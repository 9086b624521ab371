"""Alembic's environment: the connection is handed over by `store.migrating`."""

from alembic import context
from sqlmodel import SQLModel

import flywheel.store.tables  # noqa: F401 - filling the metadata is the purpose

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
