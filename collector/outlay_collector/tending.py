"""Keeps the tables of budgets small in the background, a bounded number of rows a transaction."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import Engine

from outlay_collector.background import repeated
from outlay_collector.store.budget_pruning import prune

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


def tending(engine: Engine, clock: Callable[[], int]) -> AbstractContextManager[None]:
    """Prunes every ten minutes while the block runs."""
    return repeated("pruning of budgets", EVERY_S, lambda stop: prune_all(engine, clock(), stop.is_set))
