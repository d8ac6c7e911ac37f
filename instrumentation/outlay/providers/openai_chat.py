"""OpenAI's chat and text completions, whole and streamed, as forty providers speak them.

Source: openai 3.52.0 `types/chat/chat_completion.py`, `chat_completion_chunk.py`, `types/completion.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from outlay.providers.base import Reading
from outlay.providers.charges import reported_cost
from outlay.providers.counts import attempt, count
from outlay.providers.foreign import NOTHING, first_text, mapping, mappings, text, texts
from outlay.providers.openai_usage import read_usage
from outlay.providers.tiers import served_terms
from outlay.providers.wire import Asked, Body, WireFormat, unfinished

_SEARCH_MODEL: Final = re.compile(r"-search-(?:preview|api)")
_SONAR: Final = re.compile(r"sonar(?:-reasoning)?(?:-pro)?")


def fits(body: Body) -> bool:
    """A completion has choices. Servers leave `object` out or empty, so it is not asked for."""
    return isinstance(body.get("choices"), list) and not isinstance(body.get("results"), list)


def read(body: Body, asked: Asked) -> Reading:
    """The reading of one completion. Mistral names the tier in its usage, everyone else beside it."""
    usage = mapping(body.get("usage"))
    return assemble(body, usage, asked, texts(*[c.get("finish_reason") for c in mappings(body.get("choices"))]))


def assemble(body: Body, raw: Mapping[str, Any], asked: Asked, finish_reasons: tuple[str, ...]) -> Reading:
    """A reading of a body (or the last event of a stream) and the usage that belongs to it."""
    model = first_text(body, "model")
    usage, reason = attempt(lambda: read_usage(raw, asked.provider, _fees(raw, asked, model or asked.model)))
    return Reading(
        model_served=model,
        response_id=first_text(body, "id"),
        finish_reasons=finish_reasons,
        usage=usage,
        usage_raw=raw or None,
        reason_unread=reason,
        terms=served_terms(asked.request, text(body.get("service_tier")) or raw.get("service_tier")),
        provider_cost_usd=reported_cost(asked.provider, raw),
    )


def _fees(raw: Mapping[str, Any], asked: Asked, model: str | None) -> dict[str, int]:
    """Charges that are no tokens.

    OpenAI's search models search once a call, whatever they answer. OpenRouter counts its searches in the usage, under
    either of two names, Perplexity those of deep research; its other models cost a fee a request.
    """
    tools = mapping(raw.get("server_tool_use_details")) or mapping(raw.get("server_tool_use"))
    if searches := count(tools, "web_search_requests"):
        return {"web_search": searches}
    if queries := count(raw, "num_search_queries"):
        return {"web_search_query": queries}
    if raw and asked.provider in ("openai", "azure") and _SEARCH_MODEL.search(model or ""):
        return {"web_search": 1}
    if raw and asked.provider == "perplexity" and _SONAR.fullmatch(model or ""):
        return {"request": 1}
    return {}


def fits_event(event: Body) -> bool:
    """A chunk. Its `choices` are empty where only usage or Azure's filter results are sent."""
    return isinstance(event.get("choices"), list)


class ChatStream:
    """Folds chunks. Usage comes in the last chunk, in every chunk, or (Groq) under `x_groq`: the last one counts.

    A chunk that only carries text touches four keys.
    """

    __slots__ = (
        "_asked",
        "_finish_reasons",
        "_first",
        "_last",
        "_times_counted",
        "_usage",
        "finished",
        "output_characters",
    )

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._first: Body | None = None
        self._last: Body = NOTHING
        self._usage: Mapping[str, Any] = NOTHING
        self._times_counted = 0
        self._finish_reasons: tuple[str, ...] = ()
        self.finished = False
        self.output_characters = 0

    def feed(self, event: Body) -> None:
        if not self._first and event.get("model"):
            self._first = event
        self._last = event
        if (usage := event.get("usage") or event.get("x_groq")) is not None:
            self._note_usage(usage)
        try:
            for choice in event.get("choices") or ():
                if content := (choice.get("delta") or choice).get("content") or choice.get("text"):
                    self.output_characters += len(content)
                else:
                    self._note_rest(choice)
                if reason := choice.get("finish_reason"):
                    self.finished = True
                    self._finish_reasons = texts(*self._finish_reasons, reason)
        except (AttributeError, TypeError):
            return  # a chunk of another shape adds nothing

    def _note_usage(self, usage: object) -> None:
        found = mapping(usage)
        found = mapping(found.get("usage")) if "usage" in found else found
        if found.get("prompt_tokens") is not None or found.get("total_tokens") is not None:
            self._usage, self._times_counted = found, self._times_counted + 1
            self.finished = self.finished or not self._last.get("choices")

    def _note_rest(self, choice: Mapping[str, Any]) -> None:
        """Text that is no answer but was produced and is billed: thoughts and the arguments of tools."""
        delta = mapping(choice.get("delta"))
        if thought := first_text(delta, "reasoning_content", "reasoning"):
            self.output_characters += len(thought)
        for tool in mappings(delta.get("tool_calls")):
            self.output_characters += len(text(mapping(tool.get("function")).get("arguments")) or "")

    @property
    def counted(self) -> bool:
        return self._times_counted > 0

    def reading(self) -> Reading:
        """Counts that came more than once are running ones, and those of a broken stream are not the last."""
        body = {**self._last, **_named(self._first or self._last)}
        found = assemble(body, self._usage, self._asked, self._finish_reasons)
        return found if self.finished or self._times_counted < 2 else unfinished(found)


def _named(event: Body) -> dict[str, Any]:
    """Who answered, as the first chunk that says so tells it: Azure's own first chunk has empty names."""
    return {field: event[field] for field in ("id", "model") if event.get(field)}


CHAT = WireFormat("openai.chat", "openai", fits, read, fits_event, ChatStream)
