"""The schema in the database and the schema in the code are one."""

from __future__ import annotations

import threading

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import current_revision, downgrade, head_revision, migrate
from outlay_collector.store.schema import CallRow
from sqlalchemy import Engine, inspect
from sqlmodel import SQLModel

from tests.collector.sending import BOTH_BACKENDS

pytestmark = BOTH_BACKENDS


def _own_tables(object_: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    return kind != "table" or name in SQLModel.metadata.tables


def test_migrations_make_exactly_the_tables_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _own_tables, "compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    migrate(engine)
    assert current_revision(engine) == head_revision()


def test_a_downgrade_to_base_leaves_no_table_and_can_be_undone(engine: Engine) -> None:
    downgrade(engine, "base")
    assert set(inspect(engine).get_table_names()) <= {"alembic_version", "sqlite_sequence"}
    migrate(engine)
    assert inspect(engine).has_table(CallRow.__tablename__)


def test_processes_that_start_together_migrate_once(database_url: str, engine: Engine) -> None:
    downgrade(engine, "base")
    failures: list[BaseException] = []

    def start() -> None:
        engine = open_engine(database_url)
        try:
            migrate(engine)
        except BaseException as failure:
            failures.append(failure)
            raise
        finally:
            engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
