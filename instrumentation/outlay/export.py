"""Finished calls on their way to the collector: a bounded queue, a spool on disk, two threads, and patience.

Leaving something for it takes no lock, no disk and no network, so it is safe wherever the garbage collector may strike.
One thread encodes what waits and writes it down (`spool`), the other sends it (`sending`), the same bytes again, until
the collector has taken them: the collector counts a call once however often it comes. Every call that will not arrive
is counted with its reason (`tally`), and the collector is told.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from outlay.emit import AttributeValue
from outlay.ending import Ending
from outlay.estate import has_estates
from outlay.guard import shielded
from outlay.model import Call
from outlay.otlp import encode
from outlay.post import Later, Post
from outlay.records import record
from outlay.sending import Backlog, Batch
from outlay.settings import Settings
from outlay.spans import SpanIds
from outlay.spool import open_spool
from outlay.tally import NO_TICKET, Loss, Tally
from outlay.worker import Worker

_LOG: Final = logging.getLogger("outlay.export")
_KEEP_WITHIN_S: Final = 0.2
"""How long a finished call may be in memory alone."""
_LAST_WORDS_S: Final = 0.5


@record(frozen=True, slots=True)
class Finished:
    """A call that has ended, the identity of its span, its ticket at the tally, and its attributes where a tracer was
    told of them already."""

    call: Call
    ids: SpanIds
    ticket: int = NO_TICKET
    told: Mapping[str, AttributeValue] | None = None


class Delivery:
    """The queue, the spool and the threads that empty them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._post = Post(settings)
        self._is_closed = False
        self._start_empty()
        self._ending = Ending(self.close, settings.exit_flush_s)
        _deliveries.add(self)
        if self._spool is not None and shielded(has_estates)(settings):
            self.start()

    def _start_empty(self) -> None:
        settings = self._settings
        self.tally = Tally(settings.service, settings.environment, settings.queue_calls)
        self._spool = open_spool(settings, self.tally)
        self._backlog = Backlog(settings, self._post, self.tally, self._spool)
        self._waiting: deque[Finished] = deque()
        self._undone: deque[Callable[[], object]] = deque()
        self._keeping = threading.Lock()
        self._sending = threading.Lock()
        self._starting = threading.Lock()
        self.is_started = False
        self._is_awake = False
        keep_s = min(_KEEP_WITHIN_S, settings.export_interval_s) if self._spool else 0.0
        gather_s = settings.export_interval_s - keep_s
        self._sender = Worker("outlay-export", partial(self._send_round, left_first=True), self._send_round, gather_s)
        self._keeper = (
            None if self._spool is None else Worker("outlay-spool", self._open_round, self._keep_round, keep_s)
        )

    @property
    def dropped(self) -> int:
        """Calls of this process that were lost so far; `tally` says why."""
        return self.tally.lost

    @property
    def is_empty(self) -> bool:
        """Whether no call waits, nor is being written down."""
        return not (self._undone or self._waiting or self._backlog.batches or self._keeping.locked())

    def start(self) -> None:
        """Start the threads, unless they have been. Before the first call, not when one ends: that may be in a
        destructor, where no thread can be started."""
        if self.is_started or self._is_closed:
            return
        with self._starting:
            if not self.is_started:
                self.is_started = True  # a destructor may come here meanwhile, and must not wait for this lock
                self._ending.watch_child()
                self.is_started = self._sender.start() and (self._keeper is None or self._keeper.start())

    def put(self, finished: Finished) -> None:
        if self._is_closed or len(self._waiting) >= self._settings.queue_calls:
            self.tally.lose(Loss.UNFINISHED if self._is_closed else Loss.QUEUE_FULL, finished.ticket)
            return
        self._waiting.append(finished)
        self.start()
        self._wake()

    def do_later(self, task: Callable[[], object]) -> int:
        """Have a thread do something that will put a call in, before it sends. Gives how much there is to do."""
        self._undone.append(task)
        self._wake()
        return len(self._undone)

    def catch_up(self) -> None:
        """Do now what was left for later."""
        while True:
            try:
                task = self._undone.popleft()
            except IndexError:
                return
            task()

    def conclude(self, timeout_s: float) -> None:
        """`catch_up`, behind what a thread has begun to do: what was left first is done first, and all of it is."""
        with _held(self._keeping, timeout_s):
            self.catch_up()

    def _wake(self) -> None:
        """See to it that a thread looks at what there is to do, within the export interval."""
        if not self._is_awake:
            self._is_awake = True
            (self._keeper or self._sender).ring()

    def flush(self, timeout_s: float) -> bool:
        """Send all that waits, now and in this thread. False where some of it is still waiting."""
        if self.is_empty:
            return True
        until = time.monotonic() + timeout_s
        with _held(self._sending, timeout_s) as is_mine:
            if not is_mine:
                return False
            try:
                self._send_own(until)
            except Later:
                return False
        return True

    def close(self) -> None:
        """Send what can be sent soon, leave the rest on disk, and stop. What comes later is dropped."""
        if self._is_closed:
            return
        self._ending.undo()
        self.flush(self._settings.exit_flush_s)
        self._is_closed = True
        self._sender.stop()
        if self._keeper is not None:
            self._keeper.stop()
        # One that waits for the collector's answer is not waited for: what it sends is on disk until it is taken.
        with _held(self._sending, _LAST_WORDS_S):
            with contextlib.suppress(Later):
                self._keep(time.monotonic() + _LAST_WORDS_S)
            self._give_up()

    def _give_up(self) -> None:
        """Count what is lost now, say it, and let go of the files."""
        self._backlog.leave()
        in_memory = [batch for batch in self._backlog.batches if batch.place is None]
        unsent = len(self._waiting) + sum(batch.calls for batch in in_memory)
        self.tally.settled(finished.ticket for finished in self._waiting)
        self.tally.settled(ticket for batch in in_memory for ticket in batch.tickets)
        self.tally.lose_many(Loss.UNSENT, unsent)
        self.tally.lose_the_rest(Loss.UNFINISHED)
        if unsent:
            _LOG.warning("%d calls could not be sent to %s and are lost", unsent, self._settings.endpoint)
        if not self._backlog.batches:
            with contextlib.suppress(Later):
                self._backlog.tell_losses(time.monotonic() + _LAST_WORDS_S)
        on_disk = sum(batch.calls for batch in self._backlog.batches if batch.place is not None)
        if on_disk:
            _LOG.info("%d calls wait in %s for the next process", on_disk, self._settings.spool_dir)
        if self._spool is not None:
            self._spool.close(keep=bool(on_disk) or not self._backlog.knows_losses())

    def after_fork(self) -> None:
        """In a child process: what waits is the parent's to send, and its threads did not come along."""
        self.tally.leave_to_parent()
        if self._spool is not None:
            self._spool.leave_to_parent()
        self._backlog.leave_to_parent()
        self._start_empty()

    # In one thread: from finished calls to the disk.

    def _open_round(self) -> None:
        """From here on there is a file that outlives the process."""
        if self._spool is not None:
            self._spool.open()

    def _keep_round(self) -> None:
        self._open_round()
        self._keep(None)
        self._sender.ring()

    def _keep(self, until: float | None) -> None:
        """Encode what waits and write it down. What the disk does not take stays in the queue, but for one batch."""
        patience_s = self._settings.export_timeout_s if until is None else max(0.0, until - time.monotonic())
        with _held(self._keeping, patience_s) as is_mine:
            if not is_mine and until is None:
                return
            if not is_mine:
                raise Later
            self._is_awake = True
            self.catch_up()
            self._is_awake = False  # from here on a new call rings again: none is overlooked
            while self._waiting:
                if self._backlog.holds_in_memory() and (self._spool is None or not self._spool.open()):
                    return
                most = min(self._backlog.most_at_once, len(self._waiting))
                self._backlog.batches.append(self._kept([self._waiting.popleft() for _ in range(most)]))

    def _kept(self, calls: list[Finished]) -> Batch:
        body, encoded = encode(calls)
        self.tally.lose_many(Loss.UNREADABLE, len(calls) - encoded)
        tickets, now_ns = tuple(finished.ticket for finished in calls), time.time_ns()
        place = None if self._spool is None else self._spool.append(body, tickets, now_ns)
        return Batch(len(calls), tickets, now_ns, body if place is None else None, place)

    # In the other: to the collector.

    def _send_round(self, left_first: bool = False) -> float | None:
        """What waits here and what dead processes have left, in turns."""
        try:
            with self._sending:
                if not left_first:
                    self._send_own(None)
                while not self._is_closed and self._backlog.send_left():
                    self._send_own(None)
        except Later as later:
            return later.seconds
        return None

    def _send_own(self, until: float | None) -> None:
        """All that waits now. What ends meanwhile gathers for the next time: were it sent at once, each call would be a
        request of its own as soon as they come no faster than the collector answers. Raises `Later`."""
        self._keep(until)
        due = len(self._waiting) + self._backlog.calls
        while due > 0 and (sent := self._backlog.send(until)):
            due -= sent
            if self._waiting:
                self._keep(until)
        self._backlog.tell_losses(until)


@contextlib.contextmanager
def _held(lock: threading.Lock, timeout_s: float) -> Iterator[bool]:
    """The lock, where it could be had in time."""
    is_mine = lock.acquire(timeout=timeout_s)
    try:
        yield is_mine
    finally:
        if is_mine:
            lock.release()


_deliveries: Final[weakref.WeakSet[Delivery]] = weakref.WeakSet()


@shielded
def _after_fork() -> None:
    for delivery in list(_deliveries):
        delivery.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
