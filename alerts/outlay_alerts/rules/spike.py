"""What `traffic_spike` and `cost_spike` share: a window held against the time before it, in windows of its length."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Self

from pydantic import Field, model_validator

from outlay_alerts.duration import format_duration
from outlay_alerts.measurements import Measurement, Readers, Window
from outlay_alerts.rules.base import TrafficRule, suffix
from outlay_alerts.rules.keys import Length, Number
from outlay_alerts.verdict import Verdict


class SpikeRule(TrafficRule):
    """A group that was not there before the window has no normal to be held against, and is not judged."""

    unit = "times"

    above: Number = Field(description="The highest multiple of the normal that is still well: 3 is three times.")
    window: Length = timedelta(hours=1)
    baseline: Length = Field(
        default=timedelta(days=7), description="How long before the window the normal is taken from."
    )

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.baseline < self.window:
            raise ValueError("a baseline at least as long as the window")
        return self

    @abstractmethod
    def amount(self, measured: Measurement) -> int | None:
        """What is compared; None where it is not known."""

    def judge(self, readers: Readers, now: datetime) -> Sequence[Verdict]:
        start = now - self.window
        before = readers.measure(Window(start - self.baseline, start), self.group_by, self.match)
        normal = {measured.group: measured for measured in before}
        return [
            self._compare(measured, normal.get(measured.group))
            for measured in readers.measure(Window(start, now), self.group_by, self.match)
        ]

    def _compare(self, measured: Measurement, normal: Measurement | None) -> Verdict:
        if measured.calls < self.min_calls:
            return self.too_few(measured)
        amount, usual = self.amount(measured), self.amount(normal) if normal else None
        if normal is None or normal.calls < self.min_calls or not usual or amount is None:
            before = f"the {format_duration(self.baseline)} before"
            reason = f"{self.subject} unknown: {before} had too little to compare with{suffix(measured.group)}"
            return self.unknown(measured.group, reason, self.unit)
        windows = Decimal(str(self.baseline / self.window))
        return self.over(measured, amount * windows / usual, self.above)
