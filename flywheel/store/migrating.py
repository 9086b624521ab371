"""Bringing the schema of a store to the current revision, from any earlier one."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Engine

from flywheel.core.errors import SettingsError


def migrate(engine: Engine) -> None:
    """Create or upgrade the schema; refuse a store that a newer flywheel wrote."""
    config = _config()
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == newest():
            return
    with engine.execution_options(flywheel_begin="BEGIN IMMEDIATE").begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SettingsError(
                f"the store was written by another version of flywheel: {error}", "install the newer version again"
            ) from error


def is_current(engine: Engine) -> bool:
    """Tell whether a store has the schema of this version, without changing anything."""
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found == ScriptDirectory.from_config(_config()).get_current_head()


def newest() -> str | None:
    """Return the revision that `migrate` leads to."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
