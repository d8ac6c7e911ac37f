"""`no_data`: calls that should be there are not. An application that stopped, or reports that no longer arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import Field

from outlay_alerts.measurements import EVERYTHING, Group, Measurement, Readers, Window
from outlay_alerts.rules.base import TrafficRule, suffix
from outlay_alerts.rules.keys import Length
from outlay_alerts.verdict import Severity, Verdict, count


class NoData(TrafficRule):
    """Without `group_by` silence itself fires. With it, a group is missed once it has been seen."""

    kind = "no_data"
    advice = "check that the application runs and that its reports reach the collector."
    quantity = "calls"
    unit = "count"

    window: Length = timedelta(hours=1)
    seen_within: Length = Field(
        default=timedelta(days=7),
        description="With `group_by`: groups that had calls this long ago or later are expected.",
    )
    severity: Severity = Severity.CRITICAL

    def judge(self, readers: Readers, now: datetime) -> Sequence[Verdict]:
        present = {m.group: m for m in readers.measure(Window(now - self.window, now), self.group_by, self.match)}
        expected: set[Group] = {EVERYTHING}
        if self.group_by:
            seen = readers.measure(Window(now - self.seen_within, now), self.group_by, self.match)
            expected = {measured.group for measured in seen}
        missing = [Measurement(group=group, calls=0) for group in expected - present.keys()]
        return [self._weigh(measured) for measured in (*present.values(), *missing)]

    def _weigh(self, measured: Measurement) -> Verdict:
        verdict = self.under(measured, Decimal(measured.calls), Decimal(self.min_calls))
        seen = f"{count(measured.calls, 'call') if measured.calls else 'no calls'} {self.span}{suffix(measured.group)}"
        return replace(verdict, reason=f"{seen}, at least {self.min_calls} expected")
