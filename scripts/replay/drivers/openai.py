"""OpenAI's SDK: OpenAI and Azure, and everyone who serves OpenAI's paths."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

from replay.drivers import NotReplayable, Play, arguments, drain, drain_async
from replay.recording import Exchange

SDK: Final = "openai"
_RESOURCES: Final = (
    "chat/completions|completions|responses|embeddings|moderations|images|audio|batches|files|conversations"
    "|vector_stores|threads|assistants|models(?=$|/[^/]+$)"
)
_PATH: Final = re.compile(rf"(.*?)/({_RESOURCES})(/.*)?$")
_DEPLOYMENT: Final = re.compile(r"/+openai/deployments/([^/]+)(/.+)")


def play(exchange: Exchange, url: str, is_async: bool) -> Play:
    found = _PATH.match(exchange.path)
    if found is None or exchange.api in ("messages", "generateContent", "chat", "rerank"):
        raise NotReplayable("no SDK for it")
    deployment = _DEPLOYMENT.match(exchange.path)
    query = exchange.query
    if deployment is not None and "api-version" in query:
        client = _azure(url, deployment[1], query.pop("api-version"), is_async)
    else:
        client = _client(url + found[1], is_async)
    method, given = _method(client, exchange, found[2] + (found[3] or ""))
    chosen = {"x-replay-id": exchange.id}
    if "cast_to" in given:
        given["options"] = {"headers": chosen, "params": query}
    else:
        given |= {"extra_headers": chosen, "extra_query": query or None}
    if is_async:
        return lambda: drain_async(method(**given))
    return lambda: drain(method(**given))


@lru_cache(maxsize=64)
def _client(url: str, is_async: bool) -> Any:
    kind = AsyncOpenAI if is_async else OpenAI
    return kind(base_url=url, api_key="replay", max_retries=0, timeout=30)


@lru_cache(maxsize=64)
def _azure(url: str, deployment: str, api_version: str, is_async: bool) -> Any:
    kind = AsyncAzureOpenAI if is_async else AzureOpenAI
    return kind(
        azure_endpoint=url,
        azure_deployment=deployment,
        api_version=api_version,
        api_key="replay",
        max_retries=0,
        timeout=30,
    )


def _method(client: Any, exchange: Exchange, path: str) -> tuple[Any, dict[str, Any]]:
    """The SDK's method for the request, and what it is given."""
    body = exchange.body
    if exchange.method == "GET":
        method, given = _getter(client, path)
        return method, {**given, "stream": True} if exchange.is_streaming else given
    posted = {
        "chat/completions": client.chat.completions.create,
        "completions": client.completions.create,
        "responses": client.responses.create,
        "responses/compact": client.responses.compact,
        "embeddings": client.embeddings.create,
        "moderations": client.moderations.create,
        "images/generations": client.images.generate,
        "audio/speech": client.audio.speech.create,
        "batches": client.batches.create,
    }
    if path in posted and exchange.method == "POST":
        if not isinstance(body, dict):
            raise NotReplayable("its body is no JSON object")
        return posted[path], arguments(posted[path], body)
    return _form_method(client, exchange, path)


def _getter(client: Any, path: str) -> tuple[Any, dict[str, Any]]:
    one = re.fullmatch(r"(responses|batches)/([^/]+)", path)
    if path in ("models", "batches"):
        return getattr(client, path).list, {}
    if one is None:
        raise NotReplayable("nothing billed is fetched there")
    name = "response_id" if one[1] == "responses" else "batch_id"
    return getattr(client, one[1]).retrieve, {name: one[2]}


def _form_method(client: Any, exchange: Exchange, path: str) -> tuple[Any, dict[str, Any]]:
    """What takes files; which file was sent does not matter to the server."""
    forms: dict[str, tuple[Any, dict[str, Any]]] = {
        "audio/transcriptions": (client.audio.transcriptions.create, {"file": ("a.wav", b"RIFF0000")}),
        "audio/translations": (client.audio.translations.create, {"file": ("a.wav", b"RIFF0000")}),
        "images/edits": (client.images.edit, {"image": ("a.png", b"PNG"), "prompt": "x"}),
        "images/variations": (client.images.create_variation, {"image": ("a.png", b"PNG")}),
    }
    if exchange.method != "POST":
        raise NotReplayable("nothing billed is asked there")
    if path not in forms:
        return client.post, {"path": f"/{path}", "cast_to": object, "body": exchange.body}
    method, given = forms[path]
    named = {"model": exchange.raw["model"]} if exchange.raw.get("model") else {}
    return method, {"model": "whisper-1", **given, **named} if path.startswith("audio") else {**given, **named}
