"""Several collectors on one database: what they lend together never passes the limit, and all of it can be lent."""

from __future__ import annotations

import threading
from contextlib import nullcontext

import pytest
from outlay.budgets.definition import read_budget
from outlay.budgets.lease import Ask, LeaseRequest
from outlay_collector import budgets
from outlay_collector.budget_states import budget_states
from outlay_collector.store.definitions import put_definition
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
