"""Finished calls on their way to the collector: a bounded queue, one thread, and patience.

Leaving something for it takes no lock and no network, so it is safe wherever the garbage collector may strike. A batch
is encoded once and sent, the same bytes again, until the collector has taken it: the collector counts a call once
however often it comes. What the queue cannot hold is counted in `dropped`.
"""

from __future__ import annotations

import atexit
import contextlib
import gzip
import logging
import os
import random
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import Token
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context

from outlay.guard import report, shielded
from outlay.model import Call
from outlay.settings import Settings
from outlay.spans import SpanIds

if TYPE_CHECKING:
    import urllib.request

_LOG: Final = logging.getLogger("outlay.export")
_MOST_AT_ONCE: Final = 512
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0
_REFUSED: Final = frozenset({400, 415, 422})
"""Answers that the same bytes would get again."""
_TOO_LARGE: Final = 413
_LOOPBACK: Final = ("localhost", "127.", "::1")


@dataclass(frozen=True, slots=True)
class Finished:
    """A call that has ended, and the identity of its span."""

    call: Call
    ids: SpanIds


class Delivery:
    """The queue and the thread that empties it."""

    def __init__(self, settings: Settings) -> None:
        self.dropped = 0
        """Calls lost so far: the queue was full, or the collector refused them for good."""
        self._settings = settings
        self._post = _Post(settings)
        self._is_closed = False
        self._start_empty()
        _deliveries.add(self)
        atexit.register(self.close)

    def _start_empty(self) -> None:
        self._waiting: deque[Finished] = deque()
        self._undone: deque[Callable[[], object]] = deque()
        self._batch: tuple[bytes, list[Finished]] | None = None
        self._most_at_once = _MOST_AT_ONCE
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._sending = threading.Lock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_awake = False

    def start(self) -> None:
        """Start the thread, unless it has been. Before the first call, not when one ends: that may be in a destructor,
        where no thread can be started."""
        if self._thread is not None or self._is_closed:
            return
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outlay-export", daemon=True)
                # None can start while the interpreter ends either; the flush at its exit sends what waits.
                with contextlib.suppress(RuntimeError):
                    self._thread.start()

    def put(self, finished: Finished) -> None:
        if self._is_closed or len(self._waiting) >= self._settings.queue_calls:
            self.dropped += 1
            return
        self._waiting.append(finished)
        self.start()
        self._wake()

    def do_later(self, task: Callable[[], object]) -> int:
        """Have the thread do something that will put a call in, before it sends. Gives how much there is to do."""
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

    def _wake(self) -> None:
        """See to it that the thread looks at what there is to do, within the export interval."""
        if not self._is_awake:
            self._is_awake = True
            self._bell.put(None)

    def flush(self, timeout_s: float) -> bool:
        """Send all that waits, now and in this thread. False where some of it is still waiting."""
        until = time.monotonic() + timeout_s
        if not self._sending.acquire(timeout=timeout_s):
            return False
        token = _suppress_instrumentation()
        try:
            return self._send_all(until) is None
        finally:
            otel_context.detach(token)
            self._sending.release()

    def close(self) -> None:
        """Send what can be sent soon, and stop. What comes later is dropped."""
        if self._is_closed:
            return
        atexit.unregister(self.close)
        self.flush(self._settings.exit_flush_s)
        self._is_closed = True
        self._bell.put(None)
        left = len(self._waiting) + (len(self._batch[1]) if self._batch else 0)
        if left:
            self.dropped += left
            _LOG.warning("%d calls could not be sent to %s and are lost", left, self._settings.endpoint)

    def after_fork(self) -> None:
        """In a child process: what waits is the parent's to send, and its thread did not come along."""
        self._start_empty()

    def _run(self) -> None:
        _suppress_instrumentation()
        failures = 0
        while not self._is_closed:
            if not failures:
                self._bell.get()
                self._rest(self._settings.export_interval_s)
            self._is_awake = False  # from here on a new call rings again: none is overlooked
            asked_s = self._send_round()
            failures = 0 if asked_s is None else failures + 1
            if asked_s is not None:
                self._rest(max(asked_s, _backoff_s(failures)))

    def _rest(self, seconds: float) -> None:
        """Let calls gather, or the collector recover, unless all is being closed."""
        until = time.monotonic() + seconds
        while not self._is_closed and (left := until - time.monotonic()) > 0:
            with contextlib.suppress(Empty):
                self._bell.get(timeout=left)

    def _send_round(self) -> float | None:
        try:
            with self._sending:
                return self._send_all(None)
        except Exception as error:  # noqa: BLE001 - the thread outlives whatever goes wrong in one round
            report("export", error)
            return None

    def _send_all(self, until: float | None) -> float | None:
        """Send batch after batch. None where nothing waits any more, else how long the collector asked to be left
        alone: 0 where it said nothing."""
        self.catch_up()
        while (batch := self._next_batch()) is not None:
            timeout_s = self._settings.export_timeout_s
            if until is not None:
                timeout_s = min(timeout_s, until - time.monotonic())
            outcome = self._post.send(batch[0], timeout_s) if timeout_s > 0 else 0.0
            if isinstance(outcome, float):
                return outcome
            self._batch = None
            if outcome == "too large" and len(batch[1]) > 1:
                self._most_at_once = len(batch[1]) // 2
                self._waiting.extendleft(reversed(batch[1]))
            elif outcome != "taken":
                self.dropped += len(batch[1])
        return None

    def _next_batch(self) -> tuple[bytes, list[Finished]] | None:
        if self._batch is None and self._waiting:
            from outlay.otlp import encode

            calls = [self._waiting.popleft() for _ in range(min(self._most_at_once, len(self._waiting)))]
            self._batch = (encode(calls), calls)
        return self._batch


Outcome = Literal["taken", "refused", "too large"] | float
"""What became of a batch; seconds where it can be sent again after as many."""


class _Post:
    """Posts batches and says once for each kind of trouble what to look at."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.endpoint + "/v1/traces"
        host = urlsplit(settings.endpoint).hostname or ""
        self._is_local = host.startswith(_LOOPBACK)
        self._headers = {**settings.headers, "Content-Type": "application/x-protobuf", "User-Agent": "outlay"}
        self._said: set[str] = set()

    def send(self, body: bytes, timeout_s: float) -> Outcome:
        import http.client
        import urllib.request

        headers = dict(self._headers)
        if not self._is_local:
            body, headers["Content-Encoding"] = gzip.compress(body, 5), "gzip"
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with self._opener().open(request, timeout=timeout_s) as response:
                status, wait = response.status, response.headers.get("Retry-After", "")
                response.read()
        except (OSError, http.client.HTTPException) as error:
            self._say_once(type(error).__name__, "%s cannot be reached (%s); calls wait and are sent later", error)
            return 0.0
        if 200 <= status < 300:
            self._said.clear()
            return "taken"
        if status == _TOO_LARGE:
            return "too large"
        if status in _REFUSED:
            self._say_once(str(status), "%s refused a batch for good (status %s); its calls are lost", status)
            return "refused"
        self._say_once(str(status), "%s answered %s; calls wait and are sent later%s", status, _advice(status))
        return float(wait) if wait.isdigit() else 0.0

    def _opener(self) -> urllib.request.OpenerDirector:
        """Follows no redirect: a redirected POST comes back as an answered GET. No proxy for this machine itself."""
        import urllib.request

        opener = urllib.request.OpenerDirector()
        opener.add_handler(urllib.request.ProxyHandler({} if self._is_local else None))
        opener.add_handler(urllib.request.HTTPHandler())
        opener.add_handler(urllib.request.HTTPSHandler())
        return opener

    def _say_once(self, kind: str, message: str, *details: object) -> None:
        if kind not in self._said:
            self._said.add(kind)
            _LOG.warning(message, self._url, *details)


def _advice(status: int) -> str:
    return "; check OUTLAY_API_KEY" if status in (401, 403) else "; check OUTLAY_ENDPOINT" if status == 404 else ""


def _backoff_s(failures: int) -> float:
    longest: float = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1.0)


def _suppress_instrumentation() -> Token[Context]:
    """Keep OpenTelemetry's HTTP instrumentations from tracing what we send."""
    return otel_context.attach(otel_context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))


_deliveries: Final[weakref.WeakSet[Delivery]] = weakref.WeakSet()


@shielded
def _after_fork() -> None:
    for delivery in list(_deliveries):
        delivery.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
