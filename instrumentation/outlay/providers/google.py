"""Google's generateContent, whole and streamed, its embeddings and its Interactions API; AI Studio and Vertex alike.

Gemini's counts are four disjoint totals: prompt, tool-use prompt, candidates, thoughts. What was cached is part of the
prompt. `google_usage` turns them into buckets; here is where they stand, and what grounding costs beside them.

Source: google-genai 2.x `types.py`, `GenerateContentResponse`; the recordings named below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from outlay.model import Usage
from outlay.providers.base import Reading
from outlay.providers.counts import attempt, count, usage_of
from outlay.providers.foreign import NOTHING, first_text, has, mapping, mappings, text, texts
from outlay.providers.google_usage import GENERATE, INTERACTION, read_usage
from outlay.providers.tiers import served_terms
from outlay.providers.wire import Asked, Body, WireFormat, unfinished

_TRAFFIC: Final = {1: "on_demand", 2: "provisioned"}
"""Vertex over gRPC sends enumerations as numbers (google-vertex.generateContent.06b7230fe642)."""
_BILLED_BY_PROMPT: Final = re.compile(r"gemini-[12]\b")
_SNAKE: Final = re.compile(r"_([a-z])")
_DEEPEST: Final = 5
"""Levels down to the last field that is read: body, candidates, candidate, grounding metadata, queries."""


def fits(body: Body) -> bool:
    return has(body, "usageMetadata") or has(body, "usage_metadata") or isinstance(body.get("candidates"), list)


def read(body: Body, asked: Asked) -> Reading:
    body = _camel(body)
    candidates = list(mappings(body.get("candidates")))
    finish_reasons = texts(*(candidate.get("finishReason") for candidate in candidates))
    return _assemble(body, mapping(body.get("usageMetadata")), finish_reasons, _queries(candidates), asked)


def _camel(body: Body) -> Body:
    """The body as the wire has it. A response dumped from the SDK's objects has its names in snake case."""
    return mapping(_renamed(body, _DEEPEST)) if has(body, "usage_metadata") else body


def _renamed(value: object, levels: int) -> object:
    if levels and isinstance(value, Mapping):
        return {_camel_name(name): _renamed(inner, levels - 1) for name, inner in value.items()}
    if levels and isinstance(value, list):
        return [_renamed(item, levels - 1) for item in value]
    return value


def _camel_name(name: object) -> str:
    return _SNAKE.sub(lambda letter: letter[1].upper(), str(name))


def _queries(candidates: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The searches that were run, each once; Gemini 3 lists an empty one too (google.generateContent.14dbba650195)."""
    metadata = (mapping(candidate.get("groundingMetadata")) for candidate in candidates)
    return texts(*(query for each in metadata for query in _listed(each.get("webSearchQueries"))))


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else ()


def _assemble(
    body: Body, raw: Mapping[str, Any], finish_reasons: tuple[str, ...], queries: tuple[str, ...], asked: Asked
) -> Reading:
    model = first_text(body, "modelVersion")
    usage, reason = attempt(lambda: read_usage(raw, GENERATE, _grounding(queries, model or asked.model)))
    traffic = raw.get("trafficType")
    return Reading(
        model_served=model,
        response_id=first_text(body, "responseId"),
        finish_reasons=finish_reasons,
        usage=usage,
        usage_raw=raw or None,
        reason_unread=reason,
        terms=served_terms(
            asked.request,
            text(raw.get("serviceTier")) or (_TRAFFIC.get(traffic) if isinstance(traffic, int) else traffic),
        ),
    )


def _grounding(queries: tuple[str, ...], model: str | None) -> dict[str, int]:
    """Google Search costs Gemini 1 and 2 once a grounded prompt, later models once a query."""
    if not queries:
        return {}
    if _BILLED_BY_PROMPT.search(model or ""):
        return {"web_search": 1}
    return {"web_search_query": len(queries)}


class GenerateContentStream:
    """Folds chunks. Each carries the counts so far, and the last whole set of them is the bill: sets are not merged.

    Gemini 3 counts the turns around a search one by one and the whole in the last chunk, which may leave out fields the
    earlier ones had (google.generateContent.s.2b027ec9904f).
    """

    __slots__ = ("_asked", "_finish_reasons", "_last", "_queries", "_usage", "finished", "output_characters")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._last: Body = NOTHING
        self._usage: Mapping[str, Any] = NOTHING
        self._queries: tuple[str, ...] = ()
        self._finish_reasons: tuple[str, ...] = ()
        self.finished = False
        self.output_characters = 0

    def feed(self, event: Body) -> None:
        if has(event, "usage_metadata"):
            event = _camel(event)
        self._last = event
        if usage := event.get("usageMetadata"):
            self._usage = mapping(usage)
        try:
            for candidate in event.get("candidates") or ():
                for part in (candidate.get("content") or NOTHING).get("parts") or ():
                    self.output_characters += len(part.get("text") or "")
                if reason := candidate.get("finishReason"):
                    self.finished = True
                    self._finish_reasons = texts(*self._finish_reasons, reason)
                if "groundingMetadata" in candidate:
                    self._queries = texts(*self._queries, *_queries((candidate,)))
        except (AttributeError, TypeError):
            return  # a chunk of another shape adds nothing

    @property
    def counted(self) -> bool:
        return bool(self._usage)

    def reading(self) -> Reading:
        found = _assemble(self._last, self._usage, self._finish_reasons, self._queries, self._asked)
        return found if self.finished else unfinished(found)


def _fits_predictions(body: Body) -> bool:
    return isinstance(body.get("predictions"), list)


def _read_predictions(body: Body, asked: Asked) -> Reading:
    """Vertex's older endpoint: vectors, each with its count (google-vertex.predict.1c82a8c7a596), or images."""
    predictions = list(mappings(body.get("predictions")))
    counted = [mapping(mapping(p.get("embeddings")).get("statistics")) for p in predictions]

    def usage() -> Usage | None:
        tokens = [count(statistics, "token_count") for statistics in counted]
        if any(n is not None for n in tokens):
            return usage_of({"input": sum(n or 0 for n in tokens)})
        images = sum("bytesBase64Encoded" in prediction for prediction in predictions)
        return usage_of({"image": images}) if images else None

    found, reason = attempt(usage)
    return Reading(usage=found, reason_unread=reason, terms=served_terms(asked.request))


def _fits_interaction(body: Body) -> bool:
    return body.get("object") == "interaction" or has(mapping(body.get("usage")), "total_input_tokens")


def _read_interaction(body: Body, asked: Asked) -> Reading:
    """One interaction (google.interactions.6f97232a7fa2): the same totals under other names."""
    raw = mapping(body.get("usage"))
    usage, reason = attempt(lambda: read_usage(raw, INTERACTION, {}))
    return Reading(
        model_served=first_text(body, "model"),
        response_id=first_text(body, "id"),
        finish_reasons=texts(body.get("status")),
        usage=usage,
        usage_raw=raw or None,
        reason_unread=reason,
        terms=served_terms(asked.request, body.get("service_tier")),
    )


class InteractionStream:
    """Folds events; `interaction.completed` holds the whole (google.interactions.s.a30e647426cf)."""

    __slots__ = ("_asked", "_interaction", "finished", "output_characters")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._interaction: Body = NOTHING
        self.finished = False
        self.output_characters = 0

    def feed(self, event: Body) -> None:
        if interaction := event.get("interaction"):
            self._interaction = mapping(interaction) or self._interaction
            self.finished = "usage" in self._interaction
        elif delta := event.get("delta"):
            self.output_characters += len(text(mapping(delta).get("text")) or "")

    @property
    def counted(self) -> bool:
        return bool(mapping(self._interaction.get("usage")))

    def reading(self) -> Reading:
        return _read_interaction(self._interaction, self._asked)


GENERATE_CONTENT = WireFormat("google.generateContent", "google", fits, read, fits, GenerateContentStream)
PREDICTIONS = WireFormat("google.predict", "google-vertex", _fits_predictions, _read_predictions)
INTERACTIONS = WireFormat(
    "google.interactions",
    "google",
    _fits_interaction,
    _read_interaction,
    lambda event: "interaction" in event or str(event.get("event_type", "")).startswith(("interaction.", "step.")),
    InteractionStream,
)
