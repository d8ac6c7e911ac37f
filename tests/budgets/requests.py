"""Requests to be estimated, at prices that are easy to reckon with."""

from __future__ import annotations

from typing import Any

from outlay.budgets.estimate import Estimator, Worst
from outlay.providers.base import Request
from outlay.providers.registry import reader_for

AT = 1_795_608_000 * 10**9  # 2026-11-25T12:00:00Z
ENVELOPE = 64
RATES = {"input": 1, "cache_write_5m": 2, "cache_write_1h": 4, "output": 10, "input_audio": 30, "web_search": 10}
"""USD a million tokens, and a thousand searches: whole nano-dollars a token are these times a thousand."""


def asked(body: dict[str, Any], path: str = "/v1/chat/completions") -> Request:
    request = reader_for("openai").read_request(path, body)
    assert request is not None
    return request


def worst(estimator: Estimator, provider: str = "acme", path: str = "/v1/chat/completions", **body: Any) -> Worst:
    return estimator.worst(provider, asked({"model": "m", "max_tokens": 100} | body, path), AT)


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": parts[0] if len(parts) == 1 else list(parts)}]
