"""OpenAI's websocket APIs: a response that a connection reports as done is a call.

What is asked for over a connection is not tied to what comes back, so that nothing is reserved and nobody is kept from
sending: a call is known once its event holds what it used. `parse_event` is given every message, whichever way the
application reads. Live sessions only count up what a session used in all, and are not covered.
Checked against openai 3.52.0, `resources/realtime/realtime.py` and `resources/responses/responses.py`.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from outlay.guard import shielded
from outlay.patches import Patches
from outlay.providers.foreign import first_text, mapping
from outlay.recording import record_body
from outlay.runtime import Runtime

MODULES: Final = ("openai.resources.realtime.realtime", "openai.resources.responses.responses")
_CONNECTIONS: Final = (
    "RealtimeConnection",
    "AsyncRealtimeConnection",
    "ResponsesConnection",
    "AsyncResponsesConnection",
)
_ENDS: Final = frozenset({"response.done", "response.completed", "response.incomplete", "response.failed"})
_NAMED: Final = ("session.created", "session.updated")
_MARKS: Final = (b'"response.created"', b'"session.', *(f'"{end}"'.encode() for end in sorted(_ENDS)))
_STATE: Final = "_outlay_connection"


class _Connection:
    """What is known of a connection: its model, and when its latest response began."""

    __slots__ = ("began_ns", "model")

    def __init__(self) -> None:
        self.model: str | None = None
        self.began_ns: int | None = None


def patch(patches: Patches, runtime: Runtime, module: ModuleType) -> None:
    """Put the wrappers in place in one of `MODULES`."""
    read = functools.partial(_read, runtime)
    for name in _CONNECTIONS:
        if (kind := getattr(module, name, None)) is not None:
            patches.replace(kind, "parse_event", functools.partial(_wrap, read))


def _wrap(read: Callable[[Any, Any], None], original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def parse_event(connection: Any, data: Any) -> Any:
        event = original(connection, data)
        text = data.encode() if isinstance(data, str) else data
        if any(mark in text for mark in _MARKS):
            read(connection, text)
        return event

    return parse_event


@shielded
def _read(runtime: Runtime, connection: Any, text: bytes) -> None:
    if not runtime.is_active:
        return
    event = mapping(json.loads(text))
    kind = event.get("type")
    state = vars(connection).setdefault(_STATE, _Connection())
    if kind in _NAMED:
        state.model = first_text(mapping(event.get("session")), "model") or state.model
    elif kind == "response.created":
        state.began_ns = time.time_ns()
    elif kind in _ENDS:
        response = {"model": state.model, **mapping(event.get("response"))}
        now_ns = time.time_ns()
        record_body(runtime, "openai", response, None, state.began_ns or now_ns, now_ns)
