"""`error_rate`: the share of calls that failed. A call that came good on a retry did not fail."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from pydantic import Field

from outlay_alerts.measurements import Measurement
from outlay_alerts.rules.base import WindowRule, ratio
from outlay_alerts.rules.keys import AtLeastOne, For, Share
from outlay_alerts.verdict import Severity, Verdict


class ErrorRate(WindowRule):
    kind = "error_rate"
    advice = "look at the failed calls (status=error) and at the provider's status page."
    quantity = "error rate"
    unit = "ratio"

    above: Share = Field(default=Decimal("0.05"), description="The highest share that is still well: 0.05 is 5%.")
    for_: For = timedelta(minutes=5)
    min_calls: AtLeastOne = 10
    severity: Severity = Severity.CRITICAL

    def weigh(self, measured: Measurement) -> Verdict:
        return self.over(measured, ratio(measured.errors, measured.calls), self.above)
