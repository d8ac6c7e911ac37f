"""Keeps the rollups up to date in the background: one stale period a transaction, so that the writer gets its turn."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import Engine

from outlay_collector.background import repeated
from outlay_collector.store.engine import reading
from outlay_collector.store.summing import next_stale, sum_up

EVERY_S: Final = 15.0


def sum_up_all(engine: Engine, now_ns: int, stopped: Callable[[], bool] = lambda: False) -> int:
    """Sum up every period that is over and stale. Returns how many there were."""
    done = 0
    while not stopped():
        with reading(engine) as connection:
            period = next_stale(connection, now_ns)
        if period is None:
            break
        with engine.begin() as connection:
            sum_up(connection, *period)
        done += 1
    return done


def rolling(engine: Engine, clock: Callable[[], int]) -> AbstractContextManager[None]:
    """Sums up every so often while the block runs."""
    return repeated("rollups", EVERY_S, lambda stop: sum_up_all(engine, clock(), stop.is_set))
