"""`latency`: how long calls take, from the first attempt to the last byte."""

from __future__ import annotations

from outlay_alerts.measurements import Measurement, Percentiles
from outlay_alerts.rules.percentile import PercentileRule
from outlay_alerts.verdict import Severity


class Latency(PercentileRule):
    kind = "latency"
    advice = "compare models and providers; look for long outputs and for retries."
    quantity = "latency"

    severity: Severity = Severity.CRITICAL

    def read(self, measured: Measurement) -> Percentiles:
        return measured.latency_ms
