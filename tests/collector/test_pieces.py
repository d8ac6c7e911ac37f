"""What takes memory while a period is summed up: so many of its calls at a time, and none where its parts will do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from outlay.prices import PriceBook
from outlay_collector.billing import Report
from outlay_collector.ingest import read_batch
from outlay_collector.periods import to_ns
from outlay_collector.store import columns
from outlay_collector.store.claiming import claim_stale
from outlay_collector.store.engine import reading
from outlay_collector.store.grains import DAY_NS, HOUR_NS, LENGTHS_NS, QUARTER_NS
from outlay_collector.store.rollups import Kept
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.summing import sum_up
from outlay_collector.store.sums import Names, Summed, of_calls
from sqlalchemy import Engine, event

from tests.collector.fewest import ANY
from tests.collector.sending import BOTH_BACKENDS, Sent, body_of, chat

BEGIN = to_ns(datetime(2026, 11, 14, tzinfo=UTC))
LATER = BEGIN + DAY_NS
EVERYTHING = Kept.ONE | Kept.ALL | Kept.USERS | Kept.MINUTES | Kept.MINUTES_ONE


def reports(*numbers: int) -> list[Report]:
    """A call every 20 seconds, of five users and two features; every third one is a stream."""
    sent = []
    for n in numbers:
        said = {"gen_ai.response.id": f"r{n}", "user.id": f"user-{n % 5}", "outlay.feature": f"feature-{n % 2}"}
        streamed = {} if n % 3 else {"gen_ai.response.time_to_first_chunk": n / 10}
        at_ns = BEGIN + n * 20_000_000_000
        sent.append(Sent(trace=n, span=n, started_at_ns=at_ns, duration_ms=n * 7, attributes=chat(**said, **streamed)))
    return list(read_batch(body_of(*sent), is_json=False, book=PriceBook.bundled()).reports)


def summed(engine: Engine) -> Summed:
    with reading(engine) as connection:
        return of_calls(connection, Names(connection, engine), (QUARTER_NS, BEGIN), EVERYTHING, 0)[1]


@BOTH_BACKENDS
def test_a_period_that_is_read_in_pieces_comes_to_the_same_bytes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    SqlStore(engine).write(reports(*range(1, 41)), LATER)
    at_once = summed(engine)
    monkeypatch.setattr(columns, "_PIECE", 6)
    assert summed(engine) == at_once
    assert {row[0] for row in at_once} == set(range(11))


@BOTH_BACKENDS
def test_no_more_calls_are_held_at_once_than_a_piece_has(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    SqlStore(engine).write(reports(*range(1, 41)), LATER)
    monkeypatch.setattr(columns, "_PIECE", 16)
    with reading(engine) as connection:
        pieces = columns.read_columns(connection, BEGIN, LATER, Names(connection, engine))
        assert [len(piece.figures) for piece in pieces] == [16, 16, 8]


@BOTH_BACKENDS
def test_an_hour_is_not_read_from_its_calls_while_one_of_its_quarters_changes(engine: Engine) -> None:
    SqlStore(engine).write(reports(*range(1, 41)), LATER)
    claim = claim_stale(engine, LATER, LENGTHS_NS[:2])
    *quarters, hour = claim.periods
    assert [length for length, _ in quarters] == [QUARTER_NS]
    for period in quarters:
        assert sum_up(engine, [period], claim, LATER, fewest=ANY)
    SqlStore(engine).write(reports(41), LATER)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    assert hour[0] == HOUR_NS
    assert not sum_up(engine, [hour], claim, LATER, fewest=ANY)
    assert statements
    assert not [statement for statement in statements if "latency_bin" in statement]
