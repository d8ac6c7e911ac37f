"""What frameworks say, and what OpenInference makes of them."""

from __future__ import annotations

import json
from typing import Final

from tests.collector.spoken.said import ANTHROPIC, ANTHROPIC_USAGE, CHAT, GPT, OPENAI, OPENAI_USAGE, Spoken, usage

_USAGE = {**ANTHROPIC_USAGE, "prompt_tokens": 1012, "completion_tokens": 50}
del _USAGE["input_tokens"], _USAGE["output_tokens"]
_PRINTED: Final = (
    "ChatMessage(_role=<ChatRole.ASSISTANT: 'assistant'>, _content=[TextContent(text='the _meta={}')], _name=None, "
    f"_meta={ {'model': 'claude-opus-4-8', 'finish_reason': 'stop', 'usage': _USAGE} })"
)
"""What Python prints of a message of Haystack's: its integration of Anthropic counts the cache into what went in."""
FRAMEWORKS: Final = {
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
    "genkit with the response": Spoken(
        "genkit",
        "genkit-tracer",
        {
            "genkit:type": "action",
            "genkit:metadata:subtype": "model",
            "genkit:name": "openai/gpt-4o",
            "genkit:output": json.dumps(
                {
                    "usage": {"inputTokens": 1000, "outputTokens": 100, "totalTokens": 1100},
                    "raw": {"object": "chat.completion", "choices": [], "model": "gpt-4o", "usage": OPENAI_USAGE},
                }
            ),
        },
        "openai",
        OPENAI,
    ),
    "genkit without it": Spoken(
        "genkit",
        "genkit-tracer",
        {
            "genkit:type": "action",
            "genkit:metadata:subtype": "model",
            "genkit:name": "googleai/gemini-2.5-flash",
            "genkit:output": json.dumps(
                {
                    "usage": {
                        "inputTokens": 1000,
                        "outputTokens": 60,
                        "thoughtsTokens": 40,
                        "totalTokens": 1100,
                        "cachedContentTokens": 20,
                    }
                }
            ),
        },
        "google",
        {"input_tokens": 1000, "output_tokens": 100, "cache_read_tokens": 20, "cache_write_tokens": None},
    ),
    "haystack's own tracing": Spoken(
        "haystack",
        "bot.tracing",
        {
            "haystack.component.type": "OpenAIChatGenerator",
            "haystack.component.output": json.dumps(
                {"replies": [{"role": "assistant", "meta": {"model": "gpt-4o-2024-08-06", "usage": OPENAI_USAGE}}]}
            ),
        },
        "openai",
        OPENAI,
    ),
    "openinference of haystack": Spoken(
        "openinference",
        "openinference.instrumentation.haystack",
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "claude-opus-4-8",
            "llm.system": "anthropic",
            "output.value": json.dumps({"replies": [_PRINTED]}),
            "llm.token_count.prompt": 1012,
            "llm.token_count.completion": 50,
        },
        "anthropic",
        ANTHROPIC,
    ),
    "openinference of beeai, which counts the cache in texts": Spoken(
        "openinference",
        "openinference.instrumentation.beeai",
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "claude-opus-4-8",
            "llm.provider": "anthropic",
            "llm.token_count.prompt": 1012,
            "llm.token_count.completion": 50,
            "llm.token_count.total": 1062,
            "metadata.usage.cached_prompt_tokens": "800",
            "metadata.usage.cached_creation_tokens": "200",
        },
        "anthropic",
        ANTHROPIC,
    ),
    "pydantic ai with openinference's names beside its own": Spoken(
        "pydantic-ai",
        "pydantic-ai",
        {
            **CHAT,
            **GPT,
            **usage(input_tokens=1000, output_tokens=100),
            "gen_ai.usage.cache_read.input_tokens": 200,
            "gen_ai.provider.name": "openai",
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o",
            "llm.token_count.prompt": 1000,
            "llm.token_count.completion": 100,
        },
        "openai",
        OPENAI,
    ),
}
