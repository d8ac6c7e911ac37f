"""Gemini on loopback, told by the header `x-scene` of each request what to answer. Synthetic throughout.

A scene is words separated by commas: `cache` or `none` for what its counts say (by default the prompt was not cached),
and what goes wrong: `400`, `429` or `503` refuses, `429x2` the first two attempts of a session (`x-session`), `cut`
drops the connection after two chunks of a stream, `error` says so in a third, `wait` sends one, then nothing for long.
The prompt is 1,000 tokens, 600 of them cached, the answer 20, its thoughts 30; four chunks hold five tokens each.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.instrumentation.refusals import Refusals

PIECE: Final = "rivers and mountains"
CHUNKS: Final = 4
FUNCTION_CALL: Final = {"functionCall": {"name": "depth_of", "args": {"river": "Danube"}}}
REFUSALS: Final = {
    429: {
        "error": {
            "code": 429,
            "message": "You exceeded your current quota.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}],
        }
    },
    400: {"error": {"code": 400, "message": "Request contains an invalid argument.", "status": "INVALID_ARGUMENT"}},
    503: {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}},
}


@dataclass
class GoogleDouble:
    """The application to serve, and what it was asked: path and body of every request."""

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _refusals: Refusals = field(default_factory=Refusals)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        body = json.loads(await request.body() or b"{}")
        self.asked.append((request.url.path, body))
        scene = request.headers.get("x-scene", "").split(",")
        if status := self._refusals.status(scene, request.headers.get("x-session", "")):
            return JSONResponse(REFUSALS[status], status)
        _, _, verb = request.url.path.rpartition(":")
        headers = {"x-request-id": "req-7", "x-gemini-service-tier": "standard"}
        if verb.endswith(("/interactions", "/decisions")):
            return _interaction(body, scene, headers)
        match verb:
            case "generateContent":
                return JSONResponse(_whole(body, scene), headers=headers)
            case "streamGenerateContent":
                return StreamingResponse(_events(body, scene), media_type="text/event-stream", headers=headers)
            case "batchEmbedContents" | "embedContent":
                return JSONResponse(_vectors(body, scene), headers=headers)
            case "predict":
                return JSONResponse(_predictions(body), headers=headers)
            case "countTokens":
                return JSONResponse({"totalTokens": 1_000})
            case "predictLongRunning":
                return JSONResponse({"name": "models/veo-3.1-generate-preview/operations/1"})
            case _:
                return JSONResponse({"name": "batches/1", "metadata": {"state": "BATCH_STATE_PENDING"}})


def usage(scene: list[str], candidates: int = 20) -> dict[str, Any]:
    if "none" in scene:
        return {}
    counts = {
        "promptTokenCount": 1_000,
        "candidatesTokenCount": candidates,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 1_030 + candidates,
    }
    return {"usageMetadata": counts | ({"cachedContentTokenCount": 600} if "cache" in scene else {})}


def answer(parts: list[dict[str, Any]], counts: dict[str, Any], *, ends: bool = True) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if ends:
        candidate["finishReason"] = "STOP"
    return {"candidates": [candidate], **counts, "modelVersion": "gemini-2.5-flash", "responseId": "resp-7"}


def _whole(body: dict[str, Any], scene: list[str]) -> dict[str, Any]:
    """The text, or a call of the function that was offered, until its result is there."""
    return answer([FUNCTION_CALL] if _wants_function(body) else [{"text": PIECE * CHUNKS}], usage(scene))


def _wants_function(body: dict[str, Any]) -> bool:
    has_result = any("functionResponse" in part for turn in body["contents"] for part in turn["parts"])
    return bool(body.get("tools")) and not has_result


async def _events(body: dict[str, Any], scene: list[str]) -> AsyncIterator[bytes]:
    if _wants_function(body):
        yield _event(_whole(body, scene))
        return
    for number in range(1, CHUNKS + 1):
        if number == 3 and "cut" in scene:
            raise ConnectionResetError("the stream is cut on purpose")
        if number == 3 and "error" in scene:
            yield _event(REFUSALS[503])
            return
        if number == 2 and "wait" in scene:
            await asyncio.sleep(60)
        yield _event(answer([{"text": PIECE}], usage(scene, 5 * number), ends=number == CHUNKS))
        await asyncio.sleep(0)


def _event(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\r\n\r\n".encode()


def _interaction(body: dict[str, Any], scene: list[str], headers: dict[str, str]) -> Response:
    """What the Interactions API says of the same counts."""
    counts = {
        "total_input_tokens": 1_000,
        "total_output_tokens": 20,
        "total_thought_tokens": 30,
        "total_tokens": 1_050,
        **({"total_cached_tokens": 600} if "cache" in scene else {}),
    }
    begun = {"id": "int-7", "object": "interaction", "status": "in_progress", "model": body["model"]}
    steps = [{"type": "model_output", "content": [{"type": "text", "text": PIECE * CHUNKS}]}]
    whole = {**begun, "status": "completed", "steps": steps, **({} if "none" in scene else {"usage": counts})}
    if not body.get("stream"):
        return JSONResponse(whole, headers=headers)
    delta = {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": PIECE}}
    first = [
        {"event_type": "interaction.created", "interaction": begun},
        {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}},
        delta,
    ]
    rest = [*[delta] * (CHUNKS - 1), {"event_type": "interaction.completed", "interaction": {**whole, "steps": []}}]
    return StreamingResponse(_steps(first, rest, scene), media_type="text/event-stream", headers=headers)


async def _steps(first: list[Any], rest: list[Any], scene: list[str]) -> AsyncIterator[bytes]:
    for event in first:
        yield f"event: {event['event_type']}\ndata: {json.dumps(event)}\n\n".encode()
        await asyncio.sleep(0)
    if "cut" in scene:
        raise ConnectionResetError("the stream is cut on purpose")
    if "wait" in scene:
        await asyncio.sleep(60)
    for event in rest:
        yield f"event: {event['event_type']}\ndata: {json.dumps(event)}\n\n".encode()
        await asyncio.sleep(0)
    yield b"event: done\ndata: [DONE]\n\n"


def _vectors(body: dict[str, Any], scene: list[str]) -> dict[str, Any]:
    vectors = [{"values": [0.1, 0.2]} for _ in body.get("requests", [body])]
    counts = {} if "none" in scene else {"usageMetadata": {"promptTokenCount": 1_000}}
    return {"embeddings": vectors, **counts} if "requests" in body else {"embedding": vectors[0], **counts}


def _predictions(body: dict[str, Any]) -> dict[str, Any]:
    if "sampleCount" in body.get("parameters", {}):
        image = {"bytesBase64Encoded": "aW1hZ2U=", "mimeType": "image/png"}
        return {"predictions": [image] * body["parameters"]["sampleCount"]}
    vector = {"embeddings": {"values": [0.1], "statistics": {"token_count": 500, "truncated": False}}}
    return {"predictions": [vector for _ in body["instances"]]}
