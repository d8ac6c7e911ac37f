"""What a call was, once it is over: its answer read, priced and put together. Off the application's time, unless a
budget or a span of the application's waits for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from outlay.context import completed
from outlay.guard import shielded
from outlay.headers import read_headers
from outlay.interrupted import estimated
from outlay.model import Call, Content, Cost, ResponseCache, StreamEnd
from outlay.prices.match import priced_model
from outlay.providers.base import Reading
from outlay.providers.foreign import is_mapping
from outlay.providers.registry import ShapeStream, marked, reader_for
from outlay.unbilled import cost_without_answer

if TYPE_CHECKING:
    from outlay.content import Recorder
    from outlay.live import LiveCall


def concluded(live: LiveCall) -> Call:
    """The call, read and priced."""
    ended_at_ns = live.started_at_ns + live.ended_after_ns
    status = live.attempts[-1].status if live.attempts else None
    reading = _reading(live, status)
    if live.is_guessed:
        reading = _by_marks(live, reading, status)
    request_id, rate_limits = read_headers(live.headers, ended_at_ns)
    request = live.request
    call = Call(
        provider=live.provider,
        operation=request.operation,
        model_requested=request.model,
        started_at_ns=live.started_at_ns,
        ended_at_ns=ended_at_ns,
        model_served=reading.model_served,
        response_id=reading.response_id,
        request_id=request_id,
        server_address=live.server_address,
        streamed=request.streamed or live.is_streaming,
        stream_end=_how_it_ended(live),
        time_to_first_chunk_ms=None if live.first_chunk_after_ns is None else live.first_chunk_after_ns / 1e6,
        finish_reasons=reading.finish_reasons,
        http_status=status,
        error_type=live.error_type or _refusal(status),
        attempts=tuple(live.attempts),
        usage=reading.usage,
        usage_raw=reading.usage_raw,
        reason_unread=reading.reason_unread,
        terms=reading.terms,
        cost=_cost(live, reading, status) or Cost.unpriced("pricing the call failed"),
        response_cache=live.response_cache,
        content=None if live.recorder is None else _content(live, live.recorder),
        attribution=completed(live.attribution, request.attribution),
        rate_limits=rate_limits,
    )
    return call.as_cache_hit() if live.response_cache is ResponseCache.HIT else call


@shielded
def _content(live: LiveCall, recorder: Recorder) -> Content:
    return recorder.content(live.answer)


def _how_it_ended(live: LiveCall) -> StreamEnd | None:
    """A stream left after its last event was drained, whatever its consumer did with the rest of the body."""
    left = live.stream_end in (StreamEnd.CLOSED, StreamEnd.COLLECTED)
    return StreamEnd.DRAINED if left and live.fold is not None and live.fold.finished else live.stream_end


def _reading(live: LiveCall, status: int | None) -> Reading:
    if live.fold is not None:
        fold = live.fold
        return estimated(fold.reading(), live.request, fold.output_characters, fold.finished)
    answer = decoded(live.answer)
    if is_mapping(answer):
        return live.reader.read_response(live.request, answer)
    if status is not None and status < 400:
        return live.reader.read_response(live.request, {})  # speech is billed by what went in
    return Reading(terms=live.request.terms)


def _by_marks(live: LiveCall, reading: Reading, status: int | None) -> Reading:
    """The reading by the rules of the provider that left its marks on the answer, if one did."""
    said = {"id": reading.response_id, "usage": reading.usage_raw}
    answer = said if live.fold is not None else decoded(live.answer)
    found = marked(answer) if is_mapping(answer) else None
    if found is None or found == live.provider:
        return reading
    live.provider, live.reader = found, reader_for(found)
    if isinstance(live.fold, ShapeStream):
        live.fold.ask_as(found)
    return _reading(live, status)


@shielded
def _cost(live: LiveCall, reading: Reading, status: int | None) -> Cost:
    was_answered = status is not None or live.answer is not None
    if reading.usage is None and (not was_answered or (status is not None and status >= 400)):
        return cost_without_answer(live.attempts, status)
    return live.runtime.book.cost(
        reading.usage,
        provider=live.provider,
        model=priced_model(reading.model_served, live.request.model),
        at_ns=live.started_at_ns,
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


def _refusal(status: int | None) -> str | None:
    """A refusal by its status, where the SDK makes an error of it only later, out of sight."""
    return str(status) if status is not None and status >= 400 else None
