"""Keeps the tables of budgets small in the background, a bounded number of rows a transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Engine

from outlay_collector.store.budget_pruning import prune

log = logging.getLogger(__name__)

EVERY_S: Final = 600.0


def prune_all(engine: Engine, now_ns: int, stopped: Callable[[], bool] = lambda: False) -> int:
    """Delete all that can go. Returns how many rows that were."""
    done = 0
    while not stopped():
        with engine.begin() as connection:
            deleted = prune(connection, now_ns)
        if not deleted:
            break
        done += deleted
    return done


@contextmanager
def tending(engine: Engine, clock: Callable[[], int]) -> Iterator[None]:
    """Prunes every ten minutes while the block runs."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(EVERY_S):
            try:
                prune_all(engine, clock(), stop.is_set)
            except Exception:
                log.exception("old leases and settlements could not be deleted; that is tried again")

    thread = threading.Thread(target=run, name="outlay-budgets", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
