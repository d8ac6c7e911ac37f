"""What SDKs, gateways and observability tools say in words of their own."""

from __future__ import annotations

import json
from typing import Final

from tests.collector.spoken.said import ANTHROPIC, ANTHROPIC_USAGE, CHAT, OPENAI, OPENAI_USAGE, OPUS, Spoken, usage

OWN_WORDS: Final = {
    "logfire": Spoken(
        "logfire",
        "logfire.anthropic",
        {
            **CHAT,
            **OPUS,
            "request_data": json.dumps({"model": "claude-opus-4-8"}),
            "gen_ai.system": "anthropic",
            "gen_ai.response.id": "msg_1",
            **usage(input_tokens=1012, output_tokens=50),
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
            **usage(input_tokens=1012, output_tokens=50, total_tokens=1062),
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
            **usage(input_tokens=1000, output_tokens=100),
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
            **usage(input_tokens=1012, output_tokens=50, total_tokens=1062),
            "gen_ai.usage.input_token_details": str({"cache_read": 800, "cache_creation": 200}),
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
}
