"""The calls whose cost `overhead.py` measures: OpenAI's and Anthropic's SDK, a whole answer and streams of two lengths.

The provider is the HTTP client's own in-memory transport, so that nothing but Python is measured. Works with the majors
of the SDKs that peers ask for: with httpx2, and with httpx before it.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import anthropic
import openai
import openai._base_client

http: Final[Any] = importlib.import_module("httpx2" if "httpx2" in vars(openai._base_client) else "httpx")
QUESTION: Any = [{"role": "user", "content": "Name three rivers of Europe and say where each of them ends. " * 8}]
SIZES = (10, 110)
"""Of the streams, in chunks of text."""

Call = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Made:
    """A call as an application makes it: `create` asks, and a stream is read to its end."""

    sdk: str
    create: Call
    streamed: bool

    def __call__(self) -> Any:
        last = self.create()
        if self.streamed:
            for chunk in last:
                last = chunk
        return last


def events(chunks: Iterable[tuple[str | None, dict[str, Any]]], end: bytes = b"") -> Any:
    lines = [(f"event: {kind}\n" if kind else "") + f"data: {json.dumps(data)}\n\n" for kind, data in chunks]
    content = "".join(lines).encode() + end
    return http.Response(200, headers={"content-type": "text/event-stream"}, content=content)


def openai_answer(request: Any) -> Any:
    asked = json.loads(request.content)
    head = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o-2024-08-06", "system_fingerprint": "fp_1"}
    usage = {
        "prompt_tokens": 1068,
        "completion_tokens": 110,
        "total_tokens": 1178,
        "prompt_tokens_details": {"cached_tokens": 256, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    if not asked.get("stream"):
        message = {"role": "assistant", "content": "The Rhine, the Danube and the Rhône. " * 10, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        answer = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        return http.Response(200, headers={"x-request-id": "req_1"}, json=answer)
    head["object"] = "chat.completion.chunk"
    words = [{"index": 0, "delta": {"content": "Rhine "}, "finish_reason": None}] * int(asked["seed"])
    chunks: list[dict[str, Any]] = [{**head, "choices": [word], "usage": None} for word in words]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None})
    chunks.append({**head, "choices": [], "usage": usage})
    return events(((None, chunk) for chunk in chunks), b"data: [DONE]\n\n")


def anthropic_answer(request: Any) -> Any:
    asked = json.loads(request.content)
    usage = {
        "input_tokens": 812,
        "cache_read_input_tokens": 256,
        "cache_creation_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 110,
        "service_tier": "standard",
    }
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [{"type": "text", "text": "The Rhine, the Danube and the Rhône. " * 10}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    if not asked.get("stream"):
        return http.Response(200, headers={"request-id": "req_1"}, json=message)
    opening = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Rhine "}}
    parts: list[dict[str, Any]] = [
        {"type": "message_start", "message": opening},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[delta] * (asked["max_tokens"]),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 110}},
        {"type": "message_stop"},
    ]
    return events((part["type"], part) for part in parts)


def openai_calls() -> dict[str, Made]:
    transport = http.MockTransport(openai_answer)
    client = openai.OpenAI(api_key="none", http_client=http.Client(transport=transport))

    def create(**asked: Any) -> Any:  # looked up at every call: instrumentations replace it
        return client.chat.completions.create(model="gpt-4o", messages=QUESTION, **asked)

    options: Any = {"include_usage": True}
    streams = {
        f"stream of {size}": Made("openai", partial(create, stream=True, stream_options=options, seed=size), True)
        for size in SIZES
    }
    return {"unary": Made("openai", create, False), **streams}


def anthropic_calls() -> dict[str, Made]:
    transport = http.MockTransport(anthropic_answer)
    traces_itself = "open_telemetry" in inspect.signature(anthropic.Anthropic).parameters
    silent: Any = {"open_telemetry": False} if traces_itself else {}
    client = anthropic.Anthropic(api_key="none", http_client=http.Client(transport=transport), **silent)

    def create(**asked: Any) -> Any:
        return client.messages.create(model="claude-sonnet-4-6", messages=QUESTION, **asked)

    streams = {
        f"stream of {size}": Made("anthropic", partial(create, max_tokens=size, stream=True), True) for size in SIZES
    }
    return {"unary": Made("anthropic", partial(create, max_tokens=100), False), **streams}


def all_calls() -> dict[str, Made]:
    return {
        f"{sdk} {kind}": made
        for sdk, calls in (("openai", openai_calls()), ("anthropic", anthropic_calls()))
        for kind, made in calls.items()
    }
