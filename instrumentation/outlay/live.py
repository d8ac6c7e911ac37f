"""One call from before it is sent to its only end.

`intercept` starts it, `transport` tells it of attempts, the SDK's decoder of payloads, `stream` of how a stream ended.
Whoever comes first ends it; every later end is ignored. Nothing here may hold on to a response or a stream: the
response holds the call, and a cycle would keep what the application drops from being collected at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType

from outlay.concluded import concluded
from outlay.guard import report, shielded
from outlay.headers import RawHeaders, retry_after_s
from outlay.model import (
    Attempt,
    Attribution,
    Cost,
    ResponseCache,
    StreamEnd,
)
from outlay.providers.base import Reader, Request, StreamReading
from outlay.providers.prompt import Prompt
from outlay.spans import OpenSpan
from outlay.tally import Loss

if TYPE_CHECKING:
    from outlay.body import Body, EncodedBody
    from outlay.budgets.gate import Reservation
    from outlay.content import Recorder
    from outlay.runtime import Runtime


class LiveCall:
    """A call under way. The public attributes are what the parts of the interception leave for one another."""

    # Most calls leave most of these as they are, so they stand here: each that is set for every call is felt.

    asks_for_usage = False
    """Whether usage was asked for in the application's stead, so that its chunk has to be hidden from it."""
    unasked: list[object] | None = None
    """That chunk, from when it is decoded until it is hidden; None where nothing has to be."""
    body: Body | EncodedBody | None = None
    """Reads the payload from the body's bytes, where the SDK may never decode it."""
    is_reading = False
    """Whether the next piece of the body is being read just now, where a generator's own state does not tell."""
    is_guessed = False
    """Whether the provider is only whose SDK it is: it speaks behind an address nobody knows."""
    sender = 0
    """The id of the client that sends it, while it does."""
    response_cache: ResponseCache | None = None
    """What the application's own cache did, as far as it has said."""
    tap: ReferenceType[Any] | None = None
    """What stands between the SDK's stream and its consumer; dead once the consumer has dropped the stream."""
    feed: Callable[[dict[str, Any]], None] | None = None
    """Takes the next event of a stream as `payload` does, in half the time: once there is nothing left to do but that.
    May raise."""
    recorder: Recorder | None = None
    """Takes down what is said, where that was asked for."""
    error_type: str | None = None
    stream_end: StreamEnd | None = None
    """As far as whoever ended it could tell."""
    headers: RawHeaders = ()
    """Of the last answer."""
    answer: Any = None
    """The body of a whole answer: decoded, or text."""
    fold: StreamReading | None = None
    """Of a streamed one what its events have said so far."""
    first_chunk_after_ns: int | None = None
    whole_after_ns = 0
    """When the last of a streamed body came, once it had told its end. Who reads it may let go of it much later."""

    def __init__(
        self,
        runtime: Runtime,
        provider: str,
        reader: Reader,
        request: Request,
        attribution: Attribution,
        reservation: Reservation,
        span: OpenSpan,
        started_at_ns: int,
        server_address: str,
    ) -> None:
        self.runtime = runtime
        self.provider = provider
        self.reader = reader
        self.attribution = attribution
        self.reservation = reservation
        self.span = span
        self.started_at_ns = started_at_ns
        self.server_address = server_address
        self.ticket = runtime.delivery.tally.begin()
        """That of this call at the tally of calls at risk."""
        self.request = request
        """What was asked for. A stream that was is answered whole all the same where it is refused."""
        self.attempts: list[Attempt] = []
        self._ended = threading.Lock()
        self.ended_after_ns = 0
        self._began_ns = time.perf_counter_ns()

    # What happens to it.

    def take_down(self, body: Mapping[str, Any]) -> None:
        """Keep what is said from here on, as far as it was asked for. `body` is the request's."""
        self.recorder = recorder = self.runtime.settings.content.recorder()
        if recorder is not None:
            recorder.asked(body)

    def attempt_failed(self, error: BaseException, began_ns: int) -> None:
        took_ms = (time.perf_counter_ns() - began_ns) / 1e6
        self.attempts.append(Attempt(status=None, duration_ms=took_ms, error=type(error).__name__))

    def attempt_answered(self, status: int, headers: Mapping[str, str], raw: RawHeaders, began_ns: int) -> None:
        """A try came back with a status. `headers` finds a header by its lower-case name, `raw` are all of them."""
        took_ms = (time.perf_counter_ns() - began_ns) / 1e6
        wait = retry_after_s(headers, time.time_ns()) if status >= 400 else None
        self.attempts.append(Attempt(status=status, duration_ms=took_ms, retry_after_s=wait))
        self.headers = raw

    def start_stream(self) -> None:
        fold = self.reader.start_stream(self.request)
        self.fold = fold if self.recorder is None else self.recorder.overhearing(fold)
        if self.asks_for_usage:
            self.unasked = []

    def payload(self, data: Any) -> None:
        """A body, or the next decoded event of a stream. A body still in text is decoded when the call is read, off the
        application's time. Raises nothing: it runs in the SDK's own decoding."""
        fold = self.fold
        if fold is None:
            self.answer = data
            return
        if self.first_chunk_after_ns is None:
            self.first_chunk_after_ns = time.perf_counter_ns() - self._began_ns
        if type(data) is dict:
            try:
                self._feed(fold)(data)
            except Exception as error:  # noqa: BLE001 - guarded here: a wrapper more would be felt at every chunk
                report("feed", error)
            self.feed = self._feed(fold)  # the fold's own may be another once it has seen an event

    def piece_was_read(self) -> None:
        """A piece of a streamed body was read, all its events with it."""
        if self.fold is not None and self.fold.finished:
            self.whole_after_ns = time.perf_counter_ns() - self._began_ns

    def _feed(self, fold: StreamReading) -> Callable[[dict[str, Any]], None]:
        return _hiding(fold.feed, self.unasked) if self.unasked is not None else fold.feed

    @property
    def is_streaming(self) -> bool:
        return self.fold is not None

    @property
    def is_read_on_the_way(self) -> bool:
        """Whether its answer is read as the application takes it, and the call over once it has."""
        return self.fold is not None or self.body is not None

    def end(
        self,
        error: BaseException | str | None = None,
        stream_end: StreamEnd | None = None,
        *,
        is_collecting: bool = False,
    ) -> None:
        """The call is over; only the first end counts. `is_collecting`: the garbage collector has ended it, which it
        may do at any point of the program, inside any lock. An `error` may be only the name of one."""
        if not self._ended.acquire(blocking=False):
            return
        self.ended_after_ns = self.whole_after_ns or time.perf_counter_ns() - self._began_ns
        self.error_type = error if error is None or isinstance(error, str) else type(error).__name__
        self.stream_end = stream_end
        self._let_go()
        self.runtime.over(self, is_collecting=is_collecting)

    def _let_go(self) -> None:
        """The text that went in matters where no answer says what it came to, and is what speech is billed by: keep its
        length, not the body."""
        request, answer, fold = self.request, type(self.answer), self.fold
        is_told = answer is dict or answer is str if fold is None else fold.counted
        if not is_told or request.operation == "speech":
            _measure(request.prompt)
        request.prompt.let_go()

    @shielded
    def conclude(self) -> None:
        """Once, after the end: read the call, price it, settle it and report it."""
        try:
            call = concluded(self)
        except BaseException:
            self.reservation.settle(Cost.unpriced("the call could not be read"))
            self.runtime.delivery.tally.lose(Loss.UNREADABLE, self.ticket)
            raise
        finally:
            self.answer = self.fold = None
        self.runtime.report_live(self, call)

    def abandon(self) -> None:
        """Nothing reached the provider and nothing came back: there is no call to report."""
        if self._ended.acquire(blocking=False):
            self.reservation.settle(None)
            self.runtime.delivery.tally.forget(self.ticket)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Responses can be pickled and copied; what hangs on them of ours is then None."""
        return type(None), ()

    @property
    def is_over(self) -> bool:
        return self._ended.locked()

    @property
    def was_sent(self) -> bool:
        return bool(self.attempts) or self.answer is not None


@shielded
def _measure(prompt: Prompt) -> None:
    _ = prompt.characters


def _hiding(feed: Callable[[dict[str, Any]], None], unasked: list[object]) -> Callable[[dict[str, Any]], None]:
    """Takes chunks as `feed` does, without what only asking for usage adds: a null in every chunk, and a chunk without
    choices. Knows nothing of the call that knows it."""

    def take(chunk: dict[str, Any]) -> None:
        if "usage" in chunk:
            if chunk["usage"] is None:
                del chunk["usage"]
            elif not chunk.get("choices"):
                unasked.append(chunk)
        feed(chunk)

    return take
