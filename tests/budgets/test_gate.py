"""The gate of one process: what it asks the collector for, what it tells it, and what it gives back."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import outlay
import pytest
from outlay.budgets.client import LeasedGate
from outlay.budgets.gate import Asking, Reservation
from outlay.budgets.keeper import Keeper
from outlay.budgets.lease import Ask, LeaseAnswer, LeaseRequest
from outlay.model import Cost, Usage
from outlay.providers.base import Request
from outlay_collector.store.budgets import LEASE_S

from tests.budgets.gates import CALL, NANO, WHO, WORST, Direct, cost, stands


def test_without_budgets_a_call_asks_nobody(gate: LeasedGate, remote: Direct) -> None:
    gate.reserve("openai", CALL, WHO).settle(cost(5))
    gate.reserve("openai", CALL, WHO).settle(cost(5))
    assert len(remote.asked) == 1


def test_a_lease_in_hand_serves_many_calls(gate: LeasedGate, remote: Direct, define: Callable[..., None]) -> None:
    define()
    before = len(remote.asked)
    for _ in range(10):
        gate.reserve("openai", CALL, WHO).settle(cost(1_000))
    assert len(remote.asked) == before + 1


def test_what_calls_cost_is_told_and_the_rest_comes_back(
    gate: LeasedGate, remote: Direct, define: Callable[..., None]
) -> None:
    define()
    gate.reserve("openai", CALL, WHO).settle(cost(1_234))
    gate.close()
    assert stands(remote) == (1_234, 0)


def test_an_idle_process_hands_its_lease_back(gate: LeasedGate, remote: Direct, define: Callable[..., None]) -> None:
    define()
    gate.reserve("openai", CALL, WHO).settle(cost(1_234))
    for _ in range(12):
        remote.now_ns += NANO
        gate.tick()
    assert stands(remote) == (1_234, 0)


def test_a_long_call_keeps_its_room_for_as_long_as_it_takes(
    gate: LeasedGate, remote: Direct, define: Callable[..., None]
) -> None:
    define()
    reservation = gate.reserve("openai", CALL, WHO)
    for _ in range(10 * LEASE_S):
        remote.now_ns += NANO
        gate.tick()
    assert stands(remote) == (0, WORST)
    reservation.settle(cost(7))
    gate.close()
    assert stands(remote) == (7, 0)


def test_a_call_settled_twice_is_charged_once(gate: LeasedGate, remote: Direct, define: Callable[..., None]) -> None:
    define()
    reservation = gate.reserve("openai", CALL, WHO)
    reservation.settle(cost(5))
    reservation.settle(cost(9))
    gate.close()
    assert stands(remote) == (5, 0)


@pytest.mark.parametrize(
    ("settled", "charged"), [(None, 0), (Cost.unpriced("no usage came"), WORST), (cost(3 * WORST), 3 * WORST)]
)
def test_a_call_is_charged_what_is_known_of_it(
    gate: LeasedGate, remote: Direct, define: Callable[..., None], settled: Cost | None, charged: int
) -> None:
    define()
    gate.reserve("openai", CALL, WHO).settle(settled)
    gate.close()
    assert stands(remote) == (charged, 0)


def test_a_reservation_the_application_lost_is_charged_at_its_worst(
    gate: LeasedGate, remote: Direct, define: Callable[..., None]
) -> None:
    define()
    gate.reserve("openai", CALL, WHO)
    gate.tick()
    assert stands(remote)[0] == 0  # it may come back to life
    gate.tick()
    assert stands(remote)[0] == WORST


def test_a_call_that_is_collected_and_then_concluded_is_charged_once(
    gate: LeasedGate, remote: Direct, define: Callable[..., None]
) -> None:
    """As a stream is that somebody left: it is one cycle with what it has set aside."""
    define()
    back: list[Reservation] = []

    class Left:
        def __init__(self, held: Reservation) -> None:
            self.held, self.itself = held, self

        def __del__(self) -> None:
            back.append(self.held)

    Left(gate.reserve("openai", CALL, WHO))
    gc.collect()
    gate.tick()
    back.pop().settle(cost(7))
    for _ in range(3):
        gate.tick()
    assert stands(remote)[0] == 7
    gate.close()
    assert stands(remote) == (7, 0)


def test_tokens_are_charged_as_used_and_kept_at_the_worst_where_nobody_knows(
    gate: LeasedGate, remote: Direct, define: Callable[..., None]
) -> None:
    define(limit={"tokens": 5_000})
    gate.reserve("openai", CALL, WHO).settle(cost(1), Usage({"input": 10, "output": 20}))
    gate.reserve("openai", CALL, WHO).settle(Cost.unpriced("?"), None)
    gate.close()
    assert stands(remote) == (30 + 1_032, 0)


def test_what_was_held_of_a_budget_that_changed_comes_back(
    gate: LeasedGate, remote: Direct, define: Callable[..., None]
) -> None:
    define(per=["service"])
    reservation = gate.reserve("openai", CALL, WHO)
    define()
    gate.tick()
    with remote.engine.connect() as connection:
        rest = connection.exec_driver_sql("SELECT granted - returned FROM budget_leases").scalar_one()
    assert rest == WORST
    reservation.settle(None)


def test_many_threads_never_pass_the_limit(gate: LeasedGate, remote: Direct, define: Callable[..., None]) -> None:
    define(limit={"calls": 100})
    passed: list[int] = []

    def work() -> None:
        for _ in range(30):
            try:
                gate.reserve("openai", CALL, WHO).settle(cost(1))
            except outlay.BudgetExceeded:
                continue
            passed.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 100
    gate.close()
    assert stands(remote) == (100, 0)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_other_threads_took_of_a_grant_is_no_refusal(
    gate: LeasedGate, define: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked may be the last to look at what it got: more is asked for, as long as there is any."""
    define(limit={"calls": 640})
    grant = Keeper._lease

    def grant_and_dawdle(keeper: Keeper, asks: list[Ask], timeout_s: float) -> set[str]:
        refused = grant(keeper, asks, timeout_s)
        time.sleep(0.002)
        return refused

    monkeypatch.setattr(Keeper, "_lease", grant_and_dawdle)

    def work() -> None:
        for _ in range(20):
            gate.reserve("openai", CALL, WHO).settle(cost(1))

    with ThreadPoolExecutor(32) as pool:
        for each in [pool.submit(work) for _ in range(32)]:
            each.result()
    with pytest.raises(outlay.BudgetExceeded):
        gate.reserve("openai", CALL, WHO)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_small_calls_do_not_starve_a_large_one(
    gate: LeasedGate, remote: Direct, define: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much they take while it asks for more."""
    large = Request(operation="chat", model="gpt-4o", max_output_tokens=20_000)
    define(limit={"usd": "3.50"})
    under_way: list[object] = [gate.reserve("openai", CALL, WHO)]
    lend, turns = remote.lease, []

    def meanwhile(request: LeaseRequest, timeout_s: float) -> LeaseAnswer:
        turns.append(request)
        while not isinstance(small := gate.begin("openai", CALL, WHO), Asking):
            under_way.append(small)
        return lend(request, timeout_s)

    monkeypatch.setattr(remote, "lease", meanwhile)
    gate.reserve("openai", large, WHO).settle(cost(1))
    assert len(turns) == 2
    assert len(under_way) > 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_forked_child_has_leases_of_its_own(gate: LeasedGate, remote: Direct, define: Callable[..., None]) -> None:
    define(limit={"calls": 20})
    gate.reserve("openai", CALL, WHO).settle(cost(1))
    gate.flush(1)
    held = gate._ledger
    gate.after_fork()
    assert gate._ledger is not held
    assert gate._ledger.holder != held.holder
    gate.reserve("openai", CALL, WHO).settle(cost(1))
    gate.close()
    assert stands(remote) == (2, 1)  # the parent's own lease is still the parent's


def test_a_new_day_needs_no_restart(gate: LeasedGate, remote: Direct, define: Callable[..., None]) -> None:
    define(limit={"calls": 1})
    gate.reserve("openai", CALL, WHO).settle(cost(1))
    with pytest.raises(outlay.BudgetExceeded):
        gate.reserve("openai", CALL, WHO)
    remote.now_ns += 12 * 3_600 * NANO
    gate.reserve("openai", CALL, WHO).settle(cost(1))
    gate.close()
    assert stands(remote) == (1, 0)
