"""From priced calls to committed ones.

One thread owns the writing: it takes all that waits for it, writes it in one transaction and, once that is committed,
tells each sender. The queue is bounded in reports; what does not fit is refused, to be sent again. Nothing is
acknowledged before it is committed.

A batch the database would not take is refused too, and tried again by the writer itself until something is stored: so
the writer finds out that the disk has room again, or the database is back, also where no sender asks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from outlay_collector.metrics import Metrics
from outlay_collector.store.faults import Fault, fault_of
from outlay_collector.store.writing import Written

log = logging.getLogger(__name__)

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

_GROUP_REPORTS: Final = 8_192
STALLED_S: Final = 15.0
_TRY_AGAIN_S: Final = 1.0


class Busy(Exception):
    """Nothing of this batch was taken; sending it again after `retry_after_s` may help."""

    retry_after_s = 1


class QueueFull(Busy):
    """More is waiting to be written than may wait."""


class NotStored(Busy):
    """The database could not take this batch."""


class DiskFull(NotStored):
    """There is no room for it; there will be once somebody makes some."""

    retry_after_s = 5


class Unstorable(Exception):
    """Something in this batch cannot be stored by any database; sending it again will not help."""


class Sink(Protocol[T_contra]):
    """Where reports go: all of them, or an exception and none."""

    def write(self, reports: Sequence[T_contra], received_at_ns: int) -> Written: ...


@dataclass(frozen=True, slots=True)
class Counters:
    """Under which names of `metrics` a writer counts what it does."""

    commit_seconds: str
    commits_failed: str
    stored: str
    repeated: str


OF_CALLS: Final = Counters(
    "outlay_commit_seconds",
    "outlay_commits_failed_total",
    "outlay_calls_stored_total",
    "outlay_reports_repeated_total",
)
OF_STEPS: Final = Counters(
    "outlay_steps_commit_seconds",
    "outlay_steps_commits_failed_total",
    "outlay_steps_stored_total",
    "outlay_steps_repeated_total",
)


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    reports: Sequence[T]
    committed: Future[None]


@dataclass(frozen=True, slots=True)
class _Refused(Generic[T]):
    reports: Sequence[T]
    error: NotStored


class Writer(Generic[T]):
    """The one thread that writes. `submit` from anywhere; the future it gives is done once the batch is committed."""

    def __init__(
        self,
        sink: Sink[T],
        clock: Callable[[], int],
        most_waiting: int,
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
        counters: Counters = OF_CALLS,
    ) -> None:
        self._sink = sink
        self._counters = counters
        self._clock = clock
        self._monotonic = monotonic
        self._metrics = metrics
        self._busy_since: float | None = None
        self._refused: _Refused[T] | None = None
        self._most_waiting = most_waiting
        self._queue: deque[_Waiting[T]] = deque()
        self._changed = threading.Condition()
        self._waiting = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="outlay-writer", daemon=True)

    @property
    def waiting(self) -> int:
        """How many reports are not yet committed."""
        return self._waiting

    @property
    def most_waiting(self) -> int:
        """How many may be."""
        return self._most_waiting

    @property
    def stalled(self) -> bool:
        """Whether one transaction has gone on for so long that something must be wrong."""
        since = self._busy_since
        return since is not None and self._monotonic() - since > STALLED_S

    @property
    def trouble(self) -> NotStored | None:
        """Why the last batch could not be stored; None where it was, or its own data was at fault."""
        refused = self._refused
        return None if refused is None else refused.error

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

    def submit(self, reports: Sequence[T]) -> Future[None]:
        """Raises `QueueFull`, and `DiskFull` at once where that is known. The future raises `NotStored` where the
        database would not take the batch, `Unstorable` where none would."""
        if isinstance(trouble := self.trouble, DiskFull):
            raise DiskFull(str(trouble))
        waiting = _Waiting(reports, Future())
        waiting.committed.set_running_or_notify_cancel()  # a sender that gives up waiting takes nothing back
        with self._changed:
            full = self._waiting and self._waiting + len(reports) > self._most_waiting
            if full or self._closing:
                raise QueueFull(f"{self._waiting} reports wait to be written; the queue holds {self._most_waiting}")
            self._queue.append(waiting)
            self._waiting += len(reports)
            self._changed.notify()
        return waiting.committed

    def _run(self) -> None:
        while (group := self._take()) is not None:
            try:
                if group:
                    self._write(group)
                elif self._refused is not None:
                    self._try_again(self._refused.reports)
            finally:
                with self._changed:
                    self._waiting -= sum(len(waiting.reports) for waiting in group)

    def _take(self) -> list[_Waiting[T]] | None:
        """All that waits, up to the size of one transaction; nothing where it is time to try a refused batch again;
        None once there is nothing more to come."""
        with self._changed:
            pause = None if self._refused is None else _TRY_AGAIN_S
            self._changed.wait_for(lambda: self._queue or self._closing, pause)
            group: list[_Waiting[T]] = []
            size = 0
            while self._queue and (not group or size + len(self._queue[0].reports) <= _GROUP_REPORTS):
                group.append(self._queue.popleft())
                size += len(group[-1].reports)
            return None if self._closing and not group else group

    def _write(self, group: Sequence[_Waiting[T]]) -> None:
        """One transaction for all. Where it fails one for each, so that a bad batch fails alone, unless each would."""
        reports = [report for waiting in group for report in waiting.reports]
        try:
            self._store(reports)
        except Exception as error:  # noqa: BLE001 - whatever it is, the senders hear of it and the thread goes on
            fault = fault_of(error)
            self._metrics.add(self._counters.commits_failed, fault=fault.name.lower())
            if len(group) > 1 and fault in (Fault.DATA, Fault.OTHER):
                for waiting in group:
                    self._write([waiting])
                return
            refusal = self._refusal(fault, error, group[0].reports)
            for waiting in group:
                waiting.committed.set_exception(refusal)
        else:
            for waiting in group:
                waiting.committed.set_result(None)

    def _refusal(self, fault: Fault, error: Exception, reports: Sequence[T]) -> Exception:
        """What the senders hear. Remembers these reports, to be tried again, unless they are at fault themselves."""
        log.warning("a batch could not be stored: %s", error)
        if fault is Fault.DATA:
            return Unstorable(f"the batch could not be stored: {type(error).__name__}")
        if fault is Fault.FULL:
            refusal: NotStored = DiskFull("the disk of the database is full; nothing is taken until there is room")
        else:
            refusal = NotStored(f"the batch could not be stored: {type(error).__name__}")
        self._refused = _Refused(reports, refusal)
        return refusal

    def _try_again(self, reports: Sequence[T]) -> None:
        """Their sender was told to send them again, and calls are stored once: so no harm is done by storing them."""
        try:
            self._store(reports)
        except Exception as error:  # noqa: BLE001 - as in `_write`
            if fault_of(error) in (Fault.DATA, Fault.OTHER):
                self._refused = None  # its own fault: the next sender tells how the database is
        else:
            log.warning("batches are stored again")

    def _store(self, reports: Sequence[T]) -> None:
        self._busy_since = began = self._monotonic()
        try:
            written = self._sink.write(reports, self._clock())
        finally:
            self._busy_since = None
        self._refused = None
        self._metrics.observe(self._counters.commit_seconds, self._monotonic() - began)
        self._metrics.add(self._counters.stored, written.new)
        self._metrics.add(self._counters.repeated, written.repeated)
