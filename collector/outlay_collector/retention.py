"""How long data is kept: what `[retention]` comes to at a given time, and the job that removes what is older.

The ledger survives: the sums of calls that are removed stay as they were, for good unless somebody says how long.
Nothing is removed that a budget still counts, however short a time it is to be kept.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from threading import Event
from typing import Final

from sqlalchemy import Connection, Engine

from outlay_collector.background import repeated
from outlay_collector.periods import from_ns, to_ns
from outlay_collector.settings import Retention
from outlay_collector.store.definitions import definitions
from outlay_collector.store.engine import reading
from outlay_collector.store.pruning import (
    count_calls,
    count_contents,
    count_rollups,
    count_spans,
    prune_calls,
    prune_contents,
    prune_rollups,
    prune_spans,
)

log = logging.getLogger(__name__)

EVERY_S: Final = 3_600.0
_LONGEST_PAUSE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Horizons:
    """What lies before these times, in nanoseconds since the epoch, is to be removed."""

    contents_ns: int
    spans_ns: int
    calls_ns: int
    rollups_ns: int | None
    """None: they stay for good."""


def horizons(connection: Connection, retention: Retention, now_ns: int) -> Horizons:
    """Never within the present window of a budget: its spend is counted from calls, and from settlements that reports
    tell the calls of."""
    counted = [to_ns(each.budget.window(from_ns(now_ns)).start) for each in definitions(connection, now_ns)]
    spans_ns = min([now_ns - _ns(retention.spans), *counted])
    calls_ns = min([now_ns - _ns(retention.calls), *counted])
    rollups_ns = None if retention.rollups is None else min(now_ns - _ns(retention.rollups), calls_ns)
    return Horizons(now_ns - _ns(retention.content), max(spans_ns, calls_ns), calls_ns, rollups_ns)


def _ns(length: timedelta) -> int:
    return length // timedelta(microseconds=1) * 1_000


def would_prune(engine: Engine, retention: Retention, now_ns: int) -> dict[str, int]:
    """How many rows of each table are older than they are kept."""
    with reading(engine) as connection:
        before = horizons(connection, retention, now_ns)
        return {
            **count_contents(connection, before.contents_ns),
            **count_spans(connection, before.spans_ns),
            **count_calls(connection, before.calls_ns),
            **(count_rollups(connection, before.rollups_ns) if before.rollups_ns is not None else {}),
        }


def prune(
    engine: Engine, retention: Retention, now_ns: int, pause: Callable[[float], bool] = lambda _seconds: False
) -> dict[str, int]:
    """Remove them; how many rows of each table. After each batch `pause` is given the seconds it took, and ends the
    work by answering True; what is left is removed the next time."""
    with reading(engine) as connection:
        before = horizons(connection, retention, now_ns)
    removed: Counter[str] = Counter()
    began = time.monotonic()
    work = (
        prune_contents(engine, before.contents_ns),
        prune_spans(engine, before.spans_ns),
        prune_calls(engine, before.calls_ns),
        prune_rollups(engine, before.rollups_ns) if before.rollups_ns is not None else (),
    )
    for table, rows in chain(*work):
        removed[table] += rows
        if pause(min(time.monotonic() - began, _LONGEST_PAUSE_S)):
            break
        began = time.monotonic()
    return dict(removed)


def pruning(engine: Engine, retention: Retention, clock: Callable[[], int]) -> AbstractContextManager[None]:
    """Prunes every hour while the block runs, resting as long as it works."""

    def work(stop: Event) -> None:
        if removed := prune(engine, retention, clock(), stop.wait):
            log.info("removed what is older than it is kept: %s", removed)

    return repeated("retention", EVERY_S, work)
