"""Answers that the SDK decodes where nobody can look on, or hands over undecoded: read from the response's bytes.

What was read whole is read at once. A body that is still to come is read as the application reads it, by the taps of
`transport`, which also end the call. `response` is one of httpx2 or httpx.
"""

from __future__ import annotations

from typing import Any

from outlay.body import Body
from outlay.guard import shielded
from outlay.live import LiveCall
from outlay.stream import Watch


def read(call: LiveCall, response: Any) -> bool:
    """Read what there is. True where the body is still to come, and the call to end."""
    body = Body(response.headers.get("content-type", ""))
    if body.is_events:
        call.start_stream()
    if response.is_closed:
        if body.is_json:
            call.payload(response.text)
        else:
            for value in (*body.feed(response.content), *body.finish()):
                call.payload(value)
        return False
    call.body = body
    response._outlay_watch = Watch(call)
    return True


@shielded
def answered(call: LiveCall, response: Any) -> None:
    """The SDK has its response: the call is over, unless its body is still to come, or nobody was asked."""
    if read(call, response):
        return
    if call.was_sent:
        call.end()
    else:
        call.abandon()
