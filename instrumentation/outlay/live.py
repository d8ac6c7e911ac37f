"""One call from before it is sent to its only end.

`intercept` starts it, `transport` tells it of attempts, the SDK's decoder of payloads, `stream` of how a stream ended.
Whoever comes first ends it; every later end is ignored. Nothing here may hold on to a response or a stream: the
response holds the call, and a cycle would keep what the application drops from being collected at once.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from weakref import ReferenceType

from outlay.guard import report, shielded
from outlay.headers import RawHeaders, read_headers, retry_after_s
from outlay.interrupted import estimated
from outlay.model import (
    Attempt,
    Attribution,
    Call,
    Content,
    Cost,
    CostStatus,
    ResponseCache,
    StreamEnd,
    completed_attribution,
    priced_model,
)
from outlay.providers.base import Reader, Reading, Request, StreamReading
from outlay.providers.foreign import is_mapping
from outlay.providers.prompt import Prompt
from outlay.providers.registry import ShapeStream, marked, reader_for
from outlay.spans import OpenSpan
from outlay.tally import Loss

if TYPE_CHECKING:
    from outlay.body import Body
    from outlay.budgets.gate import Reservation
    from outlay.content import Recorder
    from outlay.runtime import Runtime

_UNSENT: Final = frozenset(
    {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError"}
    | {"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"}
    | {"ClientConnectorError", "ClientConnectorDNSError", "DefaultCredentialsError", "RefreshError"}
)
"""Errors of httpx, of botocore, of aiohttp and of Google's credentials that mean that no request reached anybody."""
_NEVER_SENT: Final = "no request reached the provider"


class LiveCall:
    """A call under way. The public attributes are what the parts of the interception leave for one another."""

    # Most calls leave most of these as they are, so they stand here: each that is set for every call is felt.

    asks_for_usage = False
    """Whether usage was asked for in the application's stead, so that its chunk has to be hidden from it."""
    hides_next = False
    """Whether the chunk being decoded is that one."""
    body: Body | None = None
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
    _recorder: Recorder | None = None
    _error_type: str | None = None
    _stream_end: StreamEnd | None = None
    _headers: RawHeaders = ()
    _answer: Any = None
    _fold: StreamReading | None = None
    _first_chunk_after_ns: int | None = None

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
        self._request = request
        self._attempts: list[Attempt] = []
        self._ended = threading.Lock()
        self._ended_after_ns = 0
        self._began_ns = time.perf_counter_ns()

    # What happens to it.

    def take_down(self, body: Mapping[str, Any]) -> None:
        """Keep what is said from here on, as far as it was asked for. `body` is the request's."""
        self._recorder = recorder = self.runtime.settings.content.recorder()
        if recorder is not None:
            recorder.asked(body)

    def attempt_failed(self, error: BaseException, began_ns: int) -> None:
        self._attempts.append(Attempt(status=None, duration_ms=_ms_since(began_ns), error=type(error).__name__))

    def attempt_answered(self, status: int, headers: Mapping[str, str], raw: RawHeaders, began_ns: int) -> None:
        """A try came back with a status. `headers` finds a header by its lower-case name, `raw` are all of them."""
        wait = retry_after_s(headers, time.time_ns()) if status >= 400 else None
        self._attempts.append(Attempt(status=status, duration_ms=_ms_since(began_ns), retry_after_s=wait))
        self._headers = raw

    def start_stream(self) -> None:
        fold = self.reader.start_stream(self._request)
        self._fold = fold if self._recorder is None else self._recorder.overhearing(fold)

    def payload(self, data: Any) -> None:
        """A body, or the next decoded event of a stream. A body still in text is decoded when the call is read, off the
        application's time. Raises nothing: it runs in the SDK's own decoding."""
        fold = self._fold
        if fold is None:
            self._answer = data
            return
        if self._first_chunk_after_ns is None:
            self._first_chunk_after_ns = time.perf_counter_ns() - self._began_ns
        if type(data) is dict:
            if self.asks_for_usage:
                self._hide_usage(data)
            try:
                fold.feed(data)
            except Exception as error:  # noqa: BLE001 - guarded here: a wrapper more would be felt at every chunk
                report("feed", error)
            if not self.asks_for_usage:
                self.feed = fold.feed

    def _hide_usage(self, chunk: dict[str, Any]) -> None:
        """Take away what only asking for usage adds: a null in every chunk, and a chunk without choices."""
        if "usage" in chunk:
            if chunk["usage"] is None:
                del chunk["usage"]
            elif not chunk.get("choices"):
                self.hides_next = True

    @property
    def is_asked_to_stream(self) -> bool:
        """Whether the request asks for a stream; an error is answered whole all the same."""
        return self._request.streamed

    @property
    def is_streaming(self) -> bool:
        return self._fold is not None

    @property
    def is_read_on_the_way(self) -> bool:
        """Whether its answer is read as the application takes it, and the call over once it has."""
        return self._fold is not None or self.body is not None

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
        self._ended_after_ns = time.perf_counter_ns() - self._began_ns
        self._error_type = error if error is None or isinstance(error, str) else type(error).__name__
        self._stream_end = stream_end
        self._let_go()
        self.runtime.over(self, is_collecting=is_collecting)

    def _let_go(self) -> None:
        """The text that went in matters where no answer says what it came to, and is what speech is billed by: keep its
        length, not the body."""
        request, answer, fold = self._request, type(self._answer), self._fold
        is_told = answer is dict or answer is str if fold is None else fold.counted
        if not is_told or request.operation == "speech":
            _measure(request.prompt)
        request.prompt.let_go()

    @shielded
    def conclude(self) -> None:
        """Once, after the end: read the call, price it, settle it and report it."""
        try:
            call = self._call()
        except BaseException:
            self.reservation.settle(Cost.unpriced("the call could not be read"))
            self.runtime.delivery.tally.lose(Loss.UNREADABLE, self.ticket)
            raise
        finally:
            self._answer = self._fold = None
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
        return bool(self._attempts) or self._answer is not None

    # What it was.

    def _call(self) -> Call:
        ended_at_ns = self.started_at_ns + self._ended_after_ns
        status = self._attempts[-1].status if self._attempts else None
        reading = self._reading(status)
        if self.is_guessed:
            reading = self._by_marks(reading, status)
        request_id, rate_limits = read_headers(self._headers, ended_at_ns)
        request = self._request
        call = Call(
            provider=self.provider,
            operation=request.operation,
            model_requested=request.model,
            started_at_ns=self.started_at_ns,
            ended_at_ns=ended_at_ns,
            model_served=reading.model_served,
            response_id=reading.response_id,
            request_id=request_id,
            server_address=self.server_address,
            streamed=request.streamed or self.is_streaming,
            stream_end=self._how_it_ended(),
            time_to_first_chunk_ms=None if self._first_chunk_after_ns is None else self._first_chunk_after_ns / 1e6,
            finish_reasons=reading.finish_reasons,
            http_status=status,
            error_type=self._error_type or _refusal(status),
            attempts=tuple(self._attempts),
            usage=reading.usage,
            usage_raw=reading.usage_raw,
            reason_unread=reading.reason_unread,
            terms=reading.terms,
            cost=self._cost(reading, status) or Cost.unpriced("pricing the call failed"),
            response_cache=self.response_cache,
            content=None if self._recorder is None else self._content(self._recorder),
            attribution=completed_attribution(self.attribution, request.attribution),
            rate_limits=rate_limits,
        )
        return call.as_cache_hit() if self.response_cache is ResponseCache.HIT else call

    @shielded
    def _content(self, recorder: Recorder) -> Content:
        return recorder.content(self._answer)

    def _how_it_ended(self) -> StreamEnd | None:
        """A stream left after its last event was drained, whatever its consumer did with the rest of the body."""
        left = self._stream_end in (StreamEnd.CLOSED, StreamEnd.COLLECTED)
        return StreamEnd.DRAINED if left and self._fold is not None and self._fold.finished else self._stream_end

    def _reading(self, status: int | None) -> Reading:
        if self._fold is not None:
            fold = self._fold
            return estimated(fold.reading(), self._request, fold.output_characters, fold.finished)
        answer = decoded(self._answer)
        if is_mapping(answer):
            return self.reader.read_response(self._request, answer)
        if status is not None and status < 400:
            return self.reader.read_response(self._request, {})  # speech is billed by what went in
        return Reading(terms=self._request.terms)

    def _by_marks(self, reading: Reading, status: int | None) -> Reading:
        """The reading by the rules of the provider that left its marks on the answer, if one did."""
        said = {"id": reading.response_id, "usage": reading.usage_raw}
        answer = said if self._fold is not None else decoded(self._answer)
        found = marked(answer) if is_mapping(answer) else None
        if found is None or found == self.provider:
            return reading
        self.provider, self.reader = found, reader_for(found)
        if isinstance(self._fold, ShapeStream):
            self._fold.ask_as(found)
        return self._reading(status)

    @shielded
    def _cost(self, reading: Reading, status: int | None) -> Cost:
        was_answered = status is not None or self._answer is not None
        if reading.usage is None and (not was_answered or (status is not None and status >= 400)):
            if not all(map(_is_unbilled, self._attempts)):
                return Cost.unpriced("an attempt got no answer: whether the provider billed it is unknown")
            reason = f"the provider answered {status}, which it does not bill" if status else _NEVER_SENT
            return Cost(nano_usd=0, status=CostStatus.EXACT, reason=reason)
        return self.runtime.book.cost(
            reading.usage,
            provider=self.provider,
            model=priced_model(reading.model_served, self._request.model),
            at_ns=self.started_at_ns,
            terms=reading.terms,
            provider_cost_usd=reading.provider_cost_usd,
            reason_unread=reading.reason_unread,
        )


def decoded(answer: Any) -> Any:
    """The body, decoded if it is text; as it is where that is no JSON."""
    if not isinstance(answer, str):
        return answer
    try:
        return json.loads(answer)
    except ValueError:
        return answer


@shielded
def _measure(prompt: Prompt) -> None:
    _ = prompt.characters


def _refusal(status: int | None) -> str | None:
    """A refusal by its status, where the SDK makes an error of it only later, out of sight."""
    return str(status) if status is not None and status >= 400 else None


def is_free(cost: Cost) -> bool:
    """Whether the call is known to have cost nothing."""
    return cost.nano_usd == 0 and not cost.lines


def _is_unbilled(attempt: Attempt) -> bool:
    return attempt.error in _UNSENT if attempt.status is None else attempt.status >= 400


def _ms_since(began_ns: int) -> float:
    return (time.perf_counter_ns() - began_ns) / 1e6
