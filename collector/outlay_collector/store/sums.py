"""The sums of one group of calls while they are added up: three whole numbers, so that adding two groups is three
additions whatever they hold.

The first has the measures, 64 bits each, and behind them how many calls knew each measure that may be unknown; the
others are histograms: as `store.bins` holds them or, for few calls, simply the bin of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from struct import error as DoesNotFit
from typing import Any, Final

from outlay_collector.store.bins import of_bins, pack, unpack
from outlay_collector.store.rollups import MEASURES

Sums = list[Any]
"""Measures, latency, time to first token. Histograms are bytes in all groups that are added up together, or in none."""
Groups = dict[tuple[Any, ...], Sums]

ALWAYS_KNOWN: Final = 6
"""So many of the measures, the first, are never NULL."""
_KNOWN: Final = len(MEASURES)
_LANES: Final = _KNOWN + (_KNOWN - ALWAYS_KNOWN)
_BYTES: Final = _LANES * 8
_UNSIGNED: Final = Struct(f"<{_LANES}Q")
_SIGNED: Final = Struct(f"<{_LANES}q")
_LANE: Final = 64
_MOST_BYTES: Final = 2_000


def measures(values: Sequence[int | None]) -> int:
    """`MEASURES` of some calls, None where unknown."""
    unsure = values[ALWAYS_KNOWN:]
    lanes = (*values[:ALWAYS_KNOWN], *[v or 0 for v in unsure], *[v is not None for v in unsure])
    try:
        return int.from_bytes(_UNSIGNED.pack(*lanes), "little")
    except DoesNotFit:  # less than nothing: someone's own prices, or a count that is wrong
        return sum(int(value or 0) << place * _LANE for place, value in enumerate(lanes))


def sums_of(values: Sequence[int | None], latency: bytes | None, ttft: bytes | None) -> Sums:
    """What a rollup's row holds."""
    return [measures(values), unpack(latency), unpack(ttft)]


def columns_of_sums(sums: Sums) -> tuple[Any, ...]:
    """The columns of a rollup's row: `MEASURES`, latency, time to first token."""
    lanes = _SIGNED.unpack(sums[0].to_bytes(_BYTES, "little", signed=True))
    if min(lanes) < 0:  # a lane below zero has borrowed from the next
        lanes = tuple(lane + (below < 0) for lane, below in zip(lanes, (0, *lanes), strict=False))
    named = [value if known else None for value, known in zip(lanes[ALWAYS_KNOWN:_KNOWN], lanes[_KNOWN:], strict=True)]
    return (*lanes[:ALWAYS_KNOWN], *named, pack(sums[1]), pack(sums[2]))


def collect(groups: Groups, key: tuple[Any, ...], figures: int, latency_bin: int, ttft_bin: int | None) -> None:
    """Add one call to groups that hold the bins of their calls as lists, until they are `finished`."""
    known = groups.get(key)
    if known is None:
        groups[key] = [figures, [latency_bin], [] if ttft_bin is None else [ttft_bin]]
        return
    known[0] += figures
    known[1].append(latency_bin)
    if ttft_bin is not None:
        known[2].append(ttft_bin)


def finished(groups: Groups) -> Groups:
    """The same with histograms, as suits the number of calls: bytes cost less than numbers only while they are few."""
    few = sum(len(sums[1]) for sums in groups.values()) <= _MOST_BYTES
    made = bytes if few else of_bins
    for sums in groups.values():
        sums[1:] = made(sums[1]), made(sums[2])
    return groups


def add(groups: Groups, key: tuple[Any, ...], sums: Sums) -> None:
    known = groups.get(key)
    if known is None:
        groups[key] = sums.copy()
    else:
        known[0] += sums[0]
        known[1] += sums[1]
        known[2] += sums[2]


def regrouped(groups: Groups, at: Sequence[int]) -> Groups:
    """The same calls by fewer dimensions: those at these places of the key."""
    found: Groups = {}
    get = found.get
    first, second = (*at, 0, 0)[:2]
    for key, sums in groups.items():
        fewer = (key[first], key[second]) if len(at) == 2 else (key[first],) if at else ()
        known = get(fewer)
        if known is None:
            found[fewer] = sums.copy()
        else:  # as `add` does; this is done for every call and grouping
            known[0] += sums[0]
            known[1] += sums[1]
            known[2] += sums[2]
    return found
