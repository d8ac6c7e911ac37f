"""The wire formats and how one is found: the one way in for everyone who has a request or a response.

A reader belongs to a provider, because tiers, fees and reported charges differ, but it reads whatever format a body
turns out to have: Bedrock's Claude answers in Anthropic's, a gateway in anyone's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from outlay.providers import (
    anthropic,
    bedrock,
    cohere,
    google,
    mistral,
    ollama,
    openai_chat,
    openai_media,
    openai_responses,
    routes,
    watsonx,
)
from outlay.providers.base import Reader, Reading, Request, StreamReading
from outlay.providers.foreign import NOTHING, first_text, is_mapping, mapping, mappings
from outlay.providers.names import canonical_provider, provider_of_host
from outlay.providers.wire import Asked, Body, WireFormat

__all__ = ["ShapeReader", "batch_result", "canonical_provider", "marked", "provider_of_host", "reader_for", "sniff"]

FORMATS: Final[tuple[WireFormat, ...]] = (
    openai_chat.CHAT,
    anthropic.MESSAGES,
    google.GENERATE_CONTENT,
    openai_responses.RESPONSES,
    google.INTERACTIONS,
    cohere.COHERE,
    bedrock.CONVERSE,
    bedrock.TITAN,
    bedrock.LLAMA,
    openai_media.EMBEDDINGS,
    openai_media.IMAGES,
    openai_media.MODERATION,
    openai_media.VIDEO,
    google.PREDICTIONS,
    watsonx.WATSONX,
    ollama.OLLAMA,
    mistral.CONVERSATION,
    mistral.OCR,
    openai_media.TRANSCRIPTION,
)
"""In the order they are tried: the common ones first, the loosest last."""


def _is_alone(usage: Body) -> bool:
    return sum(value is not None for value in usage.values()) == 1


_MARKS: Final[tuple[tuple[str, Callable[[Body, Body], bool]], ...]] = (
    ("bedrock", lambda body, usage: str(body.get("id", "")).startswith("msg_bdrk_")),
    ("google-vertex", lambda body, usage: mapping(body.get("usageMetadata")).get("trafficType") is not None),
    ("openrouter", lambda body, usage: str(body.get("id", "")).startswith("gen-")),
    (
        "openrouter",
        lambda body, usage: (
            usage.get("is_byok") is not None
            or (usage.get("cost_details") is not None and usage.get("cost") is not None)
        ),
    ),
    (
        "perplexity",
        lambda body, usage: isinstance(usage.get("cost"), Mapping) or usage.get("search_context_size") is not None,
    ),
    ("groq", lambda body, usage: body.get("x_groq") is not None or usage.get("queue_time") is not None),
    ("deepseek", lambda body, usage: usage.get("prompt_cache_miss_tokens") is not None),
    (
        "azure",
        lambda body, usage: (
            body.get("prompt_filter_results") is not None or usage.get("audio_prompt_tokens") is not None
        ),
    ),
    (
        "xai",
        lambda body, usage: usage.get("cost_in_usd_ticks") is not None or usage.get("num_sources_used") is not None,
    ),
    ("voyageai", lambda body, usage: usage.get("total_tokens") is not None and _is_alone(usage)),
)
_MAKERS: Final = (
    (
        "openai",
        re.compile(r"(?:ft:)?(?:gpt-(?!oss)|o\d|chatgpt|text-embedding-|davinci|babbage|dall-e|whisper|tts)"),
    ),
    ("anthropic", re.compile(r"claude-")),
    ("google", re.compile(r"gemini-")),
    ("mistral", re.compile(r"(?:open-)?(?:mistral|mixtral|ministral|magistral|codestral|devstral|pixtral|voxtral)-")),
    ("xai", re.compile(r"grok-")),
    ("deepseek", re.compile(r"deepseek-(?:chat|reasoner|v\d)")),
    ("perplexity", re.compile(r"sonar")),
)
"""Models that go by this name at their maker's; hosts of open models write `vendor/model` or a name of their own."""

_UNKNOWN_SHAPE: Final = "the response is of no shape Outlay reads"


def reader_for(provider: str) -> Reader:
    """The reader of a provider's requests and responses."""
    return ShapeReader(canonical_provider(provider))


def sniff(response: object) -> str | None:
    """The provider of a bare response, None where it cannot be told.

    Many speak OpenAI's formats, so there the marks a provider leaves decide, then a model only its maker names so.
    """
    owner, body = _told_by_format(response)
    if owner is None:
        return None
    if (provider := marked(body)) is not None:
        return provider
    if owner != "openai":
        return owner
    model = first_text(body, "model")
    if model is None:
        return "openai"
    return next((provider for provider, names in _MAKERS if names.match(model)), None)


def marked(body: Body) -> str | None:
    """The provider that has left its mark on a response, None where there is none."""
    usage = mapping(body.get("usage"))
    return next((provider for provider, is_marked in _MARKS if is_marked(body, usage)), None)


def _told_by_format(response: object) -> tuple[str | None, Body]:
    """Whose format a response has, and its body; of a stream, what its events say where a body would say it."""
    if isinstance(response, Mapping):
        inner = batch_result(response)
        body = response if inner is None else inner
        found = _format_of(body)
        return (found.provider, body) if found else (None, NOTHING)
    found = next((each for each in map(_format_of_event, mappings(response)) if each), None)
    if found is None:
        return None, NOTHING
    reading = ShapeReader(found.provider).read_response(None, response)
    return found.provider, {"id": reading.response_id, "model": reading.model_served, "usage": reading.usage_raw}


@dataclass(frozen=True, slots=True)
class ShapeReader:
    """Reads one provider's bodies, each by the wire format it has."""

    provider: str
    read_request = staticmethod(routes.read_request)

    def read_response(self, request: Request | None, body: object) -> Reading:
        """A list is a stream that came as one array, as Gemini's does without `alt=sse`."""
        asked = Asked(self.provider, request)
        if isinstance(body, list):
            stream = self.start_stream(request)
            for event in mappings(body):
                stream.feed(event)
            return stream.reading()
        if not is_mapping(body):
            return Reading(reason_unread=_UNKNOWN_SHAPE)
        inner = batch_result(body)
        if inner is not None:
            found = self.read_response(request, inner)
            return replace(found, terms=replace(found.terms, batch=True))
        if asked.operation == "speech":
            return openai_media.read_speech(body, asked)
        found_format = _format_of(body)
        return found_format.read(body, asked) if found_format else Reading(reason_unread=_UNKNOWN_SHAPE)

    def start_stream(self, request: Request | None) -> StreamReading:
        return ShapeStream(Asked(self.provider, request))


def _format_of(body: Body) -> WireFormat | None:
    for each in FORMATS:
        if each.fits(body):
            return each
    return None


def _format_of_event(event: Body) -> WireFormat | None:
    for each in FORMATS:
        if each.fits_event is not None and each.fits_event(event):
            return each
    return None


def batch_result(line: Body) -> Mapping[str, Any] | None:
    """The response inside one line of a batch's results, None where the body is no such line.

    OpenAI and Mistral: `response.body`. Anthropic: `result.message`. Gemini: `response`, beside a `key`. xAI:
    `batch_result.response`, under the name of the endpoint (xai.batches.66b5cb06027d).
    """
    if "custom_id" in line:
        return mapping(mapping(line.get("response")).get("body") or mapping(line.get("result")).get("message"))
    if "key" in line and "response" in line:
        return mapping(line.get("response"))
    if "batch_result" in line:
        responses = mapping(mapping(line.get("batch_result")).get("response"))
        return mapping(next(iter(responses.values()), None))
    return None


class ShapeStream:
    """A stream whose format its first telling event decides."""

    __slots__ = ("_asked", "_fold", "feed")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._fold: StreamReading | None = None
        self.feed: Callable[[Body], None] = self._tell
        """Goes straight to the fold once there is one: a call less at every chunk."""

    @property
    def finished(self) -> bool:
        return self._fold.finished if self._fold else False

    @property
    def counted(self) -> bool:
        return self._fold.counted if self._fold else False

    @property
    def output_characters(self) -> int:
        return self._fold.output_characters if self._fold else 0

    def _tell(self, event: Body) -> None:
        if self._fold is None:
            told_by = _format_of_event(event) if is_mapping(event) else None
            if told_by is None or told_by.stream is None:
                return
            self._fold = told_by.stream(self._asked)
            self.feed = self._fold.feed
        self._fold.feed(event)

    def ask_as(self, provider: str) -> None:
        """Read what has been folded as that provider's: it has only now been told by its marks."""
        self._asked = replace(self._asked, provider=provider)
        if self._fold is not None:
            self._fold._asked = self._asked  # type: ignore[attr-defined]  # of every fold of a wire format

    def reading(self) -> Reading:
        return self._fold.reading() if self._fold else Reading(reason_unread="the stream ended before anything came")
