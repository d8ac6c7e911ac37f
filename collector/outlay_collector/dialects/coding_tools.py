"""Coding tools on the command line, which log each request they make: Claude Code, Gemini CLI, Qwen Code, Codex.

Each names its counts in its own way and says when the request ended and how long it took. A subscription is not billed
by the token: what stands here is what the same tokens cost at the API.

Source: the tools' pages on monitoring; Claude Code 2.1.2xx, Gemini CLI `packages/core/src/telemetry/types.ts`, Codex's
`codex.sse_event`, as others recorded and read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from outlay.providers.base import Reading

from outlay_collector.billing import Report, Source
from outlay_collector.dialects.base import SHARED_KEYS, count, first, http_status, milliseconds, text
from outlay_collector.dialects.counts import Counts, reading_of
from outlay_collector.dialects.report import Said, report_of
from outlay_collector.otlp.span import Span

_MODEL: Final = ("model", "gen_ai.response.model", "gen_ai.request.model")
_DURATION: Final = "duration_ms"
_FIRST_TOKEN: Final = "ttft_ms"
_COST: Final = "cost_usd"
_STATUS: Final = "status_code"
_ERROR: Final = ("error.type", "error_type", "error")
_ID: Final = ("request_id", "gen_ai.response.id", "response.id")
_KIND: Final = "event.kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """How one tool names things. `exclusive`: its input count leaves the cache out."""

    name: str
    provider: str
    events: Mapping[str, str]
    """Names its records go by, and what happened: `response`, or `error`."""
    counts: Mapping[str, str]
    exclusive: bool = False
    only: tuple[str, str] | None = None
    """An attribute and the value it must have for the record to be of a whole response."""
    spans: Mapping[str, str] | None = None
    """Names of its spans: `call`, or the kind of step."""
    note: str = ""


_GEMINI_COUNTS: Final = {
    "input": "input_token_count",
    "output": "output_token_count",
    "cache_read": "cached_content_token_count",
    "reasoning": "thoughts_token_count",
    "tool_input": "tool_token_count",
}
CLAUDE_CODE: Final = Tool(
    name="claude-code",
    provider="anthropic",
    events={
        "claude_code.api_request": "response",
        "claude_code.api_error": "error",
    },
    counts={
        "input": "input_tokens",
        "output": "output_tokens",
        "cache_read": "cache_read_tokens",
        "cache_write": "cache_creation_tokens",
    },
    exclusive=True,
    spans={
        "claude_code.llm_request": "call",
        "claude_code.interaction": "agent",
        "claude_code.tool": "tool",
    },
    note="Claude Code 2.1: spans `claude_code.llm_request` and records `claude_code.api_request`; exclusive",
)
GEMINI_CLI: Final = Tool(
    name="gemini-cli",
    provider="google",
    events={"gemini_cli.api_response": "response", "gemini_cli.api_error": "error"},
    counts=_GEMINI_COUNTS,
    note="Gemini CLI: records `gemini_cli.api_response`; thoughts beside the output, as Gemini counts them",
)
QWEN_CODE: Final = Tool(
    name="qwen-code",
    provider="alibaba",
    events={"qwen-code.api_response": "response", "qwen-code.api_error": "error"},
    counts={**_GEMINI_COUNTS},
    note="Qwen Code: records `qwen-code.api_response`, in Gemini CLI's words",
)
CODEX: Final = Tool(
    name="codex",
    provider="openai",
    events={"codex.sse_event": "response"},
    counts={
        "input": "input_token_count",
        "output": "output_token_count",
        "cache_read": "cached_token_count",
        "cache_write": "cache_write_token_count",
        "reasoning": "reasoning_token_count",
    },
    only=(_KIND, "response.completed"),
    note="Codex: records `codex.sse_event` of kind `response.completed`; inclusive",
)
TOOLS: Final = (CLAUDE_CODE, GEMINI_CLI, QWEN_CODE, CODEX)
_BESIDE_OUTPUT: Final = frozenset({GEMINI_CLI.name, QWEN_CODE.name})
"""Tools that hand on Gemini's counts: thoughts and the prompt of tools are in neither input nor output."""


class CodingTool:
    """The spans and records of one tool."""

    prefixes: tuple[str, ...] = ()

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.name = tool.name
        self.note = tool.note
        self.events = tool.events
        self.keys = SHARED_KEYS | {
            *(*_MODEL, _DURATION, _FIRST_TOKEN, _COST, _STATUS, *_ERROR, *_ID, _KIND),
            *tool.counts.values(),
        }

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        return self.tool.spans is not None and name in self.tool.spans

    def read(self, span: Span) -> Report | None:
        spans = self.tool.spans or {}
        return self._report(span, Source.OTHER) if spans.get(span.name) == "call" else None

    def step(self, span: Span) -> str | None:
        return (self.tool.spans or {}).get(span.name)

    def read_record(self, record: Span) -> Report | None:
        """The call of a record, which was made when the call had ended."""
        attributes = record.attributes.named
        if self.tool.only is not None and attributes.get(self.tool.only[0]) != self.tool.only[1]:
            return None
        lasted_ms = milliseconds((count(attributes.get(_DURATION)) or 0) / 1000) or 0
        began_at_ns = max(record.ended_at_ns - int(lasted_ms * 1_000_000), 1)
        report = self._report(replace(record, started_at_ns=began_at_ns), Source.RECORD)
        if self.tool.events[record.name] == "error" and report.call.error_type is None:
            return replace(report, call=replace(report.call, error_type="error"))
        return report

    def _report(self, span: Span, source: Source) -> Report:
        attributes = span.attributes.named
        model = text(first(attributes, _MODEL))
        reached_ms = attributes.get(_FIRST_TOKEN)
        return report_of(
            span,
            Said(
                provider=_host_of(self.tool.provider, model),
                operation="chat",
                model_requested=model,
                response_id=text(first(attributes, _ID)),
                time_to_first_chunk_ms=milliseconds(
                    reached_ms / 1000 if isinstance(reached_ms, (int, float)) else None
                ),
            ),
            dialect=self.tool.name,
            reading=_reading(self.tool, attributes),
            source=source,
            status=http_status(attributes.get(_STATUS)),
            error_type=text(first(attributes, _ERROR)),
            stated_cost_usd=attributes.get(_COST),
        )


def _host_of(provider: str, model: str | None) -> str:
    """Claude Code reaches Claude through Bedrock and Vertex too, where its models go by other names."""
    if provider == "anthropic" and model:
        if "anthropic." in model or model.startswith("arn:"):
            return "bedrock"
        if "@" in model:
            return "google-vertex"
    return provider


def _reading(tool: Tool, attributes: Mapping[str, Any]) -> Reading:
    raw = {name: value for name in tool.counts.values() if (value := count(attributes.get(name))) is not None}
    values = {unit: raw.get(name) for unit, name in tool.counts.items() if unit != "tool_input"}
    if tool.name in _BESIDE_OUTPUT:
        values["output"] = _sum(values["output"], values["reasoning"])
        values["input"] = _sum(values["input"], raw.get("tool_token_count"))
    return reading_of(Counts(**values), raw, exclusive=tool.exclusive)


def _sum(count_: int | None, more: int | None) -> int | None:
    return None if count_ is None else count_ + (more or 0)
