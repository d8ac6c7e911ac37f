"""Mistral's SDK: what is asked of Mistral at the paths its methods have."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from mistralai.client import Mistral

from replay.drivers import NotReplayable, Play, arguments, drain, drain_async
from replay.recording import Exchange

SDK: Final = "mistralai"
_JOB: Final = re.compile(r"/v1/batch/jobs/([^/]+)$")


def play(exchange: Exchange, url: str, is_async: bool) -> Play:
    if exchange.provider != "mistral":
        raise NotReplayable("no SDK for it")
    method, given = _method(_client(url), exchange, "_async" if is_async else "")
    given |= {"http_headers": {"x-replay-id": exchange.id}}
    given.pop("", None)
    if is_async:
        return lambda: drain_async(method(**given))
    return lambda: drain(method(**given))


@lru_cache(maxsize=8)
def _client(url: str) -> Any:
    return Mistral(api_key="replay", server_url=url, timeout_ms=30_000)


def _method(client: Any, exchange: Exchange, kind: str) -> tuple[Any, dict[str, Any]]:
    """The SDK's method for the request, and what it is given. What it has no parameter for is left out."""
    body, path = exchange.body, exchange.path
    job = _JOB.match(path)
    if job is not None and exchange.method == "GET":
        return getattr(client.batch.jobs, f"get{kind}"), {"job_id": job[1]}
    if exchange.method != "POST" or not isinstance(body, dict):
        raise NotReplayable("mistralai has no method for it")
    streamed = exchange.is_streaming
    posted: dict[str, Any] = {
        "/v1/chat/completions": (client.chat, "stream" if streamed else "complete"),
        "/v1/fim/completions": (client.fim, "stream" if streamed else "complete"),
        "/v1/agents/completions": (client.agents, "stream" if streamed else "complete"),
        "/v1/conversations": (client.beta.conversations, "start_stream" if streamed else "start"),
        "/v1/embeddings": (client.embeddings, "create"),
        "/v1/moderations": (client.classifiers, "moderate"),
        "/v1/ocr": (client.ocr, "process"),
        "/v1/batch/jobs": (client.batch.jobs, "create"),
        "/v1/audio/speech": (client.audio.speech, "complete"),
    }
    if path not in posted:
        raise NotReplayable("mistralai has no method for it")
    resource, name = posted[path]
    method = getattr(resource, name + kind)
    if "input" in body and path == "/v1/embeddings":
        body = {**body, "inputs": body["input"]}
    return method, arguments(method, {key: value for key, value in body.items() if key != "stream"}, rest="")
