"""Mistral, Cohere and Bedrock on loopback, told by the header `x-scene` of each request what to answer. Synthetic.

A scene is words separated by commas: `cache` or `none` for what its counts say (by default the prompt was not cached),
and what goes wrong: `429` refuses, `429x2` the first two attempts of a session (`x-session`), `cut` drops the
connection after two chunks of a stream, `error` says so in a third, `wait` sends one and then nothing for a minute.
The prompt is 1,000 tokens, 600 of them cached, the answer 20; four chunks hold five tokens each.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.instrumentation.refusals import Refusals

PIECE: Final = "rivers and mountains"
CHUNKS: Final = 4
LIMITS: Final = {
    "x-ratelimit-limit-req-minute": "60",
    "x-ratelimit-remaining-req-minute": "57",
    "x-ratelimit-limit-tokens-minute": "500000",
    "x-ratelimit-remaining-tokens-minute": "498980",
    "x-ratelimit-tokens-query-cost": "1020",
    "mistral-correlation-id": "req-7",
}
Event = dict[str, Any]


@dataclass
class VendorsDouble:
    """The application to serve, and what it was asked: the path of every request."""

    asked: list[str] = field(default_factory=list)
    _refusals: Refusals = field(default_factory=Refusals)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        path = unquote(request.url.path)
        self.asked.append(path)
        body = await request.body()
        asked = json.loads(body) if body[:1] == b"{" else {}
        scene = request.headers.get("x-scene", "").split(",")
        if status := self._refusals.status(scene, request.headers.get("x-session", "")):
            refused = {"retry-after": "0", "x-amzn-errortype": "ThrottlingException"}
            return JSONResponse({"message": "slow down"}, status, headers=refused)
        if "/model/" in path:
            return _bedrock(path, asked, scene)
        return _cohere(path, asked, scene) if path.startswith("/cohere") else _mistral(path, asked, scene)


async def _chunks(events: list[Event], error: Event, scene: list[str], encode: Callable[[Event], bytes]) -> Any:
    """The events, broken off as the scene asks; the first four are those that hold text."""
    for number, event in enumerate(events, 1):
        if number == 3 and "cut" in scene:
            raise ConnectionResetError("the stream is cut on purpose")
        if number == 3 and "error" in scene:
            yield encode(error)
            return
        if number == 2 and "wait" in scene:
            await asyncio.sleep(60)
        yield encode(event)
        await asyncio.sleep(0)


def _sse(event: Event) -> bytes:
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


# Mistral.


def _mistral(path: str, asked: Event, scene: list[str]) -> Response:
    said: Event = {"id": "resp-7", "object": "chat.completion", "model": "mistral-large-latest", "created": 1}
    counts = {"prompt_tokens": 1_000, "completion_tokens": 20, "total_tokens": 1_020}
    if "cache" in scene:
        counts |= {"num_cached_tokens": 600}
    usage = {} if "none" in scene else {"usage": counts}
    if path.endswith("/embeddings"):
        counts = {"prompt_tokens": 1_000, "completion_tokens": 0, "total_tokens": 1_000}
        vector = {"object": "embedding", "index": 0, "embedding": [0.1]}
        return JSONResponse(
            {"id": "resp-7", "object": "list", "model": "mistral-embed", "data": [vector], "usage": counts}
        )
    if path.endswith("/ocr"):
        page = {"index": 0, "markdown": "text", "images": [], "dimensions": None}
        pages = {"pages_processed": 3, "doc_size_bytes": 100}
        return JSONResponse({"pages": [page], "model": "mistral-ocr-latest", "usage_info": pages})
    if path.endswith("/transcriptions"):
        counts = {"prompt_tokens": 4, "completion_tokens": 20, "total_tokens": 24, "prompt_audio_seconds": 30}
        return JSONResponse(
            {"model": "voxtral-mini-latest", "text": PIECE, "language": None, "segments": [], "usage": counts}
        )
    if path.endswith("/conversations"):
        entry = {"object": "entry", "type": "message.output", "role": "assistant", "content": PIECE, "id": "msg_1"}
        return JSONResponse({"object": "conversation.response", "conversation_id": "c1", "outputs": [entry], **usage})
    if path.endswith("/moderations"):
        return JSONResponse({"id": "resp-7", "model": "mistral-moderation-latest", "results": []})
    if not asked.get("stream"):
        message = {"role": "assistant", "content": PIECE * CHUNKS, "tool_calls": None}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        whole = {**said, "choices": [choice], "usage": usage.get("usage", {})}
        return JSONResponse(whole, headers=LIMITS)
    events = [_mistral_chunk(said, PIECE) for _ in range(CHUNKS)]
    events.append({**_mistral_chunk(said, "", "stop"), **usage})
    return StreamingResponse(_mistral_stream(events, scene), media_type="text/event-stream", headers=LIMITS)


def _mistral_chunk(said: Event, text: str, finish_reason: str | None = None) -> Event:
    return {**said, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}]}


async def _mistral_stream(events: list[Event], scene: list[str]) -> AsyncIterator[bytes]:
    error = {"object": "error", "message": "the model is overloaded", "code": "3505"}
    async for piece in _chunks(events, error, scene, _sse):
        yield piece
    yield b"data: [DONE]\n\n"


# Cohere.


def _cohere(path: str, asked: Event, scene: list[str]) -> Response:
    billed = {"input_tokens": 1_000, "output_tokens": 20}
    counts: Event = {"billed_units": billed, "tokens": {"input_tokens": 1_066, "output_tokens": 21}}
    if "cache" in scene:
        counts |= {"cached_tokens": 600}
    if path.endswith("/embed"):
        meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 1_000}}
        return JSONResponse({"id": "resp-7", "embeddings": {"float": [[0.1]]}, "texts": ["x"], "meta": meta})
    if path.endswith("/rerank"):
        return JSONResponse({"id": "resp-7", "results": [], "meta": {"billed_units": {"search_units": 1}}})
    if path.startswith("/cohere/v1"):
        return _cohere_first(asked, counts, scene)
    usage = {} if "none" in scene else {"usage": counts}
    if not asked.get("stream"):
        message = {"role": "assistant", "content": [{"type": "text", "text": PIECE * CHUNKS}]}
        return JSONResponse({"id": "resp-7", "message": message, "finish_reason": "COMPLETE", **usage})
    events = [_cohere_delta(PIECE) for _ in range(CHUNKS)]
    events.append({"type": "message-end", "id": "resp-7", "delta": {"finish_reason": "COMPLETE", **usage}})
    return StreamingResponse(_chunks(events, {}, scene, _sse), media_type="text/event-stream")


def _cohere_delta(text: str) -> Event:
    return {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}


def _cohere_first(asked: Event, counts: Event, scene: list[str]) -> Response:
    """The API before: newline-delimited JSON."""
    meta = {} if "none" in scene else {"meta": {"api_version": {"version": "1"}, **counts}}
    answer = {
        "response_id": "resp-7",
        "generation_id": "g1",
        "text": PIECE * CHUNKS,
        "finish_reason": "COMPLETE",
        **meta,
    }
    if not asked.get("stream"):
        return JSONResponse(answer)
    events: list[Event] = [
        {"is_finished": False, "event_type": "text-generation", "text": PIECE} for _ in range(CHUNKS)
    ]
    events.append({"is_finished": True, "event_type": "stream-end", "finish_reason": "COMPLETE", "response": answer})
    lines = _chunks(events, {}, scene, lambda event: json.dumps(event).encode() + b"\n")
    return StreamingResponse(lines, media_type="application/stream+json")


# Bedrock.


def _bedrock(path: str, asked: Event, scene: list[str]) -> Response:
    stop = {"stopReason": "end_turn"}
    read = 600 if "cache" in scene else 0
    counts: Event = {"inputTokens": 1_000 - read, "outputTokens": 20, "totalTokens": 1_020}
    answer: Event = {"output": {"message": {"role": "assistant", "content": [{"text": PIECE * CHUNKS}]}}, **stop}
    if path.endswith("/converse"):
        usage = (
            {} if "none" in scene else {"usage": {**counts, "cacheReadInputTokens": read, "cacheWriteInputTokens": 0}}
        )
        return JSONResponse({**answer, **usage, "metrics": {"latencyMs": 5}}, headers={"x-amzn-requestid": "req-7"})
    if path.endswith("/invoke"):
        native = {"inputTokens": 1_000 - read, "outputTokens": 20, "cacheReadInputTokenCount": read}
        usage = {} if "none" in scene else {"usage": native}
        return JSONResponse({**answer, **usage}, headers={} if "none" in scene else _counted(read))
    is_native = path.endswith("/invoke-with-response-stream")
    deltas: list[Event] = [{"contentBlockDelta": {"delta": {"text": PIECE}, "contentBlockIndex": 0}}] * CHUNKS
    end: list[Event] = [{"messageStop": stop}]
    if "none" not in scene:
        cached = {"cacheReadInputTokens": read} if read else {}
        end.append({"metadata": {"usage": {**counts, **cached}, "metrics": {"latencyMs": 5}}})
    encode = _chunk_frame if is_native else _frame
    kind = {"x-amzn-bedrock-content-type": "application/json"} if is_native else {}
    frames = _chunks([*deltas, *end], {"!": "modelStreamErrorException"}, scene, encode)
    return StreamingResponse(frames, media_type="application/vnd.amazon.eventstream", headers=kind)


def _counted(read: int) -> dict[str, str]:
    return {
        "x-amzn-bedrock-input-token-count": str(1_000 - read),
        "x-amzn-bedrock-output-token-count": "20",
        "x-amzn-bedrock-cache-read-input-token-count": str(read),
    }


def _frame(event: Event) -> bytes:
    """A message of AWS's event stream encoding, checksums included."""
    ((name, content),) = event.items()
    if name == "!":
        headers = {":message-type": "exception", ":exception-type": content, ":content-type": "application/json"}
        return _message(headers, {"message": "the model is out of order"})
    return _message({":message-type": "event", ":event-type": name, ":content-type": "application/json"}, content)


def _chunk_frame(event: Event) -> bytes:
    """An event of invoke_model's stream: the model's own format, wrapped once more."""
    if "!" in event:
        return _frame(event)
    return _frame({"chunk": {"bytes": base64.b64encode(json.dumps(event).encode()).decode()}})


def _message(headers: dict[str, str], content: Event) -> bytes:
    head = b"".join(_header(name, value) for name, value in headers.items())
    payload = json.dumps(content).encode()
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    start = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return start + struct.pack(">I", zlib.crc32(start))


def _header(name: str, value: str) -> bytes:
    return struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value)) + value.encode()
