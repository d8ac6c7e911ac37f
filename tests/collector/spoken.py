"""What instrumentations write on the span of one call: synthetic, in the words each was seen to use.

The call is always one of two: gpt-4o, 1000 tokens in of which 200 from the cache, 100 out of which 40 reasoning; or
claude-opus-4-8, 12 tokens in beside 800 read from the cache and 200 written to it, 50 out.
"""

from __future__ import annotations

import json
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


def _usage(**counts: int) -> dict[str, int]:
    return {f"gen_ai.usage.{name}": value for name, value in counts.items()}


SPOKEN: Final = {
    "openllmetry": Spoken(
        "openllmetry",
        "opentelemetry.instrumentation.anthropic",
        {
            **CHAT,
            **OPUS,
            "gen_ai.provider.name": "anthropic",
            **_usage(input_tokens=1012, output_tokens=50, total_tokens=1062),
            "gen_ai.usage.cache_read_input_tokens": 800,
            "gen_ai.usage.cache_creation_input_tokens": 200,
        },
        "anthropic",
        ANTHROPIC,
    ),
    "openllmetry of bedrock leaves the cache out, and the maker": Spoken(
        "openllmetry-bedrock",
        "opentelemetry.instrumentation.bedrock",
        {
            **CHAT,
            "gen_ai.request.model": "nova-lite-v1:0",
            "gen_ai.provider.name": "aws.bedrock",
            **_usage(input_tokens=988, output_tokens=100, total_tokens=1088),
            "gen_ai.usage.cache_read.input_tokens": 12,
        },
        "bedrock",
        {"input_tokens": 1000, "output_tokens": 100, "cache_read_tokens": 12, "cache_write_tokens": None},
    ),
    "openllmetry for javascript leaves the cache out": Spoken(
        "openllmetry-js",
        "@traceloop/instrumentation-anthropic",
        {
            **CHAT,
            **OPUS,
            "gen_ai.system": "Anthropic",
            **_usage(input_tokens=800, output_tokens=50, total_tokens=850),
            "gen_ai.usage.cache_read.input_tokens": 12,
        },
        "anthropic",
        {"input_tokens": 812, "output_tokens": 50, "cache_read_tokens": 12, "cache_write_tokens": None},
    ),
    "openlit leaves the cache out": Spoken(
        "openlit",
        "openlit.instrumentation.anthropic",
        {
            **CHAT,
            **OPUS,
            "gen_ai.provider.name": "anthropic",
            **_usage(input_tokens=12, output_tokens=50),
            "gen_ai.usage.cache_read.input_tokens": 800,
            "gen_ai.usage.cache_creation.input_tokens": 200,
            "gen_ai.usage.cost": 0,
        },
        "anthropic",
        ANTHROPIC,
    ),
    "openlit, a cache smaller than the input": Spoken(
        "openlit",
        "openlit.otel.tracing",
        {
            **CHAT,
            **OPUS,
            "gen_ai.system": "anthropic",
            **_usage(input_tokens=800, output_tokens=50, total_tokens=850),
            "gen_ai.usage.cache_read.input_tokens": 12,
        },
        "anthropic",
        {"input_tokens": 812, "output_tokens": 50, "cache_read_tokens": 12, "cache_write_tokens": None},
    ),
    "openlit of litellm": Spoken(
        "openlit",
        "openlit.instrumentation.litellm",
        {
            **CHAT,
            "gen_ai.request.model": "openai/gpt-4o",
            "gen_ai.response.model": "gpt-4o",
            "gen_ai.provider.name": "litellm",
            **_usage(input_tokens=1000, output_tokens=100),
            "gen_ai.usage.cache_read.input_tokens": 200,
        },
        "openai",
        OPENAI,
    ),
    "openlit of litellm, routed to Azure": Spoken(
        "openlit",
        "openlit.instrumentation.litellm",
        {
            **CHAT,
            "gen_ai.request.model": "azure/gpt-4o",
            "gen_ai.response.model": "gpt-4o",
            **_usage(input_tokens=1000, output_tokens=100),
            "gen_ai.usage.cache_read.input_tokens": 200,
        },
        "azure",
        OPENAI,
    ),
    "openlit of openai": Spoken(
        "openlit",
        "openlit.instrumentation.openai",
        {
            **CHAT,
            **GPT,
            "gen_ai.provider.name": "openai",
            **_usage(input_tokens=1000, output_tokens=100),
            "gen_ai.usage.cache_read.input_tokens": 200,
        },
        "openai",
        OPENAI,
    ),
    "logfire": Spoken(
        "logfire",
        "logfire.anthropic",
        {
            **CHAT,
            **OPUS,
            "request_data": json.dumps({"model": "claude-opus-4-8"}),
            "gen_ai.system": "anthropic",
            "gen_ai.response.id": "msg_1",
            **_usage(input_tokens=1012, output_tokens=50),
            "gen_ai.usage.raw": json.dumps(ANTHROPIC_USAGE),
            "logfire.span_type": "span",
        },
        "anthropic",
        ANTHROPIC,
    ),
    "logfire before 5": Spoken(
        "logfire",
        "logfire.openai",
        {
            "request_data": json.dumps({"model": "gpt-4o", "messages": []}),
            "response_data": json.dumps({"message": {"role": "assistant"}, "usage": OPENAI_USAGE}),
            "logfire.span_type": "span",
        },
        "openai",
        OPENAI,
    ),
    "langfuse with OpenAI's usage": Spoken(
        "langfuse",
        "langfuse-sdk",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt-4o-2024-08-06",
            "langfuse.observation.usage_details": json.dumps(OPENAI_USAGE),
        },
        "openai",
        OPENAI,
    ),
    "langfuse with its own usage": Spoken(
        "langfuse",
        "langfuse-sdk",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "claude-opus-4-8",
            "langfuse.observation.usage_details": json.dumps(
                {"input": 12, "output": 50, "total": 1062, "input_cache_read": 800, "input_cache_creation": 200}
            ),
        },
        "anthropic",
        ANTHROPIC,
    ),
    "vercel 5, which leaves the cache out": Spoken(
        "vercel",
        "ai",
        {
            **OPUS,
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.provider": "anthropic.messages",
            "ai.model.id": "claude-opus-4-8",
            "ai.response.id": "msg_1",
            "ai.usage.inputTokens": 12,
            "ai.usage.outputTokens": 50,
            "ai.usage.totalTokens": 62,
            "ai.usage.cachedInputTokens": 800,
            "ai.response.providerMetadata": json.dumps({"anthropic": {"cacheCreationInputTokens": 200}}),
            "ai.response.msToFirstChunk": 250.5,
        },
        "anthropic",
        ANTHROPIC,
    ),
    "vercel 6, which breaks the input down": Spoken(
        "vercel",
        "ai",
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.provider": "anthropic.messages",
            "ai.model.id": "claude-opus-4-8",
            "ai.response.id": "msg_1",
            "ai.usage.inputTokens": 1012,
            "ai.usage.outputTokens": 50,
            "ai.usage.inputTokenDetails.noCacheTokens": 12,
            "ai.usage.inputTokenDetails.cacheReadTokens": 800,
            "ai.usage.inputTokenDetails.cacheWriteTokens": 200,
        },
        "anthropic",
        ANTHROPIC,
    ),
    "vercel 4": Spoken(
        "vercel",
        "ai",
        {
            "ai.operationId": "ai.generateObject.doGenerate",
            "ai.model.provider": "openai.chat",
            "ai.model.id": "gpt-4o",
            "gen_ai.response.id": "chatcmpl-1",
            "ai.usage.promptTokens": 1000,
            "ai.usage.completionTokens": 100,
            "ai.response.providerMetadata": json.dumps({"openai": {"cachedPromptTokens": 200, "reasoningTokens": 40}}),
        },
        "openai",
        OPENAI,
    ),
    "litellm": Spoken(
        "litellm",
        "litellm",
        {
            **CHAT,
            **OPUS,
            "gen_ai.system": "anthropic",
            "litellm.call_id": "3e3ccf90",
            "gen_ai.response.id": "chatcmpl-made-up",
            **_usage(input_tokens=1012, output_tokens=50, total_tokens=1062),
            "metadata.usage_object": str(
                {
                    "prompt_tokens": 1012,
                    "completion_tokens": 50,
                    "total_tokens": 1062,
                    "prompt_tokens_details": {"cached_tokens": 800, "audio_tokens": None},
                    "cache_creation_input_tokens": 200,
                    "cache_read_input_tokens": 800,
                }
            ),
        },
        "anthropic",
        ANTHROPIC,
    ),
    "mlflow with the response": Spoken(
        "mlflow",
        "mlflow.tracing.provider",
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.spanInputs": json.dumps({"model": "claude-opus-4-8", "stream": True}),
            "mlflow.spanOutputs": json.dumps(
                {"id": "msg_1", "type": "message", "content": [], "model": "claude-opus-4-8", "usage": ANTHROPIC_USAGE}
            ),
            "mlflow.llm.provider": '"anthropic"',
            "mlflow.chat.tokenUsage": json.dumps(
                {"input_tokens": 1012, "output_tokens": 50, "total_tokens": 1062, "cache_read_input_tokens": 800}
            ),
        },
        "anthropic",
        ANTHROPIC,
    ),
    "mlflow without it": Spoken(
        "mlflow",
        "mlflow.tracing.provider",
        {
            "mlflow.spanType": "LLM",
            "mlflow.llm.model": "gpt-4o",
            "mlflow.chat.tokenUsage": json.dumps(
                {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100, "cache_read_input_tokens": 200}
            ),
        },
        "openai",
        OPENAI,
    ),
    "mlflow in the conventions, its stream's chunks not kept": Spoken(
        "mlflow-genai",
        "mlflow.tracing.provider",
        {
            **CHAT,
            "gen_ai.request.model": "gpt-4o-2024-08-06",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            **_usage(input_tokens=1000, output_tokens=100),
        },
        "openai",
        {"input_tokens": 1000, "output_tokens": 100, "cache_read_tokens": None, "cache_write_tokens": None},
    ),
    "langsmith": Spoken(
        "langsmith",
        "langsmith",
        {
            **CHAT,
            **OPUS,
            "langsmith.span.kind": "llm",
            "gen_ai.system": "anthropic",
            **_usage(input_tokens=1012, output_tokens=50, total_tokens=1062),
            "gen_ai.usage.input_token_details": str({"cache_read": 800, "cache_creation": 200}),
        },
        "anthropic",
        ANTHROPIC,
    ),
    "pydantic-ai": Spoken(
        "pydantic-ai",
        "pydantic-ai",
        {
            **CHAT,
            **OPUS,
            "gen_ai.system": "anthropic",
            **_usage(input_tokens=1012, output_tokens=50),
            "gen_ai.usage.details.cache_read_input_tokens": 800,
            "gen_ai.usage.details.cache_creation_input_tokens": 200,
        },
        "anthropic",
        ANTHROPIC,
    ),
    "anthropic's own": Spoken(
        "anthropic-sdk",
        "com.anthropic.sdk.python",
        {
            **CHAT,
            **OPUS,
            "gen_ai.provider.name": "anthropic",
            **_usage(input_tokens=1012, output_tokens=50),
            "gen_ai.usage.cache_read.input_tokens": 800,
            "gen_ai.usage.cache_write.input_tokens": 200,
            "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 200,
        },
        "anthropic",
        ANTHROPIC,
    ),
    "semantic kernel": Spoken(
        "semantic-kernel",
        "semantic_kernel.utils.telemetry.model_diagnostics.decorators",
        {
            **CHAT,
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "server.address": "https://api.openai.com/v1/",
            "gen_ai.response.finish_reason": "FinishReason.STOP",
            **_usage(input_tokens=1000, output_tokens=100),
        },
        "openai",
        {**OPENAI, "cache_read_tokens": None},
    ),
    "spring ai, counts as texts": Spoken(
        "spring-ai",
        "org.springframework.boot",
        {
            **CHAT,
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": "1000",
            "gen_ai.usage.output_tokens": "100",
            "gen_ai.usage.total_tokens": "1100",
        },
        "openai",
        {**OPENAI, "cache_read_tokens": None},
    ),
    "azure ai": Spoken(
        "azure-ai",
        "azure.ai.inference",
        {**CHAT, **GPT, "gen_ai.system": "az.ai.inference", **_usage(input_tokens=1000, output_tokens=100)},
        "azure",
        {**OPENAI, "cache_read_tokens": None},
    ),
    "openinference of langchain": Spoken(
        "openinference",
        "openinference.instrumentation.langchain",
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "anthropic",
            "llm.model_name": "claude-opus-4-8",
            "llm.token_count.prompt": 1012,
            "llm.token_count.completion": 50,
            "llm.token_count.prompt_details.cache_read": 800,
            "llm.token_count.prompt_details.cache_write": 200,
            "output.value": json.dumps(
                {"generations": [[{"message": {"kwargs": {"response_metadata": {"id": "msg_1"}}}}]]}
            ),
        },
        "anthropic",
        ANTHROPIC,
    ),
    "claude code": Spoken(
        "claude-code",
        "com.anthropic.claude_code.tracing",
        {
            "span.type": "llm_request",
            "model": "claude-opus-4-8",
            "gen_ai.system": "anthropic",
            "gen_ai.request.model": "claude-opus-4-8",
            "input_tokens": 12,
            "output_tokens": 50,
            "cache_read_tokens": 800,
            "cache_creation_tokens": 200,
            "request_id": "req_1",
        },
        "anthropic",
        ANTHROPIC,
        name="claude_code.llm_request",
    ),
    "strands, which names itself": Spoken(
        "strands",
        "strands.telemetry.tracer",
        {
            **CHAT,
            "gen_ai.system": "strands-agents",
            "gen_ai.request.model": "claude-opus-4-8",
            **_usage(prompt_tokens=1012, input_tokens=1012, output_tokens=50, total_tokens=1062),
            "gen_ai.usage.cache_read.input_tokens": 800,
            "gen_ai.usage.cache_creation.input_tokens": 200,
            "gen_ai.usage.cache_write_input_tokens": 200,
        },
        "anthropic",
        ANTHROPIC,
    ),
    "a model of bedrock's, of nobody": Spoken(
        "genai",
        "somebody",
        {
            **CHAT,
            "gen_ai.system": "langchain",
            "gen_ai.request.model": "us.anthropic.claude-opus-4-8",
            **_usage(input_tokens=1000, output_tokens=100),
        },
        "bedrock",
        {**OPENAI, "cache_read_tokens": None},
    ),
    "an old vintage": Spoken(
        "genai",
        "somebody",
        {
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 1000,
            "gen_ai.usage.completion_tokens": 100,
        },
        "openai",
        {**OPENAI, "cache_read_tokens": None},
    ),
    "llamaindex's own, in its events": Spoken(
        "llama-index",
        "llamaindex.opentelemetry.tracer",
        {},
        "openai",
        OPENAI,
        name="OpenAI.chat",
        events=(
            ("LLMChatStartEvent", 1, {"model_dict.class_name": "openai_llm", "model_dict.model_name": "gpt-4o"}),
            (
                "LLMChatEndEvent",
                2,
                {
                    "response.raw.object": "chat.completion",
                    "response.raw.model": "gpt-4o-2024-08-06",
                    "response.raw.usage.prompt_tokens": 1000,
                    "response.raw.usage.completion_tokens": 100,
                    "response.raw.usage.total_tokens": 1100,
                    "response.raw.usage.prompt_tokens_details.cached_tokens": 200,
                    "response.raw.usage.completion_tokens_details.reasoning_tokens": 40,
                },
            ),
        ),
    ),
}
STEPS: Final = {
    "openllmetry's workflow": ("chain", "traceloop.tracer", {"traceloop.span.kind": "workflow", **CHAT, **GPT}),
    "pydantic ai's agent": (
        "agent",
        "pydantic-ai",
        {"gen_ai.operation.name": "invoke_agent", **GPT, **_usage(input_tokens=9, output_tokens=9)},
    ),
    "vercel's outer span": (
        "chain",
        "ai",
        {"ai.operationId": "ai.generateText", "ai.model.id": "gpt-4o", "ai.usage.inputTokens": 1000},
    ),
    "vercel's tool": ("tool", "ai", {"ai.operationId": "ai.toolCall"}),
    "langfuse's span": ("chain", "langfuse-sdk", {"langfuse.observation.type": "span"}),
    "langfuse's agent": ("agent", "langfuse-sdk", {"langfuse.observation.type": "agent"}),
    "mlflow's retriever": ("retrieval", "mlflow.tracing.provider", {"mlflow.spanType": '"RETRIEVER"'}),
    "langsmith's chain": (
        "chain",
        "langsmith",
        {"langsmith.span.kind": "chain", "gen_ai.operation.name": "chain", "gen_ai.response.id": "chatcmpl-1", **GPT},
    ),
    "openinference's tool": ("tool", "openinference.instrumentation.langchain", {"openinference.span.kind": "TOOL"}),
    "strands' cycle": (
        "chain",
        "strands.telemetry.tracer",
        {"gen_ai.operation.name": "execute_event_loop_cycle", "gen_ai.system": "strands-agents"},
    ),
    "spring ai's client": (
        "chain",
        "org.springframework.boot",
        {"gen_ai.operation.name": "framework", "gen_ai.system": "spring_ai", **GPT},
    ),
}
