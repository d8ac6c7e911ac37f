"""Of a trace with many calls no more is read than can say what becomes of those that come, and the bill is the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outlay.prices import PriceBook
from outlay_collector.billing import Report
from outlay_collector.ingest import read_batch
from outlay_collector.store.engine import reading
from outlay_collector.store.neighbours import Neighbours
from outlay_collector.store.schema import CALLS, REPORTS
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine, delete, select
from sqlmodel import SQLModel

from tests.collector.echoing import ANOTHER_SDK, SDK, at
from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, chat
from tests.collector.trees import trees

BOOK = PriceBook.bundled()
MOST_ROWS = "outlay_collector.store.neighbours.MOST_ROWS"


def reports_of(*spans: Sent) -> list[Report]:
    return list(read_batch(body_of(*spans), is_json=False, book=BOOK).reports)


def calls_of(engine: Engine, batches: list[list[Sent]], most_rows: int) -> list[tuple[Any, ...]]:
    """What each report is billed as, of an empty ledger that they were written to."""
    with engine.begin() as connection:
        for name in ("rollup_periods", "reports", "calls"):
            connection.execute(delete(SQLModel.metadata.tables[name]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MOST_ROWS, most_rows)
        for batch in batches:
            SqlStore(engine).write(reports_of(*batch), NOW_NS)
    billed = (CALLS.c.bill_key, CALLS.c.cost_nano_usd, CALLS.c.cost_status, CALLS.c.span_id)
    told = select(REPORTS.c.trace_id, REPORTS.c.span_id, *billed).join_from(REPORTS, CALLS)
    with reading(engine) as connection:
        return sorted(map(tuple, connection.execute(told)))


@BOTH_BACKENDS
def test_the_bill_is_the_same_however_little_of_a_trace_is_read(engine: Engine, backend: str) -> None:
    @given(trees(), st.randoms(use_true_random=False), st.integers(1, 5))
    @settings(max_examples=60 if backend == "sqlite" else 12, deadline=None, suppress_health_check=list(HealthCheck))
    def deliver(sent: list[Sent], random: Any, size: int) -> None:
        random.shuffle(sent)
        batches = [sent[at : at + size] for at in range(0, len(sent), size)]
        assert calls_of(engine, batches, 0) == calls_of(engine, batches, 1_000)

    deliver()


@BOTH_BACKENDS
def test_of_a_long_trace_only_the_spans_around_are_read(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MOST_ROWS, 10)
    SqlStore(engine).write(reports_of(*(at(n, 900, n, n + 50, chat(), SDK) for n in range(1, 41))), NOW_NS)
    above, beneath, again = (
        at(50, 5, 0, 10, chat(), SDK),
        at(900, None, 0, 100, chat(), SDK),
        at(7, 900, 7, 57, chat(), SDK),
    )
    with reading(engine) as connection:
        assert numbers(Neighbours(connection, reports_of(above))) == [5]
        assert numbers(Neighbours(connection, reports_of(again))) == [7]
        assert numbers(Neighbours(connection, reports_of(beneath))) == list(range(1, 41))
        assert numbers(Neighbours(connection, reports_of(at(51, 901, 0, 10, chat(), SDK)))) == []
        other = at(52, 901, 0, 10, chat(), ANOTHER_SDK)
        assert len(Neighbours(connection, reports_of(other)).calls) == 40, "another instrumentation's may repeat any"


def numbers(neighbours: Neighbours) -> list[int]:
    return sorted(int(span_id, 16) for _, span_id in neighbours.calls)
