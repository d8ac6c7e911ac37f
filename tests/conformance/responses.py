"""Responses that are made up, in their provider's format, and what `outlay price` says they cost.

What each costs is worked out by hand beside it, in USD for a million tokens (a thousand searches), at the prices of the
day it is dated.
"""

from __future__ import annotations

import json
from typing import Any

from outlay_collector.cli import app
from typer.testing import CliRunner

JUNE = "2026-06-15T12:00:00Z"


def message(model: str, given: int, made: int = 0, **usage: Any) -> dict[str, Any]:
    """Anthropic's; `usage` is whatever stands in it beside the two counts."""
    counts = {"input_tokens": given, "output_tokens": made, **usage}
    return {"id": "msg_1", "type": "message", "model": model, "content": [], "usage": counts}


def written(short: int, long: int, total: int | None = None) -> dict[str, Any]:
    """Anthropic's cache writes by lifetime; `total` where it is more than the two."""
    lifetimes = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
    return {"cache_creation_input_tokens": total or short + long, "cache_creation": lifetimes}


def completion(model: str, given: int, made: int = 0, tier: str | None = None, **details: Any) -> dict[str, Any]:
    """OpenAI's chat; `prompt` and `completion` are the breakdowns of the two counts, the rest stands beside them."""
    breakdowns = {f"{side}_tokens_details": details.pop(side) for side in ("prompt", "completion") if side in details}
    usage = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made, **breakdowns, **details}
    return {"id": "c", "object": "chat.completion", "model": model, "choices": [], "service_tier": tier, "usage": usage}


def response(model: str, given: int, made: int = 0, tier: str | None = None, **rest: Any) -> dict[str, Any]:
    """OpenAI's Responses; `cached` and `stored` are parts of the input, `output` is the list of its items."""
    details = {"cached_tokens": rest.get("cached", 0), "cache_write_tokens": rest.get("stored", 0)}
    usage = {"input_tokens": given, "input_tokens_details": details, "output_tokens": made}
    body = {"id": "r", "object": "response", "model": model, "status": "completed", "service_tier": tier}
    return {**body, "output": rest.get("output", []), "usage": usage}


def generated(model: str, queries: list[str] | None = None, **counts: Any) -> dict[str, Any]:
    """Gemini's; `counts` without their ending: prompt, cachedContent, candidates, thoughts, toolUsePrompt."""
    usage = {f"{name}TokenCount" if isinstance(n, int) else name: n for name, n in counts.items()}
    grounding = {"groundingMetadata": {"webSearchQueries": queries}} if queries else {}
    return {"candidates": [{"finishReason": "STOP", **grounding}], "usageMetadata": usage, "modelVersion": model}


def items(kind: str, times: int, **rest: Any) -> list[dict[str, Any]]:
    return [{"type": kind, "id": f"{kind}_{number}", "status": "completed", **rest} for number in range(times)]


def chunk(content: str = "", **rest: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": {"content": content}, "finish_reason": rest.pop("stop", None)}]
    return {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices, **rest}


TINY = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def price(line: dict[str, Any]) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["price", "--json"], input=json.dumps(line))
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found
