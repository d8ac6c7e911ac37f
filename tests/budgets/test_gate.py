"""The gate of one process: who passes, what is told to the collector, and what happens while it is away."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import outlay
import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from outlay.budgets.client import LeasedGate
from outlay.budgets.definition import read_budget
from outlay.budgets.estimate import Estimator
from outlay.budgets.lease import LeaseAnswer, LeaseRequest, SettleAnswer, SettleRequest
from outlay.budgets.remote import Remote, Unreachable
from outlay.model import Attribution, Cost, CostStatus, Usage
from outlay.prices import PriceBook, read_overrides
from outlay.providers.base import Request
from outlay_collector.budget_states import budget_states
from outlay_collector.budgets import lend, settle
from outlay_collector.store.budgets import LEASE_S
from outlay_collector.store.definitions import put_definition
from sqlalchemy import Engine

NANO = 10**9
NOON = 1_795_608_000 * NANO  # 2026-11-25T12:00:00Z
CALL = Request(operation="chat", model="gpt-4o", max_output_tokens=1_000)
WORST = (
    32 * 4_250 + 1_000 * 17_000
)  # nobody said anything yet: 32 tokens around the prompt, gpt-4o at its priority tier
WHO = Attribution(service="bot")


class Direct(Remote):
    """A collector without the network between; `away` is what asking it then raises."""

    def __init__(self, engine: Engine) -> None:
        super().__init__("http://collector", None)
        self.engine = engine
        self.now_ns = NOON
        self.away = False
        self.asked: list[LeaseRequest | SettleRequest] = []

    def lease(self, request: LeaseRequest, timeout_s: float) -> LeaseAnswer:
        self._arrive(request)
        return lend(self.engine, request, self.now_ns)

    def settle(self, request: SettleRequest, timeout_s: float) -> SettleAnswer:
        self._arrive(request)
        return settle(self.engine, request, self.now_ns)

    def _arrive(self, request: LeaseRequest | SettleRequest) -> None:
        if self.away:
            raise Unreachable("the collector at http://collector cannot be reached")
        self.asked.append(request)


@pytest.fixture
def remote(engine: Engine) -> Direct:
    return Direct(engine)


@pytest.fixture
def gate(remote: Direct) -> LeasedGate:
    clock = lambda: remote.now_ns / NANO  # noqa: E731 - two words of a clock
    return LeasedGate(remote, Estimator(PriceBook.bundled()), clock=clock, in_background=False)


@pytest.fixture
def define(engine: Engine, remote: Direct, gate: LeasedGate) -> Callable[..., None]:
    def put(**keys: Any) -> None:
        with engine.begin() as connection:
            put_definition(connection, read_budget({"name": "bot", "limit": {"usd": 1}} | keys, "test"), "api", NOON)
        remote.now_ns += 11 * NANO
        gate.tick()

    return put


def cost(nano_usd: int) -> Cost:
    return Cost(nano_usd=nano_usd, status=CostStatus.EXACT)


def stands(remote: Direct) -> tuple[int, int]:
    (state,) = budget_states(remote.engine, remote.now_ns)
    return state.spent, state.leased


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


def test_the_message_says_what_stands_against_the_call(gate: LeasedGate, define: Callable[..., None]) -> None:
    define(limit={"usd": "0.02"})
    first = gate.reserve("openai", CALL, WHO)
    with pytest.raises(outlay.BudgetExceeded) as caught:
        gate.reserve("openai", CALL, WHO)
    assert str(caught.value).startswith(
        'budget "bot" has no room for a call of up to $0.017136: $0.00 spent and $0.017136 reserved of $0.02 since '
    )
    first.settle(None)


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
    assert stands(remote)[0] == WORST


def test_tokens_are_charged_as_used_and_kept_at_the_worst_where_nobody_knows(
    gate: LeasedGate, remote: Direct, define: Callable[..., None]
) -> None:
    define(limit={"tokens": 5_000})
    gate.reserve("openai", CALL, WHO).settle(cost(1), Usage({"input": 10, "output": 20}))
    gate.reserve("openai", CALL, WHO).settle(Cost.unpriced("?"), None)
    gate.close()
    assert stands(remote) == (30 + 1_032, 0)


def test_every_budget_must_have_room_and_a_refusal_takes_from_none(
    gate: LeasedGate, remote: Direct, define: Callable[..., None]
) -> None:
    define(name="calls", limit={"calls": 1})
    define(name="month", period="month")
    gate.reserve("openai", CALL, WHO).settle(cost(5))
    with pytest.raises(outlay.BudgetExceeded) as caught:
        gate.reserve("openai", CALL, WHO)
    assert caught.value.budget == "calls"
    gate.close()
    assert {each.budget.name: (each.spent, each.leased) for each in budget_states(remote.engine, remote.now_ns)} == {
        "calls": (1, 0),
        "month": (5, 0),
    }


def test_a_free_model_passes_a_spent_budget(remote: Direct, define: Callable[..., None]) -> None:
    define(limit={"usd": 0})
    free = read_overrides([{"provider": "ollama", "model": "gpt-4o", "input": 0, "output": 0}], "test")
    gate = LeasedGate(remote, Estimator(PriceBook.bundled().overridden(free)), in_background=False)
    gate.reserve("ollama", CALL, WHO).settle(cost(0))
    with pytest.raises(outlay.BudgetExceeded):
        gate.reserve("openai", CALL, WHO)


def test_a_model_without_a_price_passes_or_stops_as_the_budget_says(
    gate: LeasedGate, define: Callable[..., None]
) -> None:
    unknown = Request(operation="chat", model="nobody-knows-this-one", max_output_tokens=10)
    define(limit={"usd": 0})
    gate.reserve("openai", unknown, WHO).settle(Cost.unpriced("no price"))
    define(limit={"usd": 0}, unpriced="block")
    with pytest.raises(outlay.BudgetExceeded, match=r"openai/nobody-knows-this-one: the model has no known price"):
        gate.reserve("openai", unknown, WHO)


def test_the_user_a_request_names_counts_where_the_application_named_none(
    gate: LeasedGate, define: Callable[..., None]
) -> None:
    define(limit={"calls": 1}, per=["user"])
    asked = Request(operation="chat", model="gpt-4o", attribution=Attribution(user="ann"))
    gate.reserve("openai", asked, WHO).settle(cost(1))
    with pytest.raises(outlay.BudgetExceeded):
        gate.reserve("openai", asked, WHO)
    gate.reserve("openai", asked, Attribution(user="bob")).settle(cost(1))


@pytest.mark.parametrize(("policy", "passes"), [("open", 20), ("closed", 1), ("last_known", 5)])
def test_while_the_collector_is_away_the_policy_decides(
    gate: LeasedGate, remote: Direct, define: Callable[..., None], policy: str, passes: int
) -> None:
    # Five calls of one; the collector lends one of them (its share of five is one) and is gone.
    define(limit={"calls": 5}, when_unreachable=policy)
    passed = 0
    for _ in range(20):
        try:
            gate.reserve("openai", CALL, WHO).settle(cost(1))
            passed += 1
        except outlay.BudgetExceeded as error:
            assert f"when_unreachable = '{policy}'" in str(error)  # noqa: PT017 - some calls pass
        remote.away = True
    assert passed == passes
    remote.away = False
    remote.now_ns += 30 * NANO
    gate.tick()
    assert stands(remote)[0] == (1 if policy == "open" else passes)


def test_a_raised_limit_lets_calls_pass_again(gate: LeasedGate, remote: Direct, define: Callable[..., None]) -> None:
    define(limit={"calls": 1})
    gate.reserve("openai", CALL, WHO).settle(cost(1))
    with pytest.raises(outlay.BudgetExceeded):
        gate.reserve("openai", CALL, WHO)
    define(limit={"calls": 2})
    gate.reserve("openai", CALL, WHO).settle(cost(1))
    gate.close()
    assert stands(remote) == (2, 0)


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


def test_a_lease_handed_back_while_the_collector_was_away_is_handed_back_again(
    gate: LeasedGate, remote: Direct, define: Callable[..., None]
) -> None:
    define()
    gate.reserve("openai", CALL, WHO).settle(cost(5))
    gate.flush(1)
    remote.away = True
    for _ in range(12):
        remote.now_ns += NANO
        gate.tick()
    gate.flush(1)
    remote.away = False
    gate.tick()
    assert stands(remote) == (5, 0)


def test_a_process_that_slept_through_its_lease_opens_a_new_one(
    gate: LeasedGate, remote: Direct, define: Callable[..., None]
) -> None:
    define(limit={"calls": 20})
    gate.reserve("openai", CALL, WHO).settle(cost(1))
    gate.flush(1)
    remote.now_ns += 3_600 * NANO
    gate.reserve("openai", CALL, WHO).settle(cost(1))
    gate.close()
    assert stands(remote) == (2, 0)


def test_a_new_day_needs_no_restart(gate: LeasedGate, remote: Direct, define: Callable[..., None]) -> None:
    define(limit={"calls": 1})
    gate.reserve("openai", CALL, WHO).settle(cost(1))
    with pytest.raises(outlay.BudgetExceeded):
        gate.reserve("openai", CALL, WHO)
    remote.now_ns += 12 * 3_600 * NANO
    gate.reserve("openai", CALL, WHO).settle(cost(1))
    gate.close()
    assert stands(remote) == (1, 0)


def test_a_process_told_to_wait_for_its_budgets_lets_nothing_pass_before(engine: Engine, remote: Direct) -> None:
    remote.away = True
    gate = LeasedGate(remote, Estimator(PriceBook.bundled()), required=True, in_background=False)
    with pytest.raises(outlay.BudgetExceeded, match="the budgets are not known: the collector at http://collector"):
        gate.reserve("openai", CALL, WHO)
    remote.away = False
    gate.tick()
    gate.reserve("openai", CALL, WHO).settle(cost(1))


def test_an_agent_that_runs_away_is_stopped_within_its_trace(
    gate: LeasedGate, remote: Direct, define: Callable[..., None]
) -> None:
    define(limit={"calls": 2}, per=["trace"])

    def within(trace: int) -> AbstractContextManager[Any]:
        return use_span(NonRecordingSpan(SpanContext(trace, 7, is_remote=False, trace_flags=TraceFlags(1))))

    with within(0xA):
        for _ in range(2):
            gate.reserve("openai", CALL, WHO).settle(cost(1))
        with pytest.raises(outlay.BudgetExceeded) as caught:
            gate.reserve("openai", CALL, WHO)
    assert caught.value.scope == {"trace": f"{0xA:032x}"}
    with within(0xB):
        gate.reserve("openai", CALL, WHO).settle(cost(1))
    for _ in range(3):
        gate.reserve("openai", CALL, WHO).settle(cost(1))  # each a trace of its own


def test_refusals_are_told_with_their_reason_even_after_an_outage(
    gate: LeasedGate, remote: Direct, define: Callable[..., None]
) -> None:
    define(when_unreachable="closed", unpriced="block")
    remote.away = True
    for _ in range(2):
        with pytest.raises(outlay.BudgetExceeded) as caught:
            gate.reserve("openai", CALL, WHO)
    assert caught.value.reason == "unreachable"
    with pytest.raises(outlay.BudgetExceeded) as caught:
        gate.reserve("nobody", Request(operation="chat", model="made-up"), WHO)
    assert caught.value.reason == "unpriced"
    assert not gate.flush(1)
    remote.away = False
    assert gate.flush(1)
    told = remote.asked[-1]
    assert isinstance(told, SettleRequest)
    lines = [(each.reason, each.model, each.calls, each.avoided_nano_usd) for each in told.refusals]
    assert lines == [("unreachable", "gpt-4o", 2, 2 * WORST), ("unpriced", "made-up", 1, None)]
    assert {each.service for each in told.refusals} == {"bot"}
