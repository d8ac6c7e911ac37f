"""Durations as a histogram whose bins grow by a constant factor, so that percentiles of any window and grouping can be
put together from sums of counts, with a known error.

A bin spans 8 % and answers with its geometric middle: a percentile is off by at most 4 % of the duration that a sort of
all calls would have found. There are 256 bins, from 0.1 ms to 10 hours; what is shorter or longer counts as that.

Counts are held as one whole number, 32 bits a bin, so that histograms are added by adding two numbers. Stored, they are
a blob: either the bins of the calls, a byte each after a zero, or the bytes a count takes, the first bin, and the
counts from there on, little-endian. The first is for few calls.
"""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

GROWTH: Final = 1.08
BINS: Final = 256
_FIRST: Final = -30
"""The first bin begins at 1.08 to this power, in milliseconds."""
_LOG: Final = math.log(GROWTH)
_LANE: Final = 32
_LANE_BYTES: Final = _LANE // 8
_MOST_LISTED: Final = 24
_ONE: Final = tuple(1 << bin_ * _LANE for bin_ in range(BINS))
_WIDTHS: Final = ((0xFF, 1), (0xFFFF, 2), (0xFFFFFFFF, 4))
_CODES: Final = {2: "H", 4: "I"}


def bin_of(ms: float) -> int:
    """The bin of a duration, 0 to 255."""
    if ms <= 0:
        return 0
    return min(max(math.floor(math.log(ms) / _LOG) - _FIRST, 0), BINS - 1)


def middle_ms(bin_: int) -> float:
    return math.exp(_LOG * (bin_ + _FIRST + 0.5))


def counted(bin_: int, calls: int = 1) -> int:
    """So many calls in one bin, as a number that histograms are added by. No bin may come to 2**32 calls."""
    return _ONE[bin_] * calls


def of_bins(bins: Iterable[int]) -> int:
    """The histogram of calls of which each has its bin here."""
    raw = bytearray(BINS * _LANE_BYTES)
    lanes = memoryview(raw).cast("I")
    for bin_ in bins:
        lanes[bin_] += 1
    if sys.byteorder == "big":
        lanes = memoryview(_little(array("I", lanes))).cast("I")
    return int.from_bytes(lanes, "little")


def pack(histogram: int | bytes) -> bytes | None:
    """The blob of a histogram, given as such or as the bin of each call; None for one without calls."""
    if not histogram:
        return None
    if isinstance(histogram, bytes):
        if len(histogram) <= _MOST_LISTED:
            return b"\0" + bytes(sorted(histogram))
        histogram = of_bins(histogram)
    first = ((histogram & -histogram).bit_length() - 1) // _LANE
    histogram >>= first * _LANE
    lanes = -(-histogram.bit_length() // _LANE)
    raw = histogram.to_bytes(lanes * _LANE_BYTES, "little")
    counts = _counts(raw)
    calls = sum(counts)
    if calls <= _MOST_LISTED:
        return bytes([0, *(first + n for n, count in enumerate(counts) if count for _ in range(count))])
    width = next(width for most, width in _WIDTHS if max(counts) <= most)
    packed = raw[::_LANE_BYTES] if width == 1 else _little(array(_CODES[width], counts))
    return bytes((width, first)) + packed


def unpack(blob: bytes | None) -> int:
    """The histogram that was packed."""
    if not blob:
        return 0
    if blob[0] == 0:
        return sum(map(_ONE.__getitem__, blob[1:]))
    width, first = blob[0], blob[1]
    raw = bytearray((len(blob) - 2) // width * _LANE_BYTES)
    for byte in range(width):
        raw[byte::_LANE_BYTES] = blob[2 + byte :: width]
    return int.from_bytes(raw, "little") << first * _LANE


def total(histogram: int) -> int:
    """How many calls are in it."""
    return sum(_counts(histogram.to_bytes(BINS * _LANE_BYTES, "little")))


def percentiles_ms(histogram: int, *shares: float) -> tuple[float | None, ...]:
    """The durations that those shares of the calls did not exceed (nearest rank); None where there are no calls."""
    if not histogram:
        return (None,) * len(shares)
    up_to = list(accumulate(_counts(histogram.to_bytes(BINS * _LANE_BYTES, "little"))))
    return tuple(middle_ms(bisect_left(up_to, math.ceil(share * up_to[-1]))) for share in shares)


def _counts(raw: bytes) -> array[int]:
    counts = array("I", raw)
    if sys.byteorder == "big":
        counts.byteswap()
    return counts


def _little(counts: array[int]) -> bytes:
    if sys.byteorder == "big":
        counts.byteswap()
    return counts.tobytes()
