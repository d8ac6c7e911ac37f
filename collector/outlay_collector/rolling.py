"""Keeps the rollups up to date in the background: a few stale periods at a time, without keeping the writer waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import groupby, islice
from threading import Event
from typing import Final

from sqlalchemy import Engine

from outlay_collector.background import repeated
from outlay_collector.store.claiming import Period, claim_open, claim_stale
from outlay_collector.store.grains import DAY_NS, LENGTHS_NS
from outlay_collector.store.growing import FEWEST_NEW, grow
from outlay_collector.store.summing import FEWEST, Fewest, forget_details, sum_up

EVERY_S: Final = 10.0
LONG_EVERY_S: Final = 600.0
"""Days and weeks: one late call makes a whole day be read again, and until then its hours tell as much."""
AT_ONCE: Final = 8
"""So many periods are summed up in one transaction: most of what a small one takes is the commit."""
_SHORT_NS: Final = tuple(length for length in LENGTHS_NS if length < DAY_NS)


def sum_up_all(
    engine: Engine,
    now_ns: int,
    stopped: Callable[[], bool] = lambda: False,
    lengths_ns: Sequence[int] = LENGTHS_NS,
    fewest: Fewest = FEWEST,
) -> int:
    """Sum up every period that is over and stale. Returns how many there were."""
    claim = claim_stale(engine, now_ns, lengths_ns)
    done = 0
    for periods in _batches(claim.periods):
        if stopped():
            break
        done += sum_up(engine, periods, claim, now_ns, fewest=fewest)
    return done


def _batches(periods: Sequence[Period]) -> Iterator[Sequence[Period]]:
    """Some of one length at a time, in their order."""
    for _, alike in groupby(periods, lambda period: period[0]):
        while some := list(islice(alike, AT_ONCE)):
            yield some


def grow_all(engine: Engine, now_ns: int, stopped: Callable[[], bool] = lambda: False) -> int:
    """Sum up what quarters that are not over have so far. Returns how many hold more than before."""
    claim = claim_open(engine, now_ns, FEWEST_NEW)
    return sum(grow(engine, period, claim, now_ns) for period in claim.periods if not stopped())


def rolling(
    engine: Engine, clock: Callable[[], int], timer: Callable[[], float] = time.monotonic
) -> AbstractContextManager[None]:
    """Sums up every so often while the block runs."""
    long_at_s = -LONG_EVERY_S

    def work(stop: Event) -> None:
        nonlocal long_at_s
        grow_all(engine, clock(), stop.is_set)
        if timer() - long_at_s < LONG_EVERY_S:
            sum_up_all(engine, clock(), stop.is_set, _SHORT_NS)
            return
        long_at_s = timer()
        sum_up_all(engine, clock(), stop.is_set)
        forget_details(engine, clock())

    return repeated("rollups", EVERY_S, work)
