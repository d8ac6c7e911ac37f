"""Calls told of by clocks that are ahead. A call cannot end after it was reported: it is kept as ending right then, and
marked with how far ahead it came. In the future it would be missing wherever somebody looks at what is up to now.

A clock that is behind looks like a call that comes late, and such calls there are: their time is believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from outlay_collector.billing import Report

TOLERATED_NS: Final = 5 * 1_000_000_000
"""Clocks that are kept by NTP are nearer to each other than this."""
_NS_PER_MS: Final = 1_000_000


def in_the_past(reports: Sequence[Report], received_at_ns: int) -> Sequence[Report]:
    """The reports, none of a call that ends later than it was received, but for what clocks may differ."""
    latest = received_at_ns + TOLERATED_NS
    if all(report.call.ended_at_ns <= latest for report in reports):
        return reports
    return [_moved(report, received_at_ns) if report.call.ended_at_ns > latest else report for report in reports]


def _moved(report: Report, received_at_ns: int) -> Report:
    """A call that says to have begun in the past, and ends far ahead, keeps its length: only its clock is wrong."""
    call = report.call
    ahead_ns = call.ended_at_ns - received_at_ns
    started_at_ns = max(call.started_at_ns - ahead_ns, 1)
    moved = replace(call, started_at_ns=started_at_ns, ended_at_ns=received_at_ns)
    return replace(report, call=moved, clock_ahead_ms=ahead_ns // _NS_PER_MS)
