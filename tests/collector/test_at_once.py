"""Two collectors on one Postgres that write in one moment: neither sees what the other is writing, and yet each call
is one.

A chat is 1000 tokens at $2.50 and 100 at $10 a million: $0.0035.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from outlay.prices import PriceBook, read_overrides
from outlay_collector.ingest import read_batch
from outlay_collector.repricing import Asked, reprice
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.engine import open_engine
from outlay_collector.store.grains import HOUR_NS
from outlay_collector.store.query import CallsQuery, UsageQuery
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.steps import StepStore
from outlay_collector.store.verifying import verify
from sqlalchemy import Engine, event

from tests.collector.echoing import ANOTHER_SDK, FRAMEWORK, SDK, STARTED, around, at
from tests.collector.sending import NOW_NS, Sent, body_of, chat

BOOK = PriceBook.bundled()
pytestmark = pytest.mark.parametrize("backend", ["postgres"], indirect=True)
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "ask"}
OURS = {"outlay.usage": '{"input":1000,"output":100}', "outlay.cost.nano_usd": 3_500_000, "outlay.cost.status": "exact"}
MADE = {"gen_ai.response.id": "chatcmpl-3f2b8c71-9d4e-4a06-b5c8-1e7f0a92d36b"}
FRAMEWORKS, TOOLS, SDKS = around(TOOL, chat(**{"gen_ai.response.id": "r"}))
PAIRS: dict[str, tuple[Sent, Sent]] = {
    "the one inside the other": (at(1, None, 0, 100, chat(), ANOTHER_SDK), at(2, 1, 10, 90, chat(), SDK)),
    "with a step between": (FRAMEWORKS, SDKS),
    "in two traces": (at(1, None, 0, 100, chat(), FRAMEWORK), at(2, None, 10, 90, chat(), SDK, trace=2)),
    "under two providers' names": (
        at(1, 8, 0, 100, chat(**MADE), SDK),
        at(2, 9, 0, 100, chat(**MADE, **{"gen_ai.provider.name": "azure"}), FRAMEWORK, trace=2),
    ),
    "beside Outlay's": (at(1, 9, 0, 100, chat(), SDK), at(2, 9, 10, 90, chat(**OURS), "outlay")),
}


@pytest.fixture
def other(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def write(engine: Engine, *spans: Sent) -> None:
    batch = read_batch(body_of(*spans), is_json=False, book=BOOK)
    StepStore(engine).write(batch.steps, NOW_NS)
    if batch.reports:
        SqlStore(engine).write(batch.reports, NOW_NS)


def once_it_has_read(engine: Engine, then: Callable[[], None]) -> list[str]:
    """Do that when a transaction of this engine has read what is stored, and has written nothing; what is given is one
    entry for each transaction that came so far."""
    reads: list[str] = []

    def before(_conn: Any, _cursor: Any, statement: str, *_more: object) -> None:
        if "rollup_periods" in statement and statement.lstrip().startswith("SELECT"):
            reads.append(statement)

    event.listen(engine, "before_cursor_execute", before)
    once(engine, "pg_advisory_xact_lock_shared", then)
    return reads


def once(engine: Engine, words: str, then: Callable[[], None]) -> None:
    """Do that before the first statement that has these words."""
    done = False

    def before(_conn: Any, _cursor: Any, statement: str, *_more: object) -> None:
        nonlocal done
        if words in statement and not done:
            done = True
            then()

    event.listen(engine, "before_cursor_execute", before)


def told(engine: Engine) -> list[tuple[int | None, int]]:
    store = SqlStore(engine)
    calls = store.calls(CallsQuery(limit=100))
    found = [store.call(call["id"]) for call in calls]
    return [(call["cost_nano_usd"], len(each[1])) for call, each in zip(calls, found, strict=True) if each]


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
@pytest.mark.parametrize("turned", [False, True])
def test_both_halves_of_a_call_written_at_once_are_one_call(
    engine: Engine, other: Engine, pair: tuple[Sent, Sent], turned: bool
) -> None:
    one, another = reversed(pair) if turned else pair
    write(engine, TOOLS)
    reads = once_it_has_read(engine, lambda: write(other, another))
    write(engine, one)
    assert told(engine) == [(3_500_000, 2)]
    assert len(reads) == 2, "the first has read again"


def test_two_that_add_to_one_call_at_once_both_add_to_it(engine: Engine, other: Engine) -> None:
    """The second would else say of the call what it said before the first had added to it."""
    with_id = {"gen_ai.response.id": "r"}
    write(engine, at(1, None, 0, 100, chat(**with_id), SDK))
    tenant, user = chat(**with_id, **{"outlay.tenant": "acme"}), chat(**with_id, **{"user.id": "u1"})
    once_it_has_read(engine, lambda: write(other, at(2, None, 0, 100, tenant, ANOTHER_SDK, trace=2)))
    write(engine, at(3, None, 0, 100, user, FRAMEWORK, trace=3))
    assert told(engine) == [(3_500_000, 3)]
    (call,) = SqlStore(engine).calls(CallsQuery(limit=1))
    assert (call["tenant"], call["user"]) == ("acme", "u1")


def test_calls_that_have_nothing_to_do_with_each_other_are_written_at_once(engine: Engine, other: Engine) -> None:
    """No batch is written twice because another was written meanwhile: neither of another trace nor of its own, where
    one instrumentation tells of both."""
    another = (at(2, None, 0, 100, chat(), SDK, trace=2), at(3, 9, 0, 100, chat(), SDK))
    reads = once_it_has_read(engine, lambda: write(other, *another))
    write(engine, at(1, 9, 0, 100, chat(), SDK))
    assert told(engine) == [(3_500_000, 1)] * 3
    assert len(reads) == 1


DEARER = BOOK.overridden(
    read_overrides([{"provider": "openai", "model": "gpt-4o-2024-08-06", "input": 3, "output": 12}], "outlay.toml")
)
"""A chat is $0.0042."""
INNER = at(3, 2, 20, 80, chat(), SDK)


def reprice_inner(engine: Engine) -> None:
    began = INNER.started_at_ns
    assert reprice(engine, DEARER, Asked(from_ns=began, to_ns=began + 1), NOW_NS).total.changed == 1


@pytest.mark.parametrize("outer", [[], [at(1, None, 0, 100, chat(), SDK)]], ids=["one call", "two that become one"])
def test_a_call_that_is_repriced_while_a_report_is_added_to_it_keeps_its_new_price(
    engine: Engine, other: Engine, outer: list[Sent]
) -> None:
    write(engine, *outer, INNER)
    sum_up_all(engine, NOW_NS)
    once_it_has_read(engine, lambda: reprice_inner(other))
    write(engine, at(2, 1, 10, 90, chat(**{"user.id": "u1"}), ANOTHER_SDK))
    assert told(engine) == [(4_200_000, 2 + len(outer))]
    assert SqlStore(engine).calls(CallsQuery(limit=1))[0]["user"] == "u1"
    assert sums(engine) == (1, 4_200_000)


def test_a_call_that_is_added_to_while_it_is_to_be_repriced_is_repriced_with_what_was_added(
    engine: Engine, other: Engine
) -> None:
    """2,000 tokens went in, says who is nearer the provider: $0.005 and $0.001, and at the new prices $0.0072."""
    write(engine, at(2, 1, 10, 90, chat(), ANOTHER_SDK))
    nearer = Sent(**{**vars(INNER), "attributes": chat(**{"gen_ai.usage.input_tokens": 2_000})})
    with ThreadPoolExecutor(1) as pool:
        running: list[Future[None]] = []

        def reprice_meanwhile() -> None:
            running.append(pool.submit(reprice_all, other))
            wait_until_one_waits(other, running[0])

        once(engine, "INSERT INTO write_turns", reprice_meanwhile)
        write(engine, nearer)
        running[0].result(60)
    assert told(engine) == [(7_200_000, 2)]
    assert sums(engine) == (1, 7_200_000)


def reprice_all(engine: Engine) -> None:
    assert reprice(engine, DEARER, Asked(from_ns=STARTED, to_ns=NOW_NS), NOW_NS).total.changed == 1


def wait_until_one_waits(engine: Engine, running: Future[None]) -> None:
    """For another's lock, as the database tells."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.exec_driver_sql(waiting).scalar():
            assert not running.done()


def sums(engine: Engine) -> tuple[int, int | None]:
    """How many calls, and what they cost, by rollups that were made anew."""
    sum_up_all(engine, NOW_NS)
    assert verify(engine) == []
    (row,) = SqlStore(engine).usage(UsageQuery(from_ns=STARTED - STARTED % HOUR_NS, to_ns=NOW_NS))
    return row.calls, row.cost_nano_usd
