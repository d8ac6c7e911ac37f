"""What the ledger says of itself on /metrics: spend, calls, and the state of the database.

Gauges of the day and the month so far, read from the ledger: unlike counters of this process they follow late reports,
merges and repricings, and survive a restart. Several collectors on one database give the same figures: take one of
them. Measured when somebody asks, and not again within `FRESH_S`; who asks meanwhile gets what was measured last.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from outlay_collector.metrics import Labels, Metrics
from outlay_collector.periods import start_of
from outlay_collector.store.base import CallStore
from outlay_collector.store.condition import rollup_lag_s, size_bytes
from outlay_collector.store.engine import reading
from outlay_collector.store.losses import lost_calls
from outlay_collector.store.query import UsageQuery, UsageRow

log = logging.getLogger(__name__)

FRESH_S: Final = 30.0
MOST_GROUPS: Final = 100
OTHER: Final = "other"
_BY: Final = ("provider", "model", "feature")
_PERIODS: Final = ("day", "month")
_MEASURES: Final = ("calls", "unpriced_calls", "cost_nano_usd")
_UTC: Final = ZoneInfo("UTC")
_NANO: Final = 1_000_000_000


class LedgerMetrics:
    """Puts the ledger's gauges among the others."""

    def __init__(
        self,
        metrics: Metrics,
        store: CallStore,
        engine: Engine,
        clock: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._store = store
        self._engine = engine
        self._clock = clock
        self._monotonic = monotonic
        self._measuring = threading.Lock()
        self._measured_at = -FRESH_S

    def measure(self) -> None:
        """Bring them up to date where they are not. A database that does not answer leaves them as they were, and
        their time says so."""
        if not self._measuring.acquire(blocking=False):
            return
        try:
            if self._monotonic() - self._measured_at >= FRESH_S:
                self._measure(self._clock())
                self._measured_at = self._monotonic()
        except SQLAlchemyError as error:
            log.warning("the ledger could not be measured: %s", type(error).__name__)
        finally:
            self._measuring.release()

    def _measure(self, now_ns: int) -> None:
        spend: dict[Labels, float] = {}
        calls: dict[Labels, float] = {}
        unpriced: dict[Labels, float] = {}
        for period in _PERIODS:
            begin = start_of(period, now_ns, _UTC)
            query = UsageQuery(from_ns=begin, to_ns=now_ns + 1, group_by=_BY, measures=_MEASURES)
            for group, rows in capped(self._store.usage(query)).items():
                labels = (*zip(_BY, group, strict=True), ("period", period))
                key = tuple(sorted(labels))
                calls[key] = sum(row.calls for row in rows)
                unpriced[key] = sum(row.unpriced_calls for row in rows)
                if known := [row.cost_nano_usd for row in rows if row.cost_nano_usd is not None]:
                    spend[key] = sum(known) / _NANO
        with reading(self._engine) as connection:
            lag_s, size = rollup_lag_s(connection, now_ns), size_bytes(connection)
            lost = lost_calls(connection)
        for name, samples in (("spend_usd", spend), ("calls", calls), ("unpriced_calls", unpriced)):
            self._metrics.put(f"outlay_{name}", samples)
        self._metrics.put(
            "outlay_client_dropped_calls_total", {(("reason", reason),): calls for reason, calls in lost.items()}
        )
        self._metrics.put("outlay_rollup_lag_seconds", {(): lag_s})
        self._metrics.put("outlay_database_bytes", {(): size})
        self._metrics.put("outlay_ledger_measured_timestamp_seconds", {(): now_ns / _NANO})


def capped(rows: Iterable[UsageRow]) -> dict[tuple[str, ...], list[UsageRow]]:
    """The rows by group, those that cost the most by themselves and the rest of them together, each under `OTHER`: a
    feature can be anything, and Prometheus keeps every name it ever saw."""
    ranked = sorted(rows, key=lambda row: (row.cost_nano_usd or 0, row.calls), reverse=True)
    groups: defaultdict[tuple[str, ...], list[UsageRow]] = defaultdict(list)
    for place, row in enumerate(ranked):
        group = tuple(value or "" for value in row.group)
        groups[group if place < MOST_GROUPS else (OTHER,) * len(_BY)].append(row)
    return groups
