"""What an answer leaves behind for the garbage collector, which holds up every answer while it looks for it."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
from outlay.budgets.definition import read_budget
from outlay_collector.budget_states import budget_states
from outlay_collector.store.definitions import put_definition
from outlay_collector.store.query import CallsQuery, UsageQuery
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine

from tests.collector.sending import BOTH_BACKENDS, NOW_NS

HOUR_NS = 3_600_000_000_000
ASKED = UsageQuery(from_ns=0, to_ns=HOUR_NS, group_by=("feature", "tag.tier"), filters={"user": ("ann",)})
OVER_TIME = UsageQuery(from_ns=0, to_ns=HOUR_NS, edges=[0, HOUR_NS // 2, HOUR_NS], order="calls", limit=3)
LISTED = CallsQuery(limit=5, filters={"user": ("ann", ""), "status": ("error",)})
BUDGETS = (
    {"name": "all", "limit": {"usd": 10}, "period": "month"},
    {"name": "tenants", "limit": {"calls": 10}, "period": "day", "per": ["tenant"], "match": {"feature": "chat"}},
)

QUESTIONS: dict[str, Callable[[Engine], object]] = {
    "sums": lambda engine: SqlStore(engine).usage(ASKED),
    "sums over time": lambda engine: SqlStore(engine).usage(OVER_TIME),
    "calls": lambda engine: SqlStore(engine).calls(LISTED),
    "budgets": lambda engine: budget_states(engine, NOW_NS),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@BOTH_BACKENDS
def test_a_question_that_was_asked_before_leaves_nothing_of_its_statements(
    engine: Engine, question: Callable[[Engine], object]
) -> None:
    with engine.begin() as connection:
        for budget in BUDGETS:
            put_definition(connection, read_budget(budget, "test"), "api", NOW_NS)
    for _ in range(2):  # the driver prepares what it has seen several times
        question(engine)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        question(engine)
        gc.collect()
        left = [type(each).__name__ for each in gc.garbage if type(each).__module__.startswith("sqlalchemy")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert left == []
