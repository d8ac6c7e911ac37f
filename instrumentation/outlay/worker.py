"""A thread that begins, then works when it is rung for, lets calls gather first, and comes again where it failed.

Ringing takes no lock that is waited for, so a destructor may do it. While nothing happens the thread sleeps for good;
while calls gather no ringing wakes it.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from outlay.guard import report

_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0


class Worker:
    """`begin` is done once, at the start, `work` from then on. Each gives None where all is done, else for how many
    seconds at least it wants to be left alone."""

    def __init__(
        self, name: str, begin: Callable[[], float | None], work: Callable[[], float | None], gather_s: float
    ) -> None:
        self._name = name
        self._begin = begin
        self._work = work
        self._gather_s = gather_s
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Whether it runs, now or already. None can start while the interpreter ends, where the flush at its exit does
        the work, nor where the system has no more threads."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            with contextlib.suppress(RuntimeError):
                thread.start()
                self._thread = thread
        return self._thread is not None

    def ring(self) -> None:
        self._bell.put(None)

    def stop(self) -> None:
        self._stopped.set()
        self.ring()

    def _run(self) -> None:
        failures, work = 0, self._begin
        while not self._stopped.is_set():
            asked_s = self._done(work)
            work = self._work
            failures = 0 if asked_s is None else failures + 1
            if asked_s is not None:
                self._stopped.wait(max(asked_s, _backoff_s(failures)))
            else:
                self._bell.get()
                self._stopped.wait(self._gather_s)
            self._still()

    def _still(self) -> None:
        """What was rung for until now is about to be done."""
        with contextlib.suppress(Empty):
            while True:
                self._bell.get_nowait()

    def _done(self, work: Callable[[], float | None]) -> float | None:
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - the thread outlives whatever goes wrong in one round
            report(self._name, error)
            return None


def _backoff_s(failures: int) -> float:
    longest: float = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1.0)
