"""Mistral's document reader, billed by the page, and its conversations. (Its chat and embeddings are read as OpenAI's.)

Source: mistralai 3.7.0 `models/ocrresponse.py`, `ocrusageinfo.py`, `conversationresponse.py`, `conversationevents.py`.
"""

from __future__ import annotations

from outlay.providers.base import Reading
from outlay.providers.counts import attempt, count, usage_of
from outlay.providers.foreign import NOTHING, first_text, has, mapping, text
from outlay.providers.openai_usage import read_usage
from outlay.providers.tiers import served_terms
from outlay.providers.wire import Asked, Body, WireFormat


def fits(body: Body) -> bool:
    return has(mapping(body.get("usage_info")), "pages_processed")


def read(body: Body, asked: Asked) -> Reading:
    raw = mapping(body.get("usage_info"))
    usage, reason = attempt(lambda: usage_of({"page": count(raw, "pages_processed")}))
    return Reading(
        model_served=first_text(body, "model"),
        usage=usage,
        usage_raw=raw,
        reason_unread=reason,
        terms=served_terms(asked.request),
    )


def fits_conversation(body: Body) -> bool:
    return body.get("object") == "conversation.response"


def read_conversation(body: Body, asked: Asked) -> Reading:
    raw = mapping(body.get("usage"))
    usage, reason = attempt(lambda: read_usage(raw, asked.provider) if raw else None)
    return Reading(
        model_served=first_text(body, "model"),
        usage=usage,
        usage_raw=raw or None,
        reason_unread=reason,
        terms=served_terms(asked.request),
    )


def fits_event(event: Body) -> bool:
    return str(event.get("type")).startswith(("conversation.response.", "message.output."))


class ConversationStream:
    """Folds events: what was said comes in `message.output.delta`, the usage in `conversation.response.done`."""

    __slots__ = ("_asked", "_done", "_model", "finished", "output_characters")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._done: Body = NOTHING
        self._model: str | None = None
        self.finished = False
        self.output_characters = 0

    def feed(self, event: Body) -> None:
        kind = event.get("type")
        if kind == "message.output.delta":
            content = event.get("content")
            self.output_characters += len(text(content) or first_text(mapping(content), "text") or "")
            self._model = first_text(event, "model") or self._model
        elif kind == "conversation.response.done":
            self._done, self.finished = event, True

    @property
    def counted(self) -> bool:
        return bool(mapping(self._done.get("usage")))

    def reading(self) -> Reading:
        return read_conversation({"model": self._model, **self._done}, self._asked)


CONVERSATION = WireFormat(
    "mistral.conversation", "mistral", fits_conversation, read_conversation, fits_event, ConversationStream
)
OCR = WireFormat("mistral.ocr", "mistral", fits, read)
