"""Several collectors on one database: what they lend together never passes the limit, and all of it can be lent."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress

import pytest
from outlay.budgets.definition import read_budget
from outlay.budgets.lease import Ask, LeaseRequest
from outlay_collector import budgets
from outlay_collector.budget_states import budget_states
from outlay_collector.store.definitions import follow_file, put_definition
from outlay_collector.store.engine import open_engine
from sqlalchemy import Engine

NOON = 1_795_608_000 * 10**9
LIMIT, NEED = 60, 1


def test_collectors_that_lend_at_once_lend_all_of_it_and_no_more(
    engine: Engine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Threads stand for processes here: each pair has an engine of its own, and none of them waits for another.
    monkeypatch.setattr(budgets, "_LOCKS", (nullcontext(),))
    monkeypatch.setattr(budgets, "_TRIES", 1_000)
    with engine.begin() as connection:
        put_definition(connection, read_budget({"name": "bot", "limit": {"calls": LIMIT}}, "test"), "api", NOON)
    engines = [open_engine(database) for _ in range(3)]
    granted: list[int] = []

    def borrow(number: int) -> None:
        known = 0
        while True:
            one = Ask(lease=f"lease-{number}", budget="bot", scope=[], known=known, need=NEED, want=NEED)
            request = LeaseRequest(holder=str(number), asks=[one])
            (grant,) = budgets.lend(engines[number % 3], request, NOON).grants
            if grant.granted < known + NEED:
                granted.append(known)
                return
            known = grant.granted

    threads = [threading.Thread(target=borrow, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in engines:
        other.dispose()
    assert sum(granted) == LIMIT
    (state,) = budget_states(engine, NOON)
    assert (state.spent, state.leased, state.state) == (0, LIMIT, "exhausted")


def test_collectors_that_start_at_once_with_one_file_both_start(engine: Engine, database: str) -> None:
    """On Postgres the second waits for the first; SQLite has one writer at a time anyway."""
    budgets_of_file = [read_budget({"name": name, "limit": {"calls": LIMIT}}, "test") for name in ("bot", "all")]
    other = open_engine(database)
    with ThreadPoolExecutor(1) as second:
        with engine.begin() as connection:
            put_definition(connection, budgets_of_file[0], "file", NOON)
            follows = second.submit(follow_file, other, budgets_of_file, NOON)
            with suppress(TimeoutError):
                follows.result(0.3)  # it deletes what is not there yet, and waits
        follows.result(60)
    other.dispose()
    assert sorted(state.budget.name for state in budget_states(engine, NOON)) == ["all", "bot"]
