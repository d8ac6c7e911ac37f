"""OpenAI's wire format: one answer as a chat completion, a response, an embedding, whole or streamed.

Field for field what api.openai.com sends (openai 3.52.0 `types/`, and streams recorded in 2026); only what a client
ignores is left out. The usage object is made in one place an operation, and the last event of a stream carries the
same one as the whole body.
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final

from outlay_collector.demo.answers import (
    Answer,
    PromptCache,
    hexadecimal,
    identifier,
    served,
    text_of,
    token_count,
    write,
)

Body = Mapping[str, Any]
Event = tuple[str | None, dict[str, Any]]
"""A server-sent event: its name (chat completions have none) and its data."""

CACHEABLE_TOKENS: Final = 1024
CACHE_STEP: Final = 128
DIMENSIONS: Final = {"text-embedding-3-large": 3072}


def answer(draw: Random, cache: PromptCache, body: Body) -> Answer:
    """Answers a chat completion or a response. The system prompt is the cached prefix, once it has 1,024 tokens."""
    model = str(body["model"])
    messages = body.get("messages")
    prefix = text_of(messages[:1] if messages else body.get("instructions", ""))
    cacheable = token_count(prefix) // CACHE_STEP * CACHE_STEP
    held = cacheable >= CACHEABLE_TOKENS and cache.holds(model, prefix)
    cap = body.get("max_completion_tokens") or body.get("max_tokens") or body.get("max_output_tokens")
    output, reasoning, chunks, cut = write(draw, cap, thinks=model.startswith(("gpt-5", "o3", "o4")))
    return Answer(
        model=served(model),
        input_tokens=token_count(body) + 8,
        cache_read=cacheable if held else 0,
        output_tokens=output,
        reasoning_tokens=reasoning,
        chunks=chunks,
        cut=cut,
    )


def chat_usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def chat_completion(draw: Random, answer: Answer, created: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    finish = "length" if answer.cut else "stop"
    return {
        "id": f"chatcmpl-{identifier(draw, 29)}",
        "object": "chat.completion",
        "created": created,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": chat_usage(answer),
        "service_tier": "default",
        "system_fingerprint": "fp_synthetic01",
    }


def chat_chunks(whole: Mapping[str, Any], answer: Answer, *, with_usage: bool) -> Iterator[Event]:
    """The events of a streamed chat completion. Usage comes last, without choices, and only when asked for."""
    head = {key: whole[key] for key in ("id", "created", "model", "service_tier", "system_fingerprint")}
    head["object"] = "chat.completion.chunk"
    unsaid = {"usage": None} if with_usage else {}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return None, {**head, "choices": [choice], **unsaid}

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for text in answer.chunks:
        yield chunk({"content": text})
    yield chunk({}, whole["choices"][0]["finish_reason"])
    if with_usage:
        yield None, {**head, "choices": [], "usage": whole["usage"]}


def response(draw: Random, answer: Answer, body: Body, created: int) -> dict[str, Any]:
    output = _output(draw, answer)
    return {
        "id": f"resp_{hexadecimal(draw, 50)}",
        "object": "response",
        "created_at": created,
        "status": "incomplete" if answer.cut else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if answer.cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": answer.cache_read},
            "output_tokens": answer.output_tokens,
            "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _output(draw: Random, answer: Answer) -> list[dict[str, Any]]:
    """What was thought, where something was, and the message."""
    message = {
        "id": f"msg_{hexadecimal(draw, 50)}",
        "type": "message",
        "status": "incomplete" if answer.cut else "completed",
        "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": answer.text}],
        "role": "assistant",
    }
    thought = {"id": f"rs_{hexadecimal(draw, 50)}", "type": "reasoning", "summary": []}
    return [thought, message] if answer.reasoning_tokens else [message]


def response_events(whole: Mapping[str, Any], answer: Answer) -> Iterator[Event]:
    """The events of a streamed response; the last one holds the whole response with its usage."""
    for number, (name, fields) in enumerate(_response_events(whole, answer)):
        yield name, {"type": name, **fields, "sequence_number": number}


def _response_events(whole: Mapping[str, Any], answer: Answer) -> Iterator[tuple[str, dict[str, Any]]]:
    begun = {**whole, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    *before, message = whole["output"]
    for index, item in enumerate(before):
        yield "response.output_item.added", {"item": item, "output_index": index}
        yield "response.output_item.done", {"item": item, "output_index": index}
    part = message["content"][0]
    at = {"output_index": len(before)}
    text_at = {**at, "item_id": message["id"], "content_index": 0}
    yield "response.output_item.added", {**at, "item": {**message, "status": "in_progress", "content": []}}
    yield "response.content_part.added", {**text_at, "part": {**part, "text": ""}}
    for text in answer.chunks:
        yield "response.output_text.delta", {**text_at, "delta": text, "logprobs": []}
    yield "response.output_text.done", {**text_at, "text": part["text"], "logprobs": []}
    yield "response.content_part.done", {**text_at, "part": part}
    yield "response.output_item.done", {**at, "item": message}
    yield f"response.{whole['status']}", {"response": dict(whole)}


def embeddings(draw: Random, body: Body) -> dict[str, Any]:
    """Vectors of the asked-for length; base64 of little-endian floats where asked for, as the SDK does."""
    texts = body["input"]
    model = str(body["model"])
    size = body.get("dimensions") or DIMENSIONS.get(model, 1536)
    encoded = body.get("encoding_format") == "base64"
    tokens = token_count(texts)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _vector(draw, size, encoded=encoded)}
            for index in range(1 if isinstance(texts, str) else len(texts))
        ],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _vector(draw: Random, size: int, *, encoded: bool) -> str | list[float]:
    vector = array("f", (draw.uniform(-0.1, 0.1) for _ in range(size)))
    return base64.b64encode(vector.tobytes()).decode() if encoded else vector.tolist()


def error(kind: str, message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
