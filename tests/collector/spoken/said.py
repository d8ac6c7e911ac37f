"""What instrumentations write on the span of one call: synthetic, in the words each was seen to use.

The call is always one of two: gpt-4o, 1000 tokens in of which 200 from the cache, 100 out of which 40 reasoning; or
claude-opus-4-8, 12 tokens in beside 800 read from the cache and 200 written to it, 50 out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

OPENAI_USAGE: Final = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 200},
    "completion_tokens_details": {"reasoning_tokens": 40},
}
RESPONSES_USAGE: Final = {
    "input_tokens": 1000,
    "output_tokens": 100,
    "total_tokens": 1100,
    "input_tokens_details": {"cached_tokens": 200},
    "output_tokens_details": {"reasoning_tokens": 40},
}
"""The same, as the Responses API counts it."""
ANTHROPIC_USAGE: Final = {
    "input_tokens": 12,
    "cache_read_input_tokens": 800,
    "cache_creation_input_tokens": 200,
    "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 50,
    "service_tier": "standard",
}
OPENAI: Final = {"input_tokens": 1000, "output_tokens": 100, "cache_read_tokens": 200, "cache_write_tokens": None}
ANTHROPIC: Final = {"input_tokens": 1012, "output_tokens": 50, "cache_read_tokens": 800, "cache_write_tokens": 200}
GPT: Final = {"gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-2024-08-06"}
OPUS: Final = {"gen_ai.request.model": "claude-opus-4-8", "gen_ai.response.model": "claude-opus-4-8"}
CHAT: Final = {"gen_ai.operation.name": "chat"}


@dataclass(frozen=True, slots=True)
class Spoken:
    """One span, and what must be read of it."""

    dialect: str
    scope: str
    attributes: Mapping[str, Any]
    provider: str
    said: Mapping[str, int | None]
    name: str = "chat"
    events: Sequence[tuple[str, int, Mapping[str, Any]]] = ()


def usage(**counts: int) -> dict[str, int]:
    return {f"gen_ai.usage.{name}": value for name, value in counts.items()}
