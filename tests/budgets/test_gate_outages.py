"""The gate of one process: what happens while the collector is away, and once it is back."""

from __future__ import annotations

from collections.abc import Callable

import outlay
import pytest
from outlay.budgets.client import LeasedGate
from outlay.budgets.estimate import Estimator
from outlay.prices import PriceBook
from sqlalchemy import Engine

from tests.budgets.gates import CALL, NANO, WHO, Direct, cost, stands


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


def test_a_process_told_to_wait_for_its_budgets_lets_nothing_pass_before(engine: Engine, remote: Direct) -> None:
    remote.away = True
    gate = LeasedGate(remote, Estimator(PriceBook.bundled()), required=True, in_background=False)
    with pytest.raises(outlay.BudgetExceeded, match="the budgets are not known: the collector at http://collector"):
        gate.reserve("openai", CALL, WHO)
    remote.away = False
    gate.tick()
    gate.reserve("openai", CALL, WHO).settle(cost(1))
