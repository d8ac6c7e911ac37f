"""What the collector asks of its database: the contract every backend keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from outlay.model import Content

from outlay_collector.billing import Report
from outlay_collector.store.query import CallsQuery, StoredCall, StoredReport, UsageQuery, UsageRow
from outlay_collector.store.writing import Written


class CallStore(Protocol):
    """Writes calls and answers questions about them. Every method may be called from any thread."""

    def write(self, reports: Sequence[Report], received_at_ns: int) -> Written:
        """Store all the reports, each call once, or none of them. Committed when it returns; safe to repeat."""

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Sums by bucket and group, in rising order; a bucket or group without calls has no row."""

    def calls(self, query: CallsQuery) -> list[StoredCall]:
        """The latest calls first; calls of one instant, the last to arrive first."""

    def call(self, call_id: int) -> tuple[StoredCall, list[StoredReport]] | None:
        """One call and its reports, the best source first."""

    def content(self, call_id: int) -> Content | None:
        """What was said in a call; None where nothing is known, or not any more."""

    def trace(self, trace_id: str) -> list[StoredCall]:
        """The calls of a trace in the order they started."""

    def first_call_at_ns(self) -> int | None:
        """When the earliest call started; None where there is none."""

    def ping(self) -> None:
        """Raises what the database raises where it does not answer."""
