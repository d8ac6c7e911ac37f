"""The gate of one process: who passes, who is turned away, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import outlay
import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from outlay.budgets.client import LeasedGate
from outlay.budgets.estimate import Estimator
from outlay.budgets.lease import SettleRequest
from outlay.model import Attribution, Cost
from outlay.prices import PriceBook, read_overrides
from outlay.providers.base import Request
from outlay_collector.budget_states import budget_states

from tests.budgets.gates import CALL, WHO, WORST, Direct, cost, stands


def test_the_message_says_what_stands_against_the_call(gate: LeasedGate, define: Callable[..., None]) -> None:
    define(limit={"usd": "0.02"})
    first = gate.reserve("openai", CALL, WHO)
    with pytest.raises(outlay.BudgetExceeded) as caught:
        gate.reserve("openai", CALL, WHO)
    assert str(caught.value).startswith(
        'budget "bot" has no room for a call of up to $0.017136: $0.00 spent and $0.017136 reserved of $0.02 since '
    )
    first.settle(None)


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


def test_a_raised_limit_lets_calls_pass_again(gate: LeasedGate, remote: Direct, define: Callable[..., None]) -> None:
    define(limit={"calls": 1})
    gate.reserve("openai", CALL, WHO).settle(cost(1))
    with pytest.raises(outlay.BudgetExceeded):
        gate.reserve("openai", CALL, WHO)
    define(limit={"calls": 2})
    gate.reserve("openai", CALL, WHO).settle(cost(1))
    gate.close()
    assert stands(remote) == (2, 0)


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
