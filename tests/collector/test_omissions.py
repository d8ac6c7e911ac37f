"""What spans leave out: the status in an exception's words, and the counts an emitter is known not to tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from outlay_collector.ingest import read_batch

from tests.collector.sending import Sent, body_of, readable
from tests.collector.telling import BOOK, LANGSMITH, VERCEL, told

FRAMEWORK = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
WRAPPED = "agent_framework.exceptions.ChatClientException"


@pytest.mark.parametrize(
    ("scope", "said", "kind", "message", "cost"),
    [
        ("langsmith", LANGSMITH, "Exception", "OpenAIRateLimitError('Error code: 429')", 0),
        ("langsmith", LANGSMITH, "Exception", "it is RateLimitError()", None),
        (
            "agent_framework",
            FRAMEWORK,
            WRAPPED,
            "service failed to complete the prompt: Error code: 429 - {'error': 1}",
            0,
        ),
        ("agent_framework", FRAMEWORK, WRAPPED, "('service failed: x', InternalServerError('Error code: 503'))", 0),
        ("agent_framework", FRAMEWORK, WRAPPED, "service failed to complete the prompt: Error code: 200 - x", None),
        ("agent_framework", FRAMEWORK, WRAPPED, "service failed to complete the prompt: Connection error.", None),
        ("agent_framework", FRAMEWORK, WRAPPED, "the tool has Error code: 404 in its manual", None),
        ("azure.core.tracing", FRAMEWORK, "azure.core.exceptions.HttpResponseError", "(None) no such model", 0),
        ("azure.core.tracing", FRAMEWORK, "azure.core.exceptions.ServiceResponseTimeoutError", "timed out", None),
        ("google_genai", FRAMEWORK, "httpx.ConnectError", "All connection attempts failed", 0),
        ("google_genai", FRAMEWORK, "httpx.ReadTimeout", "The read operation timed out", None),
        ("google_genai", {**FRAMEWORK, "http.request.resend_count": 1}, "httpx.ConnectError", "", None),
        ("ai", {**VERCEL, "ai.model.id": "claude-opus-4-8"}, "AI_APICallError", "Overloaded", 0),
        ("ai", {**VERCEL, "ai.model.id": "claude-opus-4-8"}, "AI_APICallError", "Cannot connect to API: ", None),
    ],
)
def test_of_an_exception_its_message_tells_what_its_type_does_not(
    scope: str, said: dict[str, str], kind: str, message: str, cost: int | None
) -> None:
    request = encode_spans([readable(Sent(scope=scope, failed=True, attributes=said))])
    event = request.resource_spans[0].scope_spans[0].spans[0].events.add(name="exception")
    for key, value in (("exception.type", kind), ("exception.message", message)):
        event.attributes.add(key=key).value.string_value = value
    span = request.resource_spans[0].scope_spans[0].spans[0]
    document = MessageToDict(request)
    ids = {"traceId": span.trace_id.hex(), "spanId": span.span_id.hex()}
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0].update(ids)
    for body, is_json in ((request.SerializeToString(), False), (json.dumps(document).encode(), True)):
        (report,) = read_batch(body, is_json=is_json, book=BOOK).reports
        assert report.call.cost.nano_usd == cost


def test_an_exception_of_a_call_that_ended_well_is_no_answer_to_it() -> None:
    """Of an attempt that was made again."""
    refused = ("exception", 1, {"exception.type": "RateLimitError", "exception.message": "Error code: 429 - {}"})
    span = Sent(scope="agent_framework", attributes=FRAMEWORK, events=[refused])
    (report,) = read_batch(body_of(span), is_json=False, book=BOOK).reports
    assert (report.call.http_status, report.call.cost.nano_usd) == (None, None)


ASKED_BY_OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "openai",
    "llm.model_name": "gpt-4o",
    "llm.token_count.prompt": 1000,
    "llm.token_count.completion": 100,
    "llm.token_count.total": 1100,
}
PLAIN = {**FRAMEWORK, "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
GENKIT = {
    "genkit:type": "action",
    "genkit:metadata:subtype": "model",
    "genkit:name": "openai/gpt-4o",
    "genkit:output": json.dumps({"usage": {"inputTokens": 1000, "outputTokens": 100}, "raw": {"id": "cut off"}}),
}
CACHED = "llm.token_count.prompt_details.cache_read"


@pytest.mark.parametrize(
    ("scope", "said", "whose"),
    [
        ("mlflow.tracing.provider", PLAIN, "MLflow"),
        ("semantic_kernel.utils.telemetry.model_diagnostics.decorators", PLAIN, "Semantic Kernel"),
        ("openinference.instrumentation.smolagents", ASKED_BY_OPENINFERENCE, "smolagents"),
        ("openinference.instrumentation.llama_index", ASKED_BY_OPENINFERENCE, "LlamaIndex"),
        ("openinference.instrumentation.openai_agents", ASKED_BY_OPENINFERENCE, "OpenAI's agents"),
        ("opentelemetry.instrumentation.mistralai", PLAIN, "OpenLLMetry"),
        ("genkit-tracer", GENKIT, "Genkit"),
        ("azure.core.tracing.ext.opentelemetry_span", {**PLAIN, "gen_ai.system": "az.ai.inference"}, "Azure AI"),
    ],
)
def test_what_an_emitter_is_known_to_leave_out_makes_its_cost_an_estimate(
    scope: str, said: dict[str, Any], whose: str
) -> None:
    cost = told(scope, said).call.cost
    # 1000 tokens of gpt-4o at $2.50 and 100 at $10 a million, had none of them come from the cache.
    assert (cost.nano_usd, cost.status.value) == (3_500_000, "estimated")
    assert whose in (cost.reason or "")
    assert "the cache" in (cost.reason or "")


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("openinference.instrumentation.llama_index", {**ASKED_BY_OPENINFERENCE, CACHED: 0}),
        ("openinference.instrumentation.openai", ASKED_BY_OPENINFERENCE),
        ("openinference.instrumentation.agno", ASKED_BY_OPENINFERENCE),
        ("opentelemetry.instrumentation.openai_v2", PLAIN),
        (
            "openinference.instrumentation.llama_index",
            {**ASKED_BY_OPENINFERENCE, "openinference.span.kind": "EMBEDDING"},
        ),
    ],
)
def test_a_cache_that_is_counted_or_meant_to_be_0_makes_no_estimate(scope: str, said: dict[str, Any]) -> None:
    assert told(scope, said).call.cost.status.value != "estimated"


GEMINI = {**PLAIN, "gen_ai.provider.name": "gcp.gemini", "gen_ai.request.model": "gemini-2.5-flash"}
OF_GEMINI = {"llm.provider": "Google", "llm.model_name": "gemini-2.5-flash"}
BEDROCK = {**PLAIN, "gen_ai.provider.name": "aws.bedrock", "gen_ai.request.model": "nova-lite-v1:0"}
INVOKED = {**BEDROCK, "gen_ai.request.model": "anthropic.claude-3-haiku-20240307-v1:0", "rpc.method": "InvokeModel"}
BOTOCORE = "opentelemetry.instrumentation.botocore.bedrock-runtime"


@pytest.mark.parametrize(
    ("scope", "said", "missing"),
    [
        ("opentelemetry.instrumentation.google_genai", GEMINI, "the provider's own tools"),
        ("opentelemetry.instrumentation.google_generativeai", GEMINI, "audio"),
        ("openlit.instrumentation.google_ai_studio", GEMINI, "audio"),
        ("opentelemetry.instrumentation.bedrock", BEDROCK, "the region"),
        (BOTOCORE, INVOKED, "the cache"),
        ("openinference.instrumentation.agno", {**ASKED_BY_OPENINFERENCE, **OF_GEMINI}, "Gemini thought"),
    ],
)
def test_so_does_whatever_else_of_a_price_is_left_out(scope: str, said: dict[str, Any], missing: str) -> None:
    cost = told(scope, said).call.cost
    assert cost.status.value == "estimated"
    assert missing in (cost.reason or "")


@pytest.mark.parametrize(
    "said",
    [
        {**INVOKED, "gen_ai.usage.cache_read.input_tokens": 12},
        {**INVOKED, "rpc.method": "Converse"},
        {**INVOKED, "gen_ai.request.model": "meta.llama3-8b-instruct-v1:0"},
        {k: v for k, v in INVOKED.items() if k != "rpc.method"},
    ],
    ids=["counted", "Converse tells", "a model without a cache", "no method"],
)
def test_of_bedrock_opentelemetry_leaves_the_cache_out_only_where_a_model_was_invoked(said: dict[str, Any]) -> None:
    assert told(BOTOCORE, said).call.cost.status.value == "exact"


def test_what_is_known_of_the_output_is_told_beside_it() -> None:
    report = told("openinference.instrumentation.smolagents", {**ASKED_BY_OPENINFERENCE, "llm.token_count.total": 1140})
    assert "taken for reasoning; OpenInference's spans of smolagents leave out" in (report.call.cost.reason or "")
