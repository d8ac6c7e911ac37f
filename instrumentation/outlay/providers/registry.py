"""Providers by name and by host, and the wire formats by shape: the one way in for everyone who has a response.

Outlay's names are short (`google`, `azure`, `bedrock`); the GenAI conventions' and other tools' spellings of them are
aliases here and nowhere else. A name nobody knows is kept as it is: a provider needs no entry to be read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from outlay.providers import (
    anthropic,
    bedrock,
    cohere,
    google,
    ollama,
    openai_chat,
    openai_media,
    openai_responses,
    routes,
    watsonx,
)
from outlay.providers.base import Reader, Reading, Request, StreamReading
from outlay.providers.foreign import mapping, mappings
from outlay.providers.wire import Asked, Body, WireFormat

_ALIASES: Final[dict[str, str]] = {
    "aws": "bedrock",
    "aws.bedrock": "bedrock",
    "aws_bedrock": "bedrock",
    "amazon": "bedrock",
    "amazon-bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "azure-openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gemini": "google",
    "google-gla": "google",
    "google_genai": "google",
    "gcp.vertex_ai": "google-vertex",
    "google_vertexai": "google-vertex",
    "vertex": "google-vertex",
    "vertex_ai": "google-vertex",
    "vertexai": "google-vertex",
    "fireworks_ai": "fireworks",
    "hugging_face": "huggingface",
    "ibm.watsonx.ai": "watsonx",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "moonshot_ai": "moonshot",
    "moonshotai": "moonshot",
    "together_ai": "together",
    "togetherai": "together",
    "voyage": "voyageai",
    "x_ai": "xai",
    "x-ai": "xai",
    "z.ai": "zai",
    "zhipu": "zai",
}
_HOSTS: Final[tuple[tuple[str, str], ...]] = (
    ("api.openai.com", "openai"),
    ("openai.azure.com", "azure"),
    ("services.ai.azure.com", "azure"),
    ("cognitiveservices.azure.com", "azure"),
    ("models.ai.azure.com", "azure"),
    ("inference.ai.azure.com", "azure"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "google"),
    ("aiplatform.googleapis.com", "google-vertex"),
    ("api.mistral.ai", "mistral"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.groq.com", "groq"),
    ("api.x.ai", "xai"),
    ("api.deepseek.com", "deepseek"),
    ("openrouter.ai", "openrouter"),
    ("api.perplexity.ai", "perplexity"),
    ("api.together.ai", "together"),
    ("api.together.xyz", "together"),
    ("api.cerebras.ai", "cerebras"),
    ("api.fireworks.ai", "fireworks"),
    ("api.voyageai.com", "voyageai"),
    ("huggingface.co", "huggingface"),
    ("ml.cloud.ibm.com", "watsonx"),
    ("api.writer.com", "writer"),
    ("snowflakecomputing.com", "snowflake"),
    ("inference.heroku.com", "heroku"),
    ("api.replicate.com", "replicate"),
    ("api.z.ai", "zai"),
    ("open.bigmodel.cn", "zai"),
    ("api.moonshot.ai", "moonshot"),
    ("crusoecloud.com", "crusoe"),
    ("ollama.com", "ollama"),
)
_BEDROCK_HOST: Final = re.compile(
    r"bedrock-(?:runtime|mantle|agent-runtime)[^/]*\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$"
)
_FORMATS: Final[tuple[WireFormat, ...]] = (
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
    google.PREDICTIONS,
    watsonx.WATSONX,
    ollama.OLLAMA,
    openai_media.TRANSCRIPTION,
)
"""In the order they are tried: the common ones first, the loosest last."""

_UNKNOWN_SHAPE: Final = "the response is of no shape Outlay reads"


def canonical_provider(name: str) -> str:
    """Outlay's name of a provider."""
    lowered = name.strip().lower()
    return _ALIASES.get(lowered, lowered)


def reader_for(provider: str) -> Reader:
    """The reader of a provider's requests and responses."""
    return _reader(canonical_provider(provider))


@cache
def _reader(provider: str) -> Reader:
    return ShapeReader(provider)


def provider_of_host(host: str) -> str | None:
    """The provider behind a host of a base URL, None where the host is nobody's we know (a proxy, a gateway)."""
    name = host.lower().partition(":")[0].rstrip(".")
    for suffix, provider in _HOSTS:
        if name == suffix or name.endswith(("." + suffix, "-" + suffix)):
            return provider
    return "bedrock" if _BEDROCK_HOST.match(name) else None


@dataclass(frozen=True, slots=True)
class ShapeReader:
    """Reads one provider's bodies, each by the wire format it has."""

    provider: str

    def read_request(self, path: str, body: Mapping[str, Any]) -> Request | None:
        return routes.read_request(path, body)

    def read_response(self, request: Request | None, body: object) -> Reading:
        """A list is a stream that came as one array, as Gemini's does without `alt=sse`."""
        asked = Asked(self.provider, request)
        if isinstance(body, list):
            stream = self.start_stream(request)
            for event in mappings(body):
                stream.feed(event)
            return stream.reading()
        if not isinstance(body, Mapping):
            return Reading(reason_unread=_UNKNOWN_SHAPE)
        inner = _batch_result(body)
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
    return next((each for each in _FORMATS if each.fits(body)), None)


def _batch_result(line: Body) -> Mapping[str, Any] | None:
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

    __slots__ = ("_asked", "_fold")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._fold: StreamReading | None = None

    @property
    def finished(self) -> bool:
        return self._fold.finished if self._fold else False

    @property
    def output_characters(self) -> int:
        return self._fold.output_characters if self._fold else 0

    def feed(self, event: Mapping[str, Any]) -> None:
        fold = self._fold
        if fold is None:
            if not isinstance(event, Mapping) or (fold := self._told_by(event)) is None:
                return
            self._fold = fold
        fold.feed(event)

    def _told_by(self, event: Mapping[str, Any]) -> StreamReading | None:
        for each in _FORMATS:
            if each.fits_event and each.stream and each.fits_event(event):
                return each.stream(self._asked)
        return None

    def reading(self) -> Reading:
        return self._fold.reading() if self._fold else Reading(reason_unread="the stream ended before anything came")
