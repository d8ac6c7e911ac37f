"""A gate with a collector right behind it, and a call to let through."""

from __future__ import annotations

from outlay.budgets.lease import LeaseAnswer, LeaseRequest, SettleAnswer, SettleRequest
from outlay.budgets.remote import Remote, Unreachable
from outlay.model import Attribution, Cost, CostStatus
from outlay.providers.base import Request
from outlay_collector.budget_states import budget_states
from outlay_collector.budgets import lend, settle
from sqlalchemy import Engine

NANO = 10**9
NOON = 1_795_608_000 * NANO  # 2026-11-25T12:00:00Z
CALL = Request(operation="chat", model="gpt-4o", max_output_tokens=1_000)
WORST = 32 * 4_250 + 1_000 * 17_000
"""Of that call, in nano-USD: 32 tokens around a prompt in which nothing is said yet, gpt-4o at its priority tier."""
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


def cost(nano_usd: int) -> Cost:
    return Cost(nano_usd=nano_usd, status=CostStatus.EXACT)


def stands(remote: Direct) -> tuple[int, int]:
    (state,) = budget_states(remote.engine, remote.now_ns)
    return state.spent, state.leased
