"""Anthropic's wire format: one answer as a message, whole or streamed.

Field for field what api.anthropic.com sends (anthropic 2.11.0 `types/`, and streams recorded in 2025 and 2026). Its
`input_tokens` leaves out what the prompt cache served or stored; a stream says the input in `message_start` and the
cumulative output in `message_delta`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final

from outlay_collector.demo.answers import Answer, PromptCache, identifier, served, text_of, token_count, write

Body = Mapping[str, Any]
Event = tuple[str, dict[str, Any]]

CACHEABLE_TOKENS: Final = 1024
_DELTA_USAGE: Final = frozenset(
    {
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
        "output_tokens_details",
    }
)


def answer(draw: Random, cache: PromptCache, body: Body) -> Answer:
    """Answers a message. System blocks up to the last one with `cache_control` are the cached prefix."""
    model = str(body["model"])
    prefix, ttl = _marked(body.get("system"))
    cacheable = token_count(prefix)
    if cacheable < CACHEABLE_TOKENS:
        cacheable = 0
    held = bool(cacheable) and cache.holds(model, prefix)
    thinking = body.get("thinking") or {}
    output, reasoning, chunks, cut = write(draw, body.get("max_tokens"), thinks=thinking.get("type") == "enabled")
    return Answer(
        model=served(model),
        input_tokens=token_count(body) + 8,
        cache_read=cacheable if held else 0,
        cache_write_5m=0 if held or ttl == "1h" else cacheable,
        cache_write_1h=0 if held or ttl != "1h" else cacheable,
        output_tokens=output,
        reasoning_tokens=reasoning,
        chunks=chunks,
        cut=cut,
    )


def _marked(system: Any) -> tuple[str, str]:
    """The text up to the last marked block, and that mark's time to live."""
    if not isinstance(system, list):
        return "", "5m"
    marks = [index for index, block in enumerate(system) if block.get("cache_control")]
    if not marks:
        return "", "5m"
    return text_of(system[: marks[-1] + 1]), system[marks[-1]]["cache_control"].get("ttl", "5m")


def usage(answer: Answer) -> dict[str, Any]:
    written = answer.cache_write_5m + answer.cache_write_1h
    found: dict[str, Any] = {
        "input_tokens": answer.input_tokens - answer.cache_read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": answer.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": answer.cache_write_5m,
            "ephemeral_1h_input_tokens": answer.cache_write_1h,
        },
        "output_tokens": answer.output_tokens,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }
    if answer.reasoning_tokens:
        found["output_tokens_details"] = {"thinking_tokens": answer.reasoning_tokens}
    return found


def message(draw: Random, answer: Answer) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}]
    if answer.reasoning_tokens:
        content.insert(0, {"type": "thinking", "thinking": "", "signature": identifier(draw, 64)})
    return {
        "model": answer.model,
        "id": f"msg_01{identifier(draw, 22)}",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": "max_tokens" if answer.cut else "end_turn",
        "stop_sequence": None,
        "usage": usage(answer),
    }


def message_events(whole: Mapping[str, Any], answer: Answer) -> Iterator[Event]:
    """The events of a streamed message: the counts known so far in the first, the final ones in the last but one."""
    for name, fields in _message_events(whole, answer):
        yield name, {"type": name, **fields}


def _message_events(whole: Mapping[str, Any], answer: Answer) -> Iterator[Event]:
    begun = {key: value for key, value in whole["usage"].items() if key != "output_tokens_details"}
    begun["output_tokens"] = 1
    yield "message_start", {"message": {**whole, "content": [], "stop_reason": None, "usage": begun}}
    *before, text = whole["content"]
    for index, block in enumerate(before):
        yield "content_block_start", {"index": index, "content_block": {**block, "signature": ""}}
        signature = {"type": "signature_delta", "signature": block["signature"]}
        yield "content_block_delta", {"index": index, "delta": signature}
        yield "content_block_stop", {"index": index}
    yield "content_block_start", {"index": len(before), "content_block": {**text, "text": ""}}
    yield "ping", {}
    for piece in answer.chunks:
        yield "content_block_delta", {"index": len(before), "delta": {"type": "text_delta", "text": piece}}
    yield "content_block_stop", {"index": len(before)}
    ended = {key: value for key, value in whole["usage"].items() if key in _DELTA_USAGE}
    yield "message_delta", {"delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None}, "usage": ended}
    yield "message_stop", {}


def error(kind: str, message: str, request_id: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
