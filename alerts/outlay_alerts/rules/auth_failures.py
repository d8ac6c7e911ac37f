"""`auth_failures`: calls a provider refused with 401 or 403. One is enough: a key has been revoked or has leaked."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from pydantic import Field

from outlay_alerts.measurements import Measurement
from outlay_alerts.rules.base import WindowRule
from outlay_alerts.rules.keys import Length, Number
from outlay_alerts.verdict import Severity, Verdict


class AuthFailures(WindowRule):
    kind = "auth_failures"
    advice = "check the provider's key: it may be revoked, expired, or lack the model."
    quantity = "authentication failures"
    unit = "count"

    above: Number = Field(default=Decimal(0), description="The most refused calls in the window that are still well.")
    window: Length = timedelta(minutes=15)
    severity: Severity = Severity.CRITICAL

    def weigh(self, measured: Measurement) -> Verdict:
        return self.over(measured, Decimal(measured.auth_failures), self.above)
