"""What the GenAI conventions have called each thing, the newest name first, and the operations they know.

Source: open-telemetry/semantic-conventions-genai; opentelemetry-semantic-conventions 0.66b2 for the older names.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from outlay_collector.dialects.base import newest

PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system")
OPERATION: Final = ("gen_ai.operation.name", "llm.request.type")
KIND: Final = ("traceloop.span.kind", "openinference.span.kind")
KINDS_OF_CALLS: Final = frozenset({"LLM", "EMBEDDING", "RERANKER"})
"""Kinds that OpenInference's span processors give calls; those of Traceloop's are all of no call."""
MODEL: Final = "gen_ai.request.model"
SERVED: Final = "gen_ai.response.model"
HOST: Final = ("server.address", "gen_ai.openai.api_base")
STREAMED: Final = ("gen_ai.request.stream", "gen_ai.request.is_stream", "gen_ai.is_streaming", "llm.is_streaming")
REQUEST_ID: Final = ("anthropic.request.id", "openai.request.id", "aws.request_id")
FIRST_CHUNK: Final = ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
FINISH: Final = ("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "anthropic.message.stop_reason")
RAW: Final = "gen_ai.usage.raw"
INPUT_DETAILS: Final = "gen_ai.usage.input_token_details"
OUTPUT_DETAILS: Final = "gen_ai.usage.output_token_details"
USAGE_METADATA: Final = "langsmith.metadata.usage_metadata"
STATED_COST: Final = (
    "gen_ai.usage.cost.amount",
    "gen_ai.usage.cost",
    "gen_ai.usage.total_cost",
    "gen_ai.cost.total_cost",
    "operation.cost",
)
_U: Final = "gen_ai.usage."
COUNTS: Final[dict[str, tuple[str, ...]]] = {
    "input": (f"{_U}input_tokens", f"{_U}prompt_tokens", "llm.usage.prompt_tokens"),
    "output": (f"{_U}output_tokens", f"{_U}completion_tokens", "llm.usage.completion_tokens"),
    "total": (f"{_U}total_tokens", "llm.usage.total_tokens"),
    "cache_read": (
        f"{_U}cache_read.input_tokens",
        f"{_U}cache_read_input_tokens",
        f"{_U}cache_read_tokens",
        f"{_U}details.cache_read_tokens",
        f"{_U}details.cache_read_input_tokens",
        f"{_U}input_tokens.cached",
        f"{_U}cached_input_tokens",
        f"{_U}cached_tokens",
        f"{_U}details.cached_tokens",
    ),
    "cache_write": (
        f"{_U}cache_write.input_tokens",
        f"{_U}cache_creation.input_tokens",
        f"{_U}cache_creation_input_tokens",
        f"{_U}cache_write_input_tokens",
        f"{_U}cache_write_tokens",
        f"{_U}details.cache_write_tokens",
        f"{_U}details.cache_creation_input_tokens",
        f"{_U}input_tokens.cache_write",
    ),
    "cache_write_5m": ("anthropic.usage.cache_creation.ephemeral_5m_input_tokens",),
    "cache_write_1h": ("anthropic.usage.cache_creation.ephemeral_1h_input_tokens",),
    "reasoning": (
        f"{_U}reasoning.output_tokens",
        f"{_U}reasoning_tokens",
        f"{_U}details.reasoning_tokens",
        f"{_U}details.thoughts_tokens",
        f"{_U}output_tokens.reasoning",
        f"{_U}experimental.reasoning_tokens",
    ),
    "input_audio": (f"{_U}audio.input_tokens", f"{_U}details.input_audio_tokens"),
    "input_image": (f"{_U}image.input_tokens",),
    "cache_read_audio": (f"{_U}audio.cache_read.input_tokens", f"{_U}details.cache_audio_read_tokens"),
    "cache_read_image": (f"{_U}image.cache_read.input_tokens",),
    "output_audio": (f"{_U}audio.output_tokens", f"{_U}details.output_audio_tokens"),
    "output_image": (f"{_U}image.output_tokens",),
}
DETAILS: Final[dict[str, tuple[str, str]]] = {
    "cache_read": (INPUT_DETAILS, "cache_read"),
    "cache_write": (INPUT_DETAILS, "cache_creation"),
    "cache_write_5m": (INPUT_DETAILS, "ephemeral_5m_input_tokens"),
    "cache_write_1h": (INPUT_DETAILS, "ephemeral_1h_input_tokens"),
    "input_audio": (INPUT_DETAILS, "audio"),
    "reasoning": (OUTPUT_DETAILS, "reasoning"),
    "output_audio": (OUTPUT_DETAILS, "audio"),
}
"""LangChain's breakdowns, printed into one attribute each, or with the counts into `USAGE_METADATA`."""
COUNTED: Final = frozenset(name for names in COUNTS.values() for name in names)
STEPS: Final[dict[str, str]] = {
    **dict.fromkeys(("agent", "create_agent", "invoke_agent", "handoff", "plan", "execute_task"), "agent"),
    **dict.fromkeys(("workflow", "invoke_workflow", "task", "chain", "framework", "prompt", "parser"), "chain"),
    **dict.fromkeys(("tool", "execute_tool", "guardrail"), "tool"),
    **dict.fromkeys(("retrieval", "retriever", "retrieve", "vectordb", "query"), "retrieval"),
    **dict.fromkeys(("create_memory", "search_memory", "update_memory", "delete_memory"), "retrieval"),
    **dict.fromkeys(("evaluate", "fetch_response"), "chain"),
}
"""Operations that are no call, and what kind of step each is in a trace."""


class Names(NamedTuple):
    """Under which name a span says each thing, the newest where there are several; empty where it does not."""

    counts: tuple[tuple[str, str], ...]
    """Units and the name each is counted under."""
    counted: tuple[str, ...]
    """All names that count something."""
    provider: str
    operation: str
    host: str
    stated_cost: str
    kind: str


def names_of(names: frozenset[str]) -> Names:
    """Those of a span that has these attributes."""
    synonyms = (PROVIDER, OPERATION, HOST, STATED_COST, KIND)
    counts = tuple((unit, newest(each, names)) for unit, each in COUNTS.items() if not names.isdisjoint(each))
    return Names(counts, tuple(sorted(names & COUNTED)), *(newest(each, names) for each in synonyms))
