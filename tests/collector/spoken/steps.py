"""Spans that are no call: the step each is, its scope, and what it says."""

from __future__ import annotations

from typing import Final

from tests.collector.spoken.said import CHAT, GPT, usage

STEPS: Final = {
    "openllmetry's workflow": ("chain", "traceloop.tracer", {"traceloop.span.kind": "workflow", **CHAT, **GPT}),
    "pydantic ai's agent": (
        "agent",
        "pydantic-ai",
        {"gen_ai.operation.name": "invoke_agent", **GPT, **usage(input_tokens=9, output_tokens=9)},
    ),
    "vercel's outer span": (
        "chain",
        "ai",
        {"ai.operationId": "ai.generateText", "ai.model.id": "gpt-4o", "ai.usage.inputTokens": 1000},
    ),
    "vercel's tool": ("tool", "ai", {"ai.operationId": "ai.toolCall"}),
    "langfuse's span": ("chain", "langfuse-sdk", {"langfuse.observation.type": "span"}),
    "a function that langfuse was told is a generation": (
        "chain",
        "langfuse-sdk",
        {"langfuse.observation.type": "generation"},
    ),
    "langfuse's agent": ("agent", "langfuse-sdk", {"langfuse.observation.type": "agent"}),
    "mlflow's retriever": ("retrieval", "mlflow.tracing.provider", {"mlflow.spanType": '"RETRIEVER"'}),
    "langsmith's chain": (
        "chain",
        "langsmith",
        {"langsmith.span.kind": "chain", "gen_ai.operation.name": "chain", "gen_ai.response.id": "chatcmpl-1", **GPT},
    ),
    "an agent that openinference's processor put its kind on": (
        "agent",
        "bot",
        {"openinference.span.kind": "AGENT", "llm.token_count.prompt": 9, **GPT, **usage(input_tokens=9)},
    ),
    "openinference's tool": ("tool", "openinference.instrumentation.langchain", {"openinference.span.kind": "TOOL"}),
    "genkit's generate": ("chain", "genkit-tracer", {"genkit:type": "util", "genkit:name": "generate"}),
    "genkit's tool": ("tool", "genkit-tracer", {"genkit:type": "action", "genkit:metadata:subtype": "tool"}),
    "openlit's node of pydantic ai's graph": (
        "chain",
        "openlit.instrumentation.pydantic_ai",
        {"gen_ai.operation.name": "model_request", "gen_ai.provider.name": "pydantic_ai", **GPT},
    ),
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
