"""Whose a call is, by the names that those who tell of it give: synthetic, as each was seen."""

from __future__ import annotations

import pytest

from tests.collector.spoken.said import CHAT, OPUS
from tests.collector.telling import told


@pytest.mark.parametrize(
    ("scope", "said", "provider"),
    [
        (
            "openinference.instrumentation.vertexai",
            {"llm.provider": "google", "llm.system": "vertexai"},
            "google-vertex",
        ),
        ("openinference.instrumentation.smolagents", {"llm.system": "vertexai"}, "google"),
        ("openinference.instrumentation.agno", {"llm.provider": "VertexAI", "llm.system": "vertexai"}, "google-vertex"),
        (
            "openinference.instrumentation.langchain",
            {"llm.system": "vertexai", "llm.model_name": "claude"},
            "google-vertex",
        ),
    ],
)
def test_openinference_calls_vertex_google_and_google_vertexai(scope: str, said: dict[str, str], provider: str) -> None:
    asked = {"openinference.span.kind": "LLM", "llm.model_name": "gemini-2.5-flash", **said}
    assert told(scope, asked).call.provider == provider


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("us-central1-aiplatform.googleapis.com", "google-vertex"),
        ("https://aiplatform.googleapis.com/", "google-vertex"),
        ("generativelanguage.googleapis.com", "google"),
        ("gateway.internal", "google"),
    ],
)
def test_the_host_knows_vertex_from_googles_own(host: str, provider: str) -> None:
    said = {"gen_ai.operation.name": "generate_content", "gen_ai.request.model": "gemini-2.5-flash"}
    said |= {"gen_ai.provider.name": "gcp.gemini", "server.address": host}
    assert told("opentelemetry.instrumentation.google_genai", said).call.provider == provider


@pytest.mark.parametrize(
    ("named", "provider"),
    [
        ("anthropic.messages", "anthropic"),
        ("google.generative-ai", "google"),
        ("google.vertex.chat", "google-vertex"),
        ("azure.chat", "azure"),
        ("az.ai.inference", "azure"),
        ("amazon-bedrock", "bedrock"),
        ("aws.bedrock", "bedrock"),
        ("acme.chat", "acme.chat"),
        ("api.groq.com", "groq"),
        ("acme.openai.azure.com", "azure"),
        ("127.0.0.1:8080", "anthropic"),
        ("gateway:8080", "anthropic"),
        ("AWS Bedrock", "bedrock"),
        ("Vertex AI", "google-vertex"),
    ],
)
def test_a_provider_may_go_by_the_ai_sdks_name_or_by_its_host(named: str, provider: str) -> None:
    said = {**CHAT, **OPUS, "gen_ai.provider.name": named}
    assert told("@mastra/otel-exporter", said).call.provider == provider
