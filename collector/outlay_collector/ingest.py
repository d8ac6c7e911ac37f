"""From a body of spans to committed calls.

Decoding and pricing are pure and run on a pool of threads. One writer thread owns the writing: it takes all that waits
for it, writes it in one transaction and, once that is committed, tells each sender. The queue is bounded in reports;
what does not fit is refused, to be sent again. Nothing is acknowledged before it is committed.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Final, Protocol

from outlay.model import Call, Cost, CostStatus
from outlay.prices import PriceBook
from sqlalchemy.exc import DataError, InterfaceError

from outlay_collector.billing import Report
from outlay_collector.dialects.registry import WANTED, read_span
from outlay_collector.metrics import Metrics
from outlay_collector.otlp.json import decode_json
from outlay_collector.otlp.protobuf import decode_protobuf
from outlay_collector.otlp.span import Decoded, Span
from outlay_collector.store.writing import Written

log = logging.getLogger(__name__)

_LATEST_NS: Final = 2**63 - 1
_REFUSALS: Final = frozenset(
    {
        *("AuthenticationError", "BadRequestError", "ConflictError", "InternalServerError", "NotFoundError"),
        *("OverloadedError", "PermissionDeniedError", "RateLimitError", "UnprocessableEntityError"),
        *("authentication_error", "invalid_request_error", "not_found_error", "overloaded_error", "permission_error"),
        *("rate_limit_error", "api_error"),
    }
)
"""Errors that are a provider's answer, by the names the SDKs of OpenAI and Anthropic and Anthropic's API give them."""
_DATA_FAULTS: Final = (DataError, InterfaceError, TypeError, ValueError, OverflowError)
_GROUP_REPORTS: Final = 8_192
_STALLED_S: Final = 60.0


class QueueFull(Exception):
    """More is waiting to be written than may wait; nothing of this batch was taken."""


class NotStored(Exception):
    """The database could not take this batch; sending it again may help."""


class Unstorable(Exception):
    """Something in this batch cannot be stored by any database; sending it again will not help."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The calls a body tells of, and how many of its spans could not be taken and why."""

    reports: Sequence[Report]
    rejected: int = 0
    reason: str = ""


class Sink(Protocol):
    """Where reports go: all of them, or an exception and none."""

    def write(self, reports: Sequence[Report], received_at_ns: int) -> Written: ...


def read_batch(body: bytes, *, is_json: bool, book: PriceBook) -> Batch:
    """The priced calls of an export request. Raises `otlp.span.BadBody` where it is none."""
    decoded = decode_json(body, WANTED) if is_json else decode_protobuf(body, WANTED)
    reports = [report for span in decoded.spans if _has_times(span, decoded) and (report := read_span(span))]
    return Batch([_priced(report, book) for report in reports], decoded.rejected, decoded.reason)


def _has_times(span: Span, decoded: Decoded) -> bool:
    if 0 < span.started_at_ns <= span.ended_at_ns <= _LATEST_NS:
        return True
    decoded.reject(f"span {span.name!r}: it must start after 1970 and end after it has started")
    return False


def _priced(report: Report, book: PriceBook) -> Report:
    """The report with a cost, where it came without one."""
    call = report.call
    if call.cost.nano_usd is not None:
        return report
    if call.usage is None and (refusal := _refusal(call)):
        return replace(report, call=replace(call, cost=Cost(nano_usd=0, status=CostStatus.EXACT, reason=refusal)))
    cost = book.cost(
        call.usage,
        provider=call.provider,
        model=call.model,
        at_ns=call.started_at_ns,
        terms=call.terms,
        provider_cost_usd=report.provider_cost_usd,
        reason_unread=call.reason_unread,
    )
    return replace(report, call=replace(call, cost=cost))


def _refusal(call: Call) -> str | None:
    """Why a failed call is known to have cost nothing: the provider answered with an error, which none bills.

    Not said of calls that got no answer: a provider may have worked, and billed, for a client that hung up.
    """
    if call.http_status is not None:
        return f"the provider answered {call.http_status}, which it does not bill" if call.http_status >= 400 else None
    if call.error_type in _REFUSALS or re.fullmatch("[45][0-9]{2}", call.error_type or ""):
        return f"the provider answered with {call.error_type}, which it does not bill"
    return None


@dataclass(frozen=True, slots=True)
class _Waiting:
    reports: Sequence[Report]
    committed: Future[None]


class Writer:
    """The one thread that writes. `submit` from anywhere; the future it gives is done once the batch is committed."""

    def __init__(self, sink: Sink, clock: Callable[[], int], most_waiting: int, metrics: Metrics) -> None:
        self._sink = sink
        self._clock = clock
        self._metrics = metrics
        self._busy_since: float | None = None
        self._most_waiting = most_waiting
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._waiting = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="outlay-writer", daemon=True)

    @property
    def waiting(self) -> int:
        """How many reports are not yet committed."""
        return self._waiting

    @property
    def stalled(self) -> bool:
        """Whether one transaction has gone on for so long that something must be wrong."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > _STALLED_S

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def submit(self, reports: Sequence[Report]) -> Future[None]:
        """Raises `QueueFull`. The future raises `NotStored` where the database would not take the batch."""
        waiting = _Waiting(reports, Future())
        with self._changed:
            full = self._waiting and self._waiting + len(reports) > self._most_waiting
            if full or self._closing:
                raise QueueFull(f"{self._waiting} reports wait to be written; the queue holds {self._most_waiting}")
            self._queue.append(waiting)
            self._waiting += len(reports)
            self._changed.notify()
        return waiting.committed

    def _run(self) -> None:
        while group := self._take():
            try:
                self._write(group)
            finally:
                with self._changed:
                    self._waiting -= sum(len(waiting.reports) for waiting in group)

    def _take(self) -> list[_Waiting]:
        """All that waits, up to the size of one transaction; empty once there is nothing more to come."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            group: list[_Waiting] = []
            size = 0
            while self._queue and (not group or size + len(self._queue[0].reports) <= _GROUP_REPORTS):
                group.append(self._queue.popleft())
                size += len(group[-1].reports)
            return group

    def _write(self, group: Sequence[_Waiting]) -> None:
        """One transaction for all; where it fails one for each, so that a bad batch fails alone."""
        self._busy_since = began = time.monotonic()
        try:
            written = self._sink.write([report for waiting in group for report in waiting.reports], self._clock())
        except Exception as error:  # noqa: BLE001 - whatever it is, the senders hear of it and the thread goes on
            if len(group) > 1:
                for waiting in group:
                    self._write([waiting])
                return
            log.warning("a batch could not be stored: %s", error)
            kind = Unstorable if isinstance(error, _DATA_FAULTS) else NotStored
            group[0].committed.set_exception(kind(f"the batch could not be stored: {type(error).__name__}"))
        else:
            self._count(written, time.monotonic() - began)
            for waiting in group:
                waiting.committed.set_result(None)
        finally:
            self._busy_since = None

    def _count(self, written: Written, seconds: float) -> None:
        self._metrics.add("outlay_commits_total")
        self._metrics.add("outlay_commit_seconds_total", seconds)
        self._metrics.add("outlay_calls_stored_total", written.new)
        self._metrics.add("outlay_reports_repeated_total", written.repeated)
