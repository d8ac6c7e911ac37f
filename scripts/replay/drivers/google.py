"""google-genai: Gemini's content, embeddings and token counts, of AI Studio and Vertex, and interactions."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from google.genai import Client, types
from google.oauth2.credentials import Credentials
from pydantic import ValidationError

from replay.drivers import NotReplayable, Play, drain, drain_async
from replay.recording import Exchange

SDK: Final = "google-genai"
_MODEL: Final = re.compile(
    r"/(?P<version>v1\w*)/(?:projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/)?"
    r"(?P<model>(?:publishers/[^/]+/)?(?:models|tunedModels)/[^/:]+):(?P<verb>\w+)"
)
_INTERACTIONS: Final = re.compile(r"/(?P<version>v1\w*)/interactions")
_CONFIG: Final = (
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "cachedContent",
    "labels",
    "serviceTier",
)
"""Fields that stand beside `generationConfig` on the wire, and inside the SDK's configuration."""


def play(exchange: Exchange, url: str, is_async: bool) -> Play:
    if exchange.provider not in ("google", "google-vertex") or exchange.method != "POST":
        raise NotReplayable("no SDK for it")
    if not isinstance(exchange.body, dict):
        raise NotReplayable("its body is no JSON object")
    found = _MODEL.fullmatch(exchange.path) or _INTERACTIONS.fullmatch(exchange.path)
    if found is None:
        raise NotReplayable("google-genai has no method for its path")
    parts = found.groupdict()
    client = _client(url, exchange.provider, parts["version"], parts.get("project"), parts.get("location"))
    method, given = _method(client.aio if is_async else client, parts, exchange)
    if is_async:
        return lambda: drain_async(method(**given))
    return lambda: drain(method(**given))


@lru_cache(maxsize=64)
def _client(url: str, provider: str, version: str, project: str | None, location: str | None) -> Client:
    options = types.HttpOptions(base_url=url, api_version=version, timeout=30_000)
    if provider == "google":
        return Client(api_key="replay", http_options=options)
    return Client(
        vertexai=True,
        project=project or "replay",
        location=location or "us-central1",
        credentials=Credentials("replay"),  # type: ignore[no-untyped-call]
        http_options=options,
    )


def _method(client: Any, parts: dict[str, str | None], exchange: Exchange) -> tuple[Any, dict[str, Any]]:
    """The SDK's method for the request, and what it is given."""
    body, verb, models = exchange.body, parts.get("verb"), client.models
    chosen = {"x-replay-id": exchange.id}
    if verb is None:
        return client.interactions.create, {**body, "extra_headers": chosen}
    given: dict[str, Any] = {"model": parts["model"], "config": {"http_options": {"headers": chosen}}}
    match verb:
        case "generateContent":
            return models.generate_content, _content(body, given)
        case "streamGenerateContent":
            return models.generate_content_stream, _content(body, given)
        case "countTokens":
            counted = _content(body.get("generateContentRequest", body), given)
            return models.count_tokens, {**given, "contents": counted["contents"]}
        case "embedContent" | "batchEmbedContents" | "predict":
            return models.embed_content, {**given, "contents": _texts(body)}
    raise NotReplayable(f"google-genai has no method for {verb}")


def _content(body: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """With contents and configuration as the SDK takes them. What it refuses is left out: the answer has its id."""
    config = dict(body.get("generationConfig") or body.get("generation_config") or {})
    config |= {name: body[name] for name in _CONFIG if name in body}
    contents = body.get("contents")
    turns = contents if isinstance(contents, list) else [contents]
    try:
        given = {**given, "contents": [types.Content.model_validate(each) for each in turns]}
        return {**given, "config": types.GenerateContentConfig.model_validate({**config, **given["config"]})}
    except ValidationError:
        return {"contents": "as was recorded", **given}


def _texts(body: dict[str, Any]) -> list[str]:
    """The texts that were to be embedded."""
    if "instances" in body:
        return [str(each.get("content")) for each in body["instances"]]
    asked = body.get("requests", [body])
    return [str(part.get("text")) for each in asked for part in each["content"]["parts"]]
