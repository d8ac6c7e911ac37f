"""`headroom`: how much room a provider's rate limit leaves, as its own headers last said it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import Field

from outlay_alerts.measurements import Group, LimitState, Readers
from outlay_alerts.rules.base import Rule, ratio, suffix
from outlay_alerts.rules.keys import Share
from outlay_alerts.verdict import Outcome, Verdict, count, format_figure


class Headroom(Rule):
    kind = "headroom"
    advice = "spread the load or raise the provider's limit, before it answers 429."

    below: Share = Field(default=Decimal("0.1"), description="The lowest share left that is still well: 0.1 is 10%.")
    providers: tuple[str, ...] | None = Field(default=None, description="Names of providers. Left out: all of them.")

    def judge(self, readers: Readers, now: datetime) -> Sequence[Verdict]:
        states = readers.limits(now)
        return [self._weigh(s) for s in states if self.providers is None or s.provider in self.providers]

    def absent(self, group: Group) -> Verdict:
        if not group:
            return self.unknown(group, "no call has seen a rate limit that holds now", "ratio")
        reason = f"the limit was reset, and no call has seen it since{suffix(group)}"
        return Verdict(group=group, outcome=Outcome.OK, severity=self.severity, reason=reason, unit="ratio")

    def _weigh(self, state: LimitState) -> Verdict:
        left = ratio(state.remaining, state.limit)
        breached = left < self.below
        named = (("provider", state.provider), ("model", state.model), ("service", state.service))
        group: Group = (*named, ("limit", state.name))
        figures = f"{format_figure(left, 'ratio')} {'under' if breached else 'not under'}"
        return Verdict(
            group=group,
            outcome=Outcome.BREACHED if breached else Outcome.OK,
            severity=self.severity,
            reason=f"headroom {figures} {format_figure(self.below, 'ratio')}{suffix(group)} "
            f"({state.remaining:,} of {count(state.limit, state.name.removesuffix('s'))})",
            unit="ratio",
            value=left,
            threshold=self.below,
        )
