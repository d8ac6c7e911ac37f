"""Keeps the rollups up to date in the background: one stale period a transaction, so that the writer gets its turn."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Engine

from outlay_collector.store.engine import reading
from outlay_collector.store.summing import next_stale, sum_up

log = logging.getLogger(__name__)

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


@contextmanager
def rolling(engine: Engine, clock: Callable[[], int]) -> Iterator[None]:
    """Sums up every so often while the block runs."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(EVERY_S):
            try:
                sum_up_all(engine, clock(), stop.is_set)
            except Exception:
                log.exception("rollups could not be brought up to date; they are tried again")

    thread = threading.Thread(target=run, name="outlay-rollups", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
