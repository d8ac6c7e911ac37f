"""The collector's figures about itself, in Prometheus' text format."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Final

Labels = tuple[tuple[str, str], ...]

_HELP: Final = {
    "outlay_spans_received_total": ("counter", "Spans that reported a call."),
    "outlay_spans_rejected_total": ("counter", "Spans that could not be taken."),
    "outlay_requests_refused_total": ("counter", "Export requests refused, by HTTP status."),
    "outlay_calls_stored_total": ("counter", "Calls that were new when they were stored."),
    "outlay_reports_repeated_total": ("counter", "Reports that were stored already."),
    "outlay_unpriced_reports_total": ("counter", "Reports whose call has no price."),
    "outlay_commits_total": ("counter", "Transactions of the writer."),
    "outlay_commit_seconds_total": ("counter", "Time spent in them."),
    "outlay_reports_waiting": ("gauge", "Reports waiting for their commit."),
}


class Metrics:
    """Counters, and gauges that are read when they are asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: defaultdict[tuple[str, Labels], float] = defaultdict(float)
        self._gauges: dict[str, Callable[[], float]] = {}

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        with self._lock:
            self._counts[name, tuple(sorted(labels.items()))] += amount

    def watch(self, name: str, read: Callable[[], float]) -> None:
        self._gauges[name] = read

    def text(self) -> str:
        with self._lock:
            samples = dict(self._counts)
        samples.update({(name, ()): read() for name, read in self._gauges.items()})
        lines = []
        for name, (kind, help_) in _HELP.items():
            lines += [f"# HELP {name} {help_}", f"# TYPE {name} {kind}"]
            mine = sorted((labels, value) for (of, labels), value in samples.items() if of == name)
            lines += [f"{name}{_braced(labels)} {value:g}" for labels, value in mine or [((), 0.0)]]
        return "\n".join(lines) + "\n"


def _braced(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""
