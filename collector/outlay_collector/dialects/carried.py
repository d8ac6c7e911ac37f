"""What of a provider's own answer a span carries with it: the whole response, or its usage object, as a text.

Such a text is nearer the truth than the attributes beside it: it has the tier, the lifetimes of cache writes and the
fees for which there are no attributes. It is read by the provider's own reader and let go. Texts are JSON or, where a
Python library printed an object, a Python literal.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson
from outlay.providers.base import Reading
from outlay.providers.foreign import mapping
from outlay.providers.registry import reader_for, sniff

from outlay_collector.dialects.base import count, first
from outlay_collector.dialects.counts import Counted, Counts, read_counts

Document = Mapping[str, Any]

_LONGEST_LITERAL: Final = 16_384
_DEEPEST_LITERAL: Final = 16
_NOTHING: Final[Document] = {}
_ANTHROPIC: Final = frozenset(
    {"cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "server_tool_use", "inference_geo"}
)
_CHAT: Final = frozenset({"prompt_tokens", "completion_tokens"})
_GOOGLE: Final = frozenset({"promptTokenCount", "prompt_token_count"})
_RESPONSES: Final = frozenset({"input_tokens", "output_tokens"})


def json_object(value: object) -> Document:
    """The object in a JSON text; empty where there is none, or where it was cut."""
    found = json_value(value)
    return found if isinstance(found, dict) else _NOTHING


def json_value(value: object) -> Any:
    """What a JSON text says; None where it is none."""
    if not isinstance(value, str):
        return None
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None


def printed_object(value: object) -> Document:
    """The object in a JSON text or in Python's `str` of a dict; empty where there is none."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, str) or len(value) > _LONGEST_LITERAL or not value.startswith("{"):
        return _NOTHING
    if found := json_object(value):
        return found
    if value.count("{") + value.count("[") + value.count("(") > _DEEPEST_LITERAL:
        return _NOTHING
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _NOTHING
    return found if isinstance(found, dict) else _NOTHING


def printed_completion(value: object) -> Document:
    """The response in what OpenAI's SDK prints of one, `ChatCompletion(id='c1', ...)`; empty where there is none.
    It is parsed, never run: names beside texts and numbers make it none."""
    if not isinstance(value, str) or len(value) > _LONGEST_LITERAL or not value.startswith("ChatCompletion("):
        return _NOTHING
    try:
        found = _printed(ast.parse(value, mode="eval").body)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _NOTHING
    return found if isinstance(found, dict) else _NOTHING


def _printed(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        return {part.arg: _printed(part.value) for part in node.keywords if part.arg}
    if isinstance(node, ast.List):
        return [_printed(item) for item in node.elts]
    return ast.literal_eval(node)


def read_usage_object(provider: str, model: str | None, raw: Document) -> Reading:
    """The reading of a usage object that came without its response: its keys tell whose it is.

    Where its details contradict one another, its totals and its cache are read alone, as from attributes.
    """
    reading = reader_for(provider).read_response(None, _response_around(provider, model, raw))
    if reading.usage is None and raw:
        found = _counted(raw)
        return replace(reading, usage=found.usage, reason_unread=found.reason or reading.reason_unread)
    return reading


def _counted(raw: Document) -> Counted:
    into = mapping(raw.get("prompt_tokens_details")) or mapping(raw.get("input_tokens_details"))
    counts = Counts(
        input=count(first(raw, ("prompt_tokens", "input_tokens"))),
        output=count(first(raw, ("completion_tokens", "output_tokens"))),
        total=count(raw.get("total_tokens")),
        cache_read=count(first({**raw, **into}, ("cached_tokens", "cache_read_input_tokens"))),
        cache_write=count(first({**raw, **into}, ("cache_write_tokens", "cache_creation_input_tokens"))),
    )
    return read_counts(counts, exclusive=not _ANTHROPIC.isdisjoint(raw), has_output=True)


def provider_of_answer(model: str | None, raw: Document) -> str | None:
    """Whose answer it was, of one that is told by its model and its usage alone; None where these do not tell."""
    return sniff(_response_around("", model, raw)) if model or raw else None


def _response_around(provider: str, model: str | None, raw: Document) -> Document:
    """The smallest response of the shape that this usage object belongs to."""
    if not _CHAT.isdisjoint(raw):
        return {"object": "chat.completion", "choices": [], "model": model, "usage": raw}
    if not _ANTHROPIC.isdisjoint(raw):
        return {"type": "message", "model": model, "usage": raw}
    if not _GOOGLE.isdisjoint(raw):
        return {"candidates": [], "modelVersion": model, "usageMetadata": raw}
    if not _RESPONSES.isdisjoint(raw):
        if provider == "anthropic" or (model or "").startswith("claude"):
            return {"type": "message", "model": model, "usage": raw}
        return {"object": "response", "output": [], "model": model, "usage": raw}
    return {"object": "chat.completion", "choices": [], "model": model}


def agreeing(reading: Reading, counted: Reading) -> Reading:
    """The provider's own answer where what it counts is what the span counts; the span's own where the answer was cut,
    hidden or put together out of several."""
    ours, theirs = counted.usage, reading.usage
    if theirs is None:
        return counted
    return reading if ours is None or ours.input_tokens == theirs.input_tokens else counted
