"""The benchmarks' bulk loader writes what the real writer writes: rows and rollups, on both databases."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.grains import HOUR_NS
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.verifying import verify
from sqlalchemy import Engine, text

from tests.collector.sending import BOTH_BACKENDS, NOW_NS

if TYPE_CHECKING:
    from types import ModuleType

CALLS = 1_000
TABLES = ("calls", "reports", "rollups", "rollup_periods")


@pytest.fixture
def bulk(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import bulk

    yield bulk
    sys.modules.pop("bulk")
    sys.modules.pop("month")


def contents(engine: Engine) -> dict[str, list[Any]]:
    """But for the editions, which are random."""
    found = {}
    with engine.connect() as connection:
        for table in TABLES:
            rows = connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5, 6"))
            found[table] = [
                {
                    key: bytes(v) if isinstance(v, memoryview) else v
                    for key, v in r._asdict().items()
                    if key != "edition"
                }
                for r in rows
            ]
    return found


@BOTH_BACKENDS
def test_bulk_and_writer_leave_the_same_database(engine: Engine, bulk: ModuleType) -> None:
    traffic = bulk.Traffic(CALLS, NOW_NS - 4 * HOUR_NS, NOW_NS)
    bulk.fill(engine, traffic, NOW_NS, NOW_NS)
    assert verify(engine) == []
    filled = contents(engine)
    assert len(filled["calls"]) == CALLS
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(text(f"DELETE FROM {table}"))
        if engine.dialect.name == "sqlite":
            connection.execute(text("UPDATE sqlite_sequence SET seq = 0"))
        else:
            connection.execute(text("ALTER SEQUENCE calls_id_seq RESTART"))
    SqlStore(engine).write([traffic.report(n) for n in range(CALLS)], NOW_NS)
    sum_up_all(engine, NOW_NS)
    assert contents(engine) == filled
