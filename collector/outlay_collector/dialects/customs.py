"""Instrumentations that keep to the GenAI conventions and differ in something that matters to a bill.

The first whose scope fits reads the span; the last, which fits any, is for those that are not named here. Each was
looked at in the version its note names.
"""

from __future__ import annotations

from typing import Final

from outlay_collector.billing import Source
from outlay_collector.dialects.genai import Customs

GENAI: Final = Customs(name="genai", note="the conventions themselves, whoever keeps to them; inclusive")
CUSTOMS: Final = (
    Customs(
        name="anthropic-sdk",
        scopes=("com.anthropic.sdk",),
        source=Source.SDK,
        note="the SDK's own span (anthropic 2.12.0); inclusive, lifetimes of cache writes under `anthropic.usage.*`",
    ),
    Customs(
        name="opentelemetry",
        scopes=(
            "opentelemetry.instrumentation.genai",
            "opentelemetry.instrumentation.openai_v2",
            "opentelemetry.instrumentation.google_genai",
            "opentelemetry.util.genai",
            "@opentelemetry/instrumentation-",
        ),
        source=Source.OFFICIAL,
        note="OpenTelemetry's own (genai-openai, -anthropic, google-genai 1.3b0, openai-v2, JavaScript's); inclusive",
    ),
    Customs(
        name="opentelemetry-vertexai",
        scopes=("opentelemetry.instrumentation.vertexai",),
        source=Source.OFFICIAL,
        provider="google-vertex",
        note="OpenTelemetry's and OpenLLMetry's (0.62.4) of Vertex AI's SDK, which may name `Google`",
    ),
    Customs(
        name="openllmetry-bedrock",
        scopes=("opentelemetry.instrumentation.bedrock",),
        exclusive=True,
        note="OpenLLMetry's of Bedrock, 0.62.4: the cache left out, the model without region and maker",
    ),
    Customs(
        name="openllmetry-js",
        scopes=("@traceloop/",),
        exclusive=True,
        note="OpenLLMetry for JavaScript 0.27.0; input leaves Anthropic's and Bedrock's cache out",
    ),
    Customs(
        name="openllmetry",
        scopes=("opentelemetry.instrumentation.", "traceloop.tracer"),
        note="OpenLLMetry / Traceloop 0.62.4; `traceloop.span.kind` marks workflows, tasks, agents and tools",
    ),
    Customs(
        name="pydantic-ai",
        scopes=("pydantic-ai", "pydantic_ai"),
        note="Pydantic AI 1.107 and 2.68, formats 1 to 6; inclusive; agents repeat the usage as `aggregated_usage`",
    ),
    Customs(
        name="semantic-kernel",
        scopes=("semantic_kernel", "Microsoft.SemanticKernel"),
        note="Semantic Kernel 1.45.0; counts without a breakdown; `server.address` may be a whole URL",
    ),
    Customs(
        name="spring-ai",
        scopes=("org.springframework",),
        note="Spring AI; `framework` is its ChatClient, which repeats its model's call; counts as texts",
    ),
    Customs(
        name="azure-ai",
        scopes=("azure.ai.", "Azure.AI.", "azure.core.tracing."),
        note="Azure AI's clients (azure-ai-inference 1.0.0b9): `gen_ai.system` is `az.ai.inference`; without the cache",
    ),
    Customs(
        name="strands",
        scopes=("strands",),
        first_token_in_ms=True,
        note="Strands Agents 1.62.0; names itself instead of the provider: the model tells; inclusive",
    ),
    GENAI,
)
