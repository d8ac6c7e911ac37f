"""Databases to lend from, and calls as ingest would store them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from outlay.model import Attribution, Call, Cost, CostStatus, ResponseCache, Usage
from outlay_collector.billing import Report, Source
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate
from outlay_collector.store.writing import write_reports
from sqlalchemy import Engine


@pytest.fixture(scope="session")
def _postgres_ledger() -> list[str]:
    """The URL of the one Postgres database these tests share, once there is one: to migrate each anew takes long."""
    return []


@pytest.fixture(params=["sqlite", "postgres"])
def database(tmp_path: Path, request: pytest.FixtureRequest, _postgres_ledger: list[str]) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/outlay.db"
    if not _postgres_ledger:
        _postgres_ledger.append(request.getfixturevalue("postgres_url"))
        return _postgres_ledger[0]
    tables = (
        "reports, calls, rollups, rollup_periods, "
        "budget_settlements, budget_leases, budget_accounts, budget_refusals, budget_easings, budgets"
    )
    engine = open_engine(_postgres_ledger[0])
    with engine.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {tables} CASCADE")
    engine.dispose()
    return _postgres_ledger[0]


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = open_engine(database)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def arrive(engine: Engine) -> Callable[..., None]:
    """Stores one call as if its span had just come in; further keywords are its attribution."""
    numbers = itertools.count(1)

    def store(
        at_ns: int,
        nano_usd: int | None,
        span: tuple[str, str] | None = None,
        *,
        provider: str = "openai",
        usage: dict[str, int] | None = None,
        cache: ResponseCache | None = None,
        parent: str | None = None,
        **attribution: Any,
    ) -> None:
        trace_id, span_id = span or (f"trace{next(numbers)}", f"span{next(numbers)}")
        cost = Cost.unpriced("no price") if nano_usd is None else Cost(nano_usd=nano_usd, status=CostStatus.EXACT)
        call = Call(
            provider=provider,
            operation="chat",
            model_requested="gpt-4o",
            model_served="gpt-4o-2024-08-06",
            started_at_ns=at_ns,
            ended_at_ns=at_ns,
            usage=None if usage is None else Usage(usage),
            cost=cost,
            attribution=Attribution(**attribution),
            response_cache=cache,
        )
        report = Report(
            call=call,
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=parent,
            dialect="outlay",
            scope="outlay",
            source=Source.OUTLAY,
        )
        with engine.begin() as connection:
            write_reports(connection, [report], at_ns)

    return store
