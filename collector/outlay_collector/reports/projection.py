"""What a month will have cost when it is over, with the range it will likely fall in. Pure.

The method: what is spent so far, plus the mean of the last days times the days that are left. The range holds about
four in five outcomes if days go on varying as they did: 1.28 standard errors of a sum of the days left, whose mean is
itself only known from the days seen. Spend cannot shrink, so the range never begins below what is spent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

DAYS_SEEN = 7
_FOUR_IN_FIVE = 1.28


@dataclass(frozen=True, slots=True)
class Projection:
    """Nano-USD for the whole month."""

    expected: int
    low: int
    high: int


def project(spent: int, last_days: Sequence[int], days_left: float) -> Projection | None:
    """`spent` in the month so far, `last_days` the spend of each of the last whole days, `days_left` in the month.

    None with fewer than two whole days: one day says nothing of the next.
    """
    if len(last_days) < 2:
        return None
    mean = fmean(last_days)
    error = math.sqrt(variance(last_days) * (days_left + days_left**2 / len(last_days)))
    expected = spent + mean * days_left
    return Projection(
        expected=round(expected),
        low=max(spent, round(expected - _FOUR_IN_FIVE * error)),
        high=round(expected + _FOUR_IN_FIVE * error),
    )
