"""OpenAI's Responses API, whole and streamed, as OpenAI, Azure, xAI, DeepSeek and Bedrock serve it.

Source: openai 3.52.0 `types/responses/response.py`, `response_usage.py`, `response_stream_event.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from outlay.model import Quantity, Usage
from outlay.providers.base import Reading
from outlay.providers.charges import reported_cost
from outlay.providers.counts import NO_USAGE, attempt, count, usage_of
from outlay.providers.foreign import NOTHING, first_text, has, mapping, mappings, text, texts
from outlay.providers.openai_media import image_buckets
from outlay.providers.openai_usage import read_usage
from outlay.providers.tiers import served_terms
from outlay.providers.wire import Asked, Body, WireFormat

_OBJECTS: Final = ("response", "response.compaction", "realtime.response")
_TERMINAL: Final = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


def fits(body: Body) -> bool:
    return body.get("object") in _OBJECTS or (
        ("output" in body or "answers" in body) and not has(body, "choices") and has(_raw(body), "input_tokens")
    )


def read(body: Body, asked: Asked) -> Reading:
    """The reading of one response. One that is still `queued` or `in_progress` has no usage yet."""
    raw = _raw(body)
    usage, reason = attempt(lambda: _read_usage(body, raw, asked))
    status = text(body.get("status"))
    if reason == NO_USAGE and status in ("queued", "in_progress"):
        reason = f"the response is {status}"
    return Reading(
        model_served=first_text(body, "model"),
        response_id=first_text(body, "id"),
        finish_reasons=texts(mapping(body.get("incomplete_details")).get("reason") or status),
        usage=usage,
        usage_raw=raw or None,
        reason_unread=reason,
        terms=served_terms(asked.request, body.get("service_tier")),
        provider_cost_usd=reported_cost(asked.provider, raw),
    )


def _raw(body: Body) -> Mapping[str, Any]:
    return mapping(body.get("usage"))


def _read_usage(body: Body, raw: Mapping[str, Any], asked: Asked) -> Usage | None:
    usage = read_usage(raw, asked.provider, _fees(body, raw))
    images = mapping(mapping(body.get("tool_usage")).get("image_gen"))
    if usage is None or not images.get("total_tokens"):
        return usage
    return Usage(usage.quantities, usage.inferred, {_image_model(body): usage_of(image_buckets(images))})


def _image_model(body: Body) -> str:
    """The model behind the image tool; its default where the tool names none (openai `types/responses/tool.py`)."""
    for tool in mappings(body.get("tools")):
        if tool.get("type") == "image_generation" and text(tool.get("model")):
            return str(tool["model"])
    return "gpt-image-1"


def _fees(body: Body, raw: Mapping[str, Any]) -> dict[str, Quantity]:
    """Charges for hosted tools. The usage object holds none of OpenAI's, so the output's items are counted.

    Only searches cost: a `web_search_call` that opens a page or looks inside one does not, which is also what
    `tool_usage.web_search.num_requests` counts where it is sent (openai.responses.8516bf628ee5). Sandboxes are billed
    by container, not by call. xAI says how often each of its tools ran (xai.responses.8253c63bb14e).
    """
    ran = mapping(raw.get("server_side_tool_usage_details"))
    if ran:
        searches = (count(ran, "web_search_calls") or 0) + (count(ran, "x_search_calls") or 0)
        files = (count(ran, "file_search_calls") or 0) + (count(ran, "document_search_calls") or 0)
        sandboxes = count(ran, "code_interpreter_calls") or 0
    else:
        items = list(mappings(body.get("output")))
        billable = count(mapping(mapping(body.get("tool_usage")).get("web_search")), "num_requests")
        searches = sum(map(_searches, items)) if billable is None else billable
        files = sum(item.get("type") == "file_search_call" for item in items)
        sandboxes = len({str(i.get("container_id")) for i in items if i.get("type") == "code_interpreter_call"})
    fees: dict[str, Quantity] = {"web_search": searches, "file_search": files, "code_session": sandboxes}
    return {unit: n for unit, n in fees.items() if n}


def _searches(item: Mapping[str, Any]) -> bool:
    action = mapping(item.get("action")).get("type")
    return item.get("type") == "web_search_call" and action in (None, "search")


def fits_event(event: Body) -> bool:
    kind = event.get("type")
    return isinstance(kind, str) and (kind.startswith("response.") or kind == "error")


class ResponsesStream:
    """Folds events. The terminal one holds the whole response; until then there is no usage."""

    __slots__ = ("_asked", "_response", "finished", "output_characters")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._response: Body = NOTHING
        self.finished = False
        self.output_characters = 0

    def feed(self, event: Body) -> None:
        delta = event.get("delta")
        if type(delta) is str:
            self.output_characters += len(delta)
        elif response := event.get("response"):
            self._response = mapping(response) or self._response
            self.finished = event.get("type") in _TERMINAL

    @property
    def counted(self) -> bool:
        return bool(mapping(self._response.get("usage")))

    def reading(self) -> Reading:
        return read(self._response, self._asked)


RESPONSES = WireFormat("openai.responses", "openai", fits, read, fits_event, ResponsesStream)
