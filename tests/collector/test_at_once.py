"""Two collectors on one Postgres that write in one moment: neither sees what the other is writing, and yet each call
is one.

A chat is 1000 tokens at $2.50 and 100 at $10 a million: $0.0035.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from outlay.prices import PriceBook
from outlay_collector.ingest import read_batch
from outlay_collector.store.engine import open_engine
from outlay_collector.store.query import CallsQuery
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.steps import StepStore
from sqlalchemy import Engine, event

from tests.collector.echoing import ANOTHER_SDK, FRAMEWORK, SDK, around, at
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
            if len(reads) == 1:
                then()

    event.listen(engine, "before_cursor_execute", before)
    return reads


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
