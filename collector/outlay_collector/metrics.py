"""The collector's figures about itself, in Prometheus' text format. What they count is decided where it happens."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Labels = tuple[tuple[str, str], ...]

COMMIT_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0)


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: what it is and what it says."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    bounds: tuple[float, ...] = ()
    labelled: bool = False
    """Whether its samples have labels; one that has none is written from the start, as 0."""


FAMILIES: Final[Mapping[str, Family]] = {
    "outlay_build_info": Family("gauge", "1; its label is the version.", labelled=True),
    "outlay_ready": Family("gauge", "1 while /readyz is green, else 0 with the reason.", labelled=True),
    "outlay_requests_total": Family(
        "counter", "Export requests by transport, signal and answer: accepted, or why refused.", labelled=True
    ),
    "outlay_received_bytes_total": Family(
        "counter", "Bytes of export requests as they came, by transport.", labelled=True
    ),
    "outlay_spans_received_total": Family("counter", "Spans and log records that reported a call."),
    "outlay_spans_rejected_total": Family("counter", "Spans that could not be taken, of requests that were."),
    "outlay_unpriced_reports_total": Family("counter", "Reports whose call has no price."),
    "outlay_calls_stored_total": Family("counter", "Calls that were new when they were stored."),
    "outlay_reports_repeated_total": Family("counter", "Reports that were stored already."),
    "outlay_commit_seconds": Family("histogram", "How long transactions of the writer took.", COMMIT_BOUNDS_S),
    "outlay_commits_failed_total": Family(
        "counter", "Transactions of the writer that failed: data, full, away or other.", labelled=True
    ),
    "outlay_reports_waiting": Family("gauge", "Reports waiting for their commit."),
    "outlay_reports_waiting_limit": Family("gauge", "How many may wait."),
    "outlay_steps_stored_total": Family("counter", "Spans that are no call and were kept for the tree of their trace."),
    "outlay_steps_repeated_total": Family("counter", "Such spans that were kept already."),
    "outlay_steps_commit_seconds": Family("histogram", "How long transactions of such spans took.", COMMIT_BOUNDS_S),
    "outlay_steps_commits_failed_total": Family(
        "counter", "Transactions of such spans that failed, likewise.", labelled=True
    ),
    "outlay_steps_waiting": Family("gauge", "Such spans waiting for their commit; as many may as reports."),
    "outlay_spend_usd": Family(
        "gauge",
        "Spend of the UTC day and month so far, by provider, model and feature; the smallest are summed under other.",
        labelled=True,
    ),
    "outlay_calls": Family("gauge", "Calls of the UTC day and month so far, likewise.", labelled=True),
    "outlay_unpriced_calls": Family(
        "gauge", "Those of them without a price, which outlay_spend_usd leaves out.", labelled=True
    ),
    "outlay_client_dropped_calls_total": Family(
        "counter", "Calls that applications made and could not deliver, by reason.", labelled=True
    ),
    "outlay_rollup_lag_seconds": Family("gauge", "How long ago the oldest period ended that is not summed up yet."),
    "outlay_database_bytes": Family("gauge", "The size of the database."),
    "outlay_ledger_measured_timestamp_seconds": Family(
        "gauge", "When spend, calls, lag and size were last measured; 0: never."
    ),
}
"""Every metric there is, in the order it is written."""


class Metrics:
    """Counters and histograms that are added to, and gauges that are set or read when they are asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: defaultdict[str, defaultdict[Labels, float]] = defaultdict(lambda: defaultdict(float))
        self._bins: dict[str, list[int]] = {
            name: [0] * (len(family.bounds) + 1) for name, family in FAMILIES.items() if family.kind == "histogram"
        }
        self._watched: dict[str, Callable[[], float]] = {}

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        with self._lock:
            self._counts[name][_key(labels)] += amount

    def observe(self, name: str, value: float) -> None:
        with self._lock:
            self._bins[name][bisect_left(FAMILIES[name].bounds, value)] += 1
            self._counts[name][()] += value

    def put(self, name: str, samples: Mapping[Labels, float]) -> None:
        """Set a gauge anew: what it had of other labels is gone."""
        with self._lock:
            self._counts[name] = defaultdict(float, samples)

    def watch(self, name: str, read: Callable[[], float]) -> None:
        self._watched[name] = read

    def text(self) -> str:
        lines: list[str] = []
        read = {name: read() for name, read in self._watched.items()}
        with self._lock:
            for name, family in FAMILIES.items():
                lines += [f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}"]
                if family.kind == "histogram":
                    lines += self._histogram(name, family.bounds)
                    continue
                samples = dict(self._counts[name]) or ({} if family.labelled else {(): 0.0})
                if name in read:
                    samples = {(): read[name]}
                lines += [f"{name}{_braced(labels)} {_number(value)}" for labels, value in sorted(samples.items())]
        return "\n".join(lines) + "\n"

    def _histogram(self, name: str, bounds: tuple[float, ...]) -> list[str]:
        lines, below = [], 0
        for bound, calls in zip((*map(_number, bounds), "+Inf"), self._bins[name], strict=True):
            below += calls
            lines.append(f'{name}_bucket{{le="{bound}"}} {below}')
        return [*lines, f"{name}_sum {_number(self._counts[name][()])}", f"{name}_count {below}"]


def _key(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def _number(value: float) -> str:
    """To the last digit: spend is summed up from it."""
    return str(int(value)) if value == int(value) else repr(float(value))


def _braced(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
