"""`budget`: how much of each budget is spent. Soft thresholds warn, the hard one says that it is gone.

Each threshold of each budget scope is a group of its own, so 80% and 100% fire one after the other, each once a period,
and both are resolved shortly after the period starts anew. What holds calls back comes and goes with the amounts that
calls under way have reserved, so a few minutes of quiet are asked for before anything is called resolved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import Field

from outlay_alerts.duration import Duration
from outlay_alerts.measurements import BudgetState, Group, Readers
from outlay_alerts.rules.base import Rule, suffix
from outlay_alerts.rules.keys import Number
from outlay_alerts.verdict import Outcome, Severity, Verdict, format_figure

DEFAULT_SOFT = (Decimal("0.8"),)


class BudgetRule(Rule):
    kind = "budget"
    advice = "see who spends with `outlay spend --by feature,user`; raise the limit with `outlay budgets set`."

    budgets: tuple[str, ...] | None = Field(
        default=None, description="Names of `[[budget]]` entries. Left out: all of them."
    )
    soft: tuple[Number, ...] | None = Field(
        default=None,
        description="Shares of the limit that warn: `[0.5, 0.8]`. Left out: the budget's own `thresholds`, else 0.8.",
    )
    hard: Number | None = Field(
        default=Decimal(1), description="The share of the limit that fires with the rule's `severity`."
    )
    severity: Severity = Severity.CRITICAL
    keep_firing_for: Duration = timedelta(minutes=5)

    def judge(self, readers: Readers, now: datetime) -> Sequence[Verdict]:
        states = readers.budgets(now)
        return [v for s in states if self.budgets is None or s.name in self.budgets for v in self._weigh(s)]

    def absent(self, group: Group) -> Verdict:
        if not group:
            return self.unknown(group, "there is no budget to judge", "ratio")
        return Verdict(
            group=group,
            outcome=Outcome.OK,
            severity=self.severity,
            reason=f"nothing stands at it in the present period{suffix(group)}",
            unit="ratio",
        )

    def _weigh(self, state: BudgetState) -> Iterator[Verdict]:
        own = tuple(Decimal(str(share)) for share in state.thresholds)
        soft = self.soft if self.soft is not None else own or DEFAULT_SOFT
        for share in soft:
            if self.hard is None or share < self.hard:
                yield self._compared(state, share, Severity.WARNING)
        if self.hard is not None:
            yield self._compared(state, self.hard, self.severity)

    def _compared(self, state: BudgetState, share: Decimal, severity: Severity) -> Verdict:
        limit = state.limit.amount
        spent = (
            Decimal(state.spent) / limit if limit else Decimal(state.spent > 0)
        )  # of nothing, any spend is all of it
        held_back = state.refused and share <= 1
        held = "; calls are held back" if held_back else ""
        relation = "at or over" if spent >= share else "under"
        words = f"{format_figure(spent, 'ratio')}, {relation} {format_figure(share, 'ratio')}"
        return Verdict(
            group=(("budget", state.name), *state.scope, ("threshold", format_figure(share, "ratio"))),
            outcome=Outcome.BREACHED if spent >= share or held_back else Outcome.OK,
            severity=severity,
            reason=f"{_name(state)}: {_amounts(state)} spent ({words}){held}{_exhaustion(state)}{_reset(state)}",
            unit="ratio",
            value=spent,
            threshold=share,
        )


def _name(state: BudgetState) -> str:
    return f'budget "{state.name}"{suffix(state.scope)}'


def _amounts(state: BudgetState) -> str:
    return f"{state.limit.text(state.spent)} of {state.limit.text(state.limit.amount)}"


def _exhaustion(state: BudgetState) -> str:
    return f"; at this pace gone {state.exhausts_at:%Y-%m-%d %H:%M} UTC" if state.exhausts_at else ""


def _reset(state: BudgetState) -> str:
    return f"; resets {state.resets_at:%Y-%m-%d %H:%M} UTC" if state.resets_at else ""
