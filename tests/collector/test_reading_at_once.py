"""What is put together from several questions is read from one state of the database."""

from __future__ import annotations

from outlay.prices import PriceBook
from outlay_collector.billing import Report
from outlay_collector.ingest import read_batch
from outlay_collector.store.engine import reading, reading_at_once
from outlay_collector.store.query import UsageQuery
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, chat

EVER = UsageQuery(from_ns=0, to_ns=2**62)


def report(n: int) -> list[Report]:
    sent = Sent(trace=n, span=n, started_at_ns=NOW_NS, attributes=chat(**{"gen_ai.response.id": f"r{n}"}))
    return list(read_batch(body_of(sent), is_json=False, book=PriceBook.bundled()).reports)


@BOTH_BACKENDS
def test_a_call_that_comes_between_two_questions_is_in_neither(engine: Engine) -> None:
    store = SqlStore(engine)
    store.write(report(1), NOW_NS)
    with reading_at_once(engine):
        assert store.usage(EVER)[0].calls == 1
        store.write(report(2), NOW_NS)
        assert store.usage(EVER)[0].calls == 1
    assert store.usage(EVER)[0].calls == 2


@BOTH_BACKENDS
def test_questions_share_a_connection_until_all_are_answered(engine: Engine) -> None:
    with reading_at_once(engine) as connection:
        with reading(engine) as same:
            assert same is connection
        assert not connection.closed
    with reading(engine) as another:
        assert another is not connection
