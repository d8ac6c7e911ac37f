"""Ollama's own API, whole and streamed. (Its OpenAI-compatible one is read as OpenAI's.)

Source: ollama `docs/api.md`; local.ollama.chat.5ef9ee44730f. A prompt Ollama still holds is not counted again, and
`prompt_eval_count` is left out then: it stays unknown.
"""

from __future__ import annotations

from outlay.model import Usage
from outlay.providers.base import Reading
from outlay.providers.counts import attempt, count, usage_of
from outlay.providers.foreign import NOTHING, first_text, mapping, texts
from outlay.providers.tiers import served_terms
from outlay.providers.wire import Asked, Body, WireFormat

_COUNTS = ("prompt_eval_count", "eval_count")


def fits(body: Body) -> bool:
    return "eval_count" in body or "prompt_eval_count" in body or ("done" in body and "created_at" in body)


def read(body: Body, asked: Asked) -> Reading:
    raw = {field: body[field] for field in _COUNTS if field in body}

    def usage() -> Usage | None:
        return usage_of({"input": count(raw, _COUNTS[0]), "output": count(raw, _COUNTS[1])}) if raw else None

    found, reason = attempt(usage)
    return Reading(
        model_served=first_text(body, "model"),
        finish_reasons=texts(body.get("done_reason")),
        usage=found,
        usage_raw=raw or None,
        reason_unread=reason,
        terms=served_terms(asked.request),
    )


class OllamaStream:
    """Folds lines; the one that is `done` holds the counts."""

    __slots__ = ("_asked", "_last", "finished", "output_characters")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._last: Body = NOTHING
        self.finished = False
        self.output_characters = 0

    def feed(self, event: Body) -> None:
        self._last = event
        produced = event.get("response") or first_text(mapping(event.get("message")), "content", "thinking")
        if type(produced) is str:
            self.output_characters += len(produced)
        if event.get("done") is True:
            self.finished = True

    @property
    def counted(self) -> bool:
        return not self._last.keys().isdisjoint(_COUNTS)

    def reading(self) -> Reading:
        return read(self._last, self._asked)


OLLAMA = WireFormat("ollama", "ollama", fits, read, fits, OllamaStream)
