"""Durations as a histogram whose bins grow by a constant factor, so that percentiles of any window and grouping can be
put together from sums of counts, with a known error.

A bin spans 8 % and answers with its geometric middle: a percentile is off by at most 4 % of the duration that a sort of
all calls would have found. There are 256 bins, from 0.1 ms to 10 hours; what is shorter or longer counts as that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from outlay_collector.store.blocks import BINS, Durations

GROWTH: Final = 1.08
SHARES: Final = (0.50, 0.95, 0.99)
"""Of the calls of a group that its percentiles tell of."""
_FIRST: Final = -30
"""The first bin begins at 1.08 to this power, in milliseconds."""
_LOG: Final = math.log(GROWTH)
_AT_ONCE: Final = 4_096


def bin_of(ms: float) -> int:
    """The bin of a duration, 0 to 255."""
    if ms <= 0:
        return 0
    bin_ = math.floor(math.log(ms) / _LOG) - _FIRST
    return bin_ if 0 <= bin_ < BINS else 0 if bin_ < 0 else BINS - 1


def middle_ms(bin_: int) -> float:
    return math.exp(_LOG * (bin_ + _FIRST + 0.5))


_MIDDLES_MS: Final = [middle_ms(bin_) for bin_ in range(BINS)]


def percentiles_of_groups(parts: Sequence[Durations], number: int) -> list[tuple[float | None, ...]]:
    """For each group, 0 to `number`, the durations that `SHARES` of its calls did not exceed (nearest rank); None where
    it has no calls. A group's calls may be in any of the parts."""
    found: list[tuple[float | None, ...]] = []
    for first in range(0, number, _AT_ONCE):
        groups = min(_AT_ONCE, number - first)
        cells, weights = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for part in parts:
            groups_, bins, calls = part.groups, part.bins, part.calls
            if number > _AT_ONCE:
                here = np.flatnonzero((groups_ >= first) & (groups_ < first + groups))
                groups_, bins, calls = groups_[here], bins[here], calls[here]
            cells.append((groups_.astype(np.int64) - first) * BINS + bins)
            weights.append(calls)
        counts = np.bincount(np.concatenate(cells), np.concatenate(weights), groups * BINS)
        found += _percentiles_ms(np.cumsum(counts), groups)
    return found


def _percentiles_ms(up_to: NDArray[np.float64], groups: int) -> list[tuple[float | None, ...]]:
    """`up_to`: how many calls there are up to each bin of each group, which a float holds exactly."""
    after = up_to[BINS - 1 :: BINS]
    before = np.concatenate((np.zeros(1), after[:-1]))
    totals = after - before
    columns = []
    for share in SHARES:
        cells = np.searchsorted(up_to, before + np.ceil(share * totals), "left")
        bins = (cells - np.arange(groups) * BINS).tolist()
        columns.append([_MIDDLES_MS[b] if calls else None for b, calls in zip(bins, totals.tolist(), strict=True)])
    return list(zip(*columns, strict=True))
