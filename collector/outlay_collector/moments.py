"""When two spans of one call went on: how their beginnings and ends lie to each other, for `echoes`.

A span is around what happens in it. But LlamaIndex's span of a stream is over when its method returns, before the
request is made: OpenInference's says by an event when the first token came, LlamaIndex's own does not. MLflow's of
Anthropic's streams is over when the response's head has come. None has seen the end of its call, and they count
nothing, but the first where the application asked for the usage. Pure.
"""

from __future__ import annotations

from typing import Final

from outlay.model import Call

SLACK_NS: Final = 1_000_000
"""Spans made of a callback's times are cut to microseconds or milliseconds."""
LATE_NS: Final = 250_000_000
"""The inner of two that follow one stream may end after the outer, by what finishing it takes: 46 ms were seen."""
AT_ONCE_NS: Final = 50_000_000
"""Of two that tell of one request the inner begins within this time: 0.5 to 5.5 ms were seen."""
_ANSWERED_AT_ONCE_NS: Final = 30_000_000
"""And the outer notices the answer within this: 0.4 to 9 ms were seen, 28 ms of the first of a process."""
_NS_PER_MS: Final = 1_000_000


def lies_within(outer: Call, inner: Call) -> bool:
    """Whether the inner began while the outer went on, and was over with it."""
    if not outer.started_at_ns - SLACK_NS <= inner.started_at_ns < outer.ended_at_ns:
        return False
    if is_left_open(outer):
        began = _first_chunk_at_ns(inner)
        return (began or 0) - SLACK_NS <= outer.ended_at_ns <= inner.ended_at_ns + LATE_NS
    return inner.ended_at_ns <= outer.ended_at_ns + LATE_NS


def is_left_open(call: Call) -> bool:
    """Whether all that is known of its end is that it came after the first token."""
    first = call.time_to_first_chunk_ms
    return call.streamed and first is not None and abs(call.duration_ms - first) * _NS_PER_MS < 1


def tell_of_one_request(outer: Call, inner: Call, *, in_one_trace: bool) -> bool:
    """Whether a span that saw the beginning of a stream, and counts nothing, and one that saw all of it, are of one
    request by when it was sent and when its answer began: both at once, to within what an SDK takes. Of a span that was
    over before the request was sent there is the first alone, which tells enough in one trace only."""
    if outer.error_type or not inner.streamed:
        return False
    if not -SLACK_NS <= inner.started_at_ns - outer.started_at_ns <= AT_ONCE_NS:
        return False
    if (answered := _answer_told_after_ns(outer, inner)) is not None:
        return -SLACK_NS <= answered <= _ANSWERED_AT_ONCE_NS
    return in_one_trace and outer.streamed and outer.ended_at_ns <= inner.started_at_ns


def told_after_ns(outer: Call, inner: Call) -> int:
    """By how much the outer's moments differ from the inner's: the least is the likeliest of several."""
    return abs(inner.started_at_ns - outer.started_at_ns) + abs(_answer_told_after_ns(outer, inner) or 0)


def _answer_told_after_ns(outer: Call, inner: Call) -> int | None:
    """How long after the inner the outer noticed the answer; None where one of them does not say when it came."""
    if is_left_open(outer):
        came_at_ns = _first_chunk_at_ns(inner)
    elif outer.ended_at_ns > inner.started_at_ns:
        came_at_ns = _answered_at_ns(inner)
    else:
        came_at_ns = None
    return None if came_at_ns is None else outer.ended_at_ns - came_at_ns


def _first_chunk_at_ns(call: Call) -> int | None:
    first = call.time_to_first_chunk_ms
    return None if first is None else call.started_at_ns + int(first * _NS_PER_MS)


def _answered_at_ns(call: Call) -> int | None:
    """When the head of the response came; None where it took several attempts, between which nobody knows the waits."""
    (attempt,) = call.attempts if len(call.attempts) == 1 else (None,)
    return None if attempt is None else call.started_at_ns + int(attempt.duration_ms * _NS_PER_MS)
