"""Cohere: chat, embeddings and reranking, v1 and v2.

Cohere counts twice. `tokens` is what the model saw, `billed_units` what is charged: its chat template and what was
cached are not (cohere.chat.020b67149ace: 1,469 tokens seen, 45 billed). Buckets are what is billed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outlay.model import Usage
from outlay.providers.base import Reading
from outlay.providers.counts import Contradiction, attempt, count, detail, usage_of
from outlay.providers.foreign import NOTHING, first_text, has, mapping, text, texts
from outlay.providers.tiers import served_terms
from outlay.providers.wire import Asked, Body, WireFormat


def fits(body: Body) -> bool:
    return has(_raw(body), "billed_units")


def _raw(body: Body) -> Mapping[str, Any]:
    """The v2 chat keeps its counts in `usage`, everything else in `meta`."""
    return mapping(body.get("usage")) or mapping(body.get("meta"))


def read(body: Body, asked: Asked) -> Reading:
    raw = _raw(body)
    usage, reason = attempt(lambda: _read_usage(raw))
    return Reading(
        response_id=first_text(body, "response_id", "id"),
        finish_reasons=texts(body.get("finish_reason")),
        usage=usage,
        usage_raw=raw or None,
        reason_unread=reason,
        terms=served_terms(asked.request),
    )


def _read_usage(raw: Mapping[str, Any]) -> Usage | None:
    billed = detail(raw, "billed_units")
    if not billed:
        if has(raw, "tokens"):
            raise Contradiction("tokens are counted but no billed_units: what is charged is not said")
        return None
    thoughts, made = count(detail(raw, "tokens"), "reasoning_tokens"), count(billed, "output_tokens")
    return usage_of(
        {
            "input": count(billed, "input_tokens"),
            "input_image": count(billed, "image_tokens"),
            "output": made,
            "reasoning": thoughts if thoughts is not None and made is not None and thoughts <= made else None,
            "rerank_search": count(billed, "search_units"),
            "image": count(billed, "images"),
        }
    )


def fits_event(event: Body) -> bool:
    return event.get("type") in ("message-start", "content-start", "content-delta", "tool-plan-delta") or (
        "event_type" in event and "is_finished" in event
    )


class ChatStream:
    """Folds events: v2's `message-end` holds the usage (cohere.chat.s.ebe666e0afa1), v1's `stream-end` the response."""

    __slots__ = ("_asked", "_end", "_id", "finished", "output_characters")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._id: str | None = None
        self._end: Body = NOTHING
        self.finished = False
        self.output_characters = 0

    def feed(self, event: Body) -> None:
        kind = event.get("type") or event.get("event_type")
        if kind == "content-delta":
            content = mapping(mapping(mapping(event.get("delta")).get("message")).get("content"))
            self.output_characters += len(first_text(content, "text", "thinking") or "")
        elif kind == "text-generation":
            self.output_characters += len(text(event.get("text")) or "")
        elif kind == "message-end":
            self._end, self.finished = mapping(event.get("delta")), True
        elif kind == "stream-end":
            self._end, self.finished = mapping(event.get("response")), True
        elif kind in ("message-start", "stream-start"):
            self._id = first_text(event, "id", "generation_id")

    @property
    def counted(self) -> bool:
        return bool(_raw(self._end))

    def reading(self) -> Reading:
        return read({"id": self._id, **self._end}, self._asked)


COHERE = WireFormat("cohere", "cohere", fits, read, fits_event, ChatStream)
