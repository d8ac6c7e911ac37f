"""What `latency` and `ttft` share: a percentile of a time, held against the longest that is still well."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from pydantic import Field

from outlay_alerts.measurements import Measurement, Percentiles
from outlay_alerts.rules.base import WindowRule, suffix
from outlay_alerts.rules.keys import AtLeastOne, For, Length
from outlay_alerts.verdict import Verdict


class PercentileRule(WindowRule):
    unit = "ms"

    above: Length = Field(default=timedelta(seconds=10), description='The longest that is still well: "10s", "800ms".')
    percentile: Literal[50, 95, 99] = Field(default=95, description="Which percentile: 50, 95 or 99.")
    for_: For = timedelta(minutes=5)
    min_calls: AtLeastOne = 10

    @abstractmethod
    def read(self, measured: Measurement) -> Percentiles:
        """The times this kind is about."""

    @property
    def subject(self) -> str:
        return f"p{self.percentile} {self.quantity}"

    def weigh(self, measured: Measurement) -> Verdict:
        times = self.read(measured)
        value_ms = {50: times.p50, 95: times.p95, 99: times.p99}[self.percentile]
        if value_ms is None:
            reason = f"{self.subject} unknown: none was reported {self.span}{suffix(measured.group)}"
            return self.unknown(measured.group, reason, self.unit)
        threshold_ms = self.above / timedelta(milliseconds=1)
        return self.over(measured, Decimal(str(value_ms)), Decimal(str(threshold_ms)))
