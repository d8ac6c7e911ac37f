"""Brings a database to the schema this version was written for.

Several processes may start at once on one database: the whole upgrade is one transaction that holds a lock, so the
others wait and then find nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from outlay_collector.store.engine import reading

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_POSTGRES_LOCK: Final = 0x6F75746C6179  # "outlay": any constant no other program locks


def migrate(engine: Engine, revision: str = "head") -> None:
    """Upgrade to `revision`, from whatever the database is at. Safe to repeat and to run from several processes."""
    if revision == "head" and current_revision(engine) == head_revision():
        return
    _run(engine, command.upgrade, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Go back to `revision` (`base`: no table at all). What newer tables and columns held is lost."""
    _run(engine, command.downgrade, revision)


def current_revision(engine: Engine) -> str | None:
    """What the database is at; None where it was never migrated."""
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


@cache
def head_revision() -> str | None:
    """What this version of the code needs."""
    return ScriptDirectory(str(_MIGRATIONS)).get_current_head()


def _run(engine: Engine, step: Callable[[Config, str], None], revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_POSTGRES_LOCK})")
        config.attributes["connection"] = connection
        step(config, revision)
