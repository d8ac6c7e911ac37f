"""Databases to lend from, calls as ingest would store them, and one process's gate and estimates."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from outlay.budgets.client import LeasedGate
from outlay.budgets.definition import read_budget
from outlay.budgets.estimate import Estimator
from outlay.model import Attribution, Call, Cost, CostStatus, ResponseCache, Usage
from outlay.prices import PriceBook, read_overrides
from outlay_collector.store.definitions import put_definition
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate
from outlay_collector.store.writing import write_reports
from sqlalchemy import Engine

from tests.budgets.gates import NANO, NOON, Direct
from tests.budgets.reports import report_of
from tests.budgets.requests import RATES


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
        span = span or (f"trace{next(numbers)}", f"span{next(numbers)}")
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
        with engine.begin() as connection:
            write_reports(connection, [report_of(call, span, parent)], at_ns)

    return store


@pytest.fixture
def remote(engine: Engine) -> Direct:
    return Direct(engine)


@pytest.fixture
def gate(remote: Direct) -> LeasedGate:
    estimator = Estimator(PriceBook.bundled())
    return LeasedGate(remote, estimator, clock=lambda: remote.now_ns / NANO, in_background=False)


@pytest.fixture
def define(engine: Engine, remote: Direct, gate: LeasedGate) -> Callable[..., None]:
    def put(**keys: Any) -> None:
        with engine.begin() as connection:
            put_definition(connection, read_budget({"name": "bot", "limit": {"usd": 1}} | keys, "test"), "api", NOON)
        remote.now_ns += 11 * NANO
        gate.tick()

    return put


@pytest.fixture
def estimator() -> Estimator:
    own: list[dict[str, Any]] = [{"provider": "acme", "model": "m", **RATES}]
    own += [{"provider": "openai", "model": "tiered", "input": 1, "output": 10, "output_priority": 25}]
    own += [{"provider": "acme", "model": "long", "input": 1, "input_above_200000": 3, "output": 10}]
    own += [{"provider": "acme", "model": "drawn", "input": 0, "output": 7}]
    own += [{"provider": "acme", "model": "free", "input": 0, "output": 0}]
    return Estimator(PriceBook.bundled().overridden(read_overrides(own, "test")))
