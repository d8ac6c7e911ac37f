"""What instrumentations of Google, Cohere and Bedrock count in their own way: synthetic, in the words each was seen to
use."""

from __future__ import annotations

import json

import httpx2
import pytest

from tests.collector.sending import Sent, send, stored
from tests.collector.telling import VERCEL, told, units

OPENLLMETRY = "opentelemetry.instrumentation.google_generativeai"
OPENTELEMETRY = "opentelemetry.instrumentation.google_genai"
OPENINFERENCE = "openinference.instrumentation.google_genai"
GEMINI = {"gen_ai.operation.name": "generate_content", "gen_ai.provider.name": "gcp.gen_ai"}


def test_thoughts_that_only_the_total_counts_are_an_estimate() -> None:
    report = told(
        OPENLLMETRY,
        {
            **GEMINI,
            "gen_ai.request.model": "publishers/google/gemini-2.5-flash",
            "gen_ai.usage.input_tokens": 102,
            "gen_ai.usage.output_tokens": 7,
            "gen_ai.usage.total_tokens": 502,
        },
    )
    assert (report.call.provider, units(report)) == (
        "google-vertex",
        {"input": 102, "output": 400, "reasoning": 393},
    )
    assert report.call.cost.status == "estimated"
    assert report.call.cost.nano_usd == 102 * 300 + 400 * 2_500  # $0.30 and $2.50 a million


def test_an_interactions_thoughts_stand_beside_its_output() -> None:
    report = told(
        OPENTELEMETRY,
        {
            "gen_ai.operation.name": "interactions.create",
            "gen_ai.provider.name": "gemini",
            "gen_ai.request.model": "gemini-2.5-flash",
            "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.output_tokens": 13,
            "gen_ai.usage.reasoning.output_tokens": 11,
        },
    )
    assert (report.call.operation, units(report)) == ("chat", {"input": 9, "output": 24, "reasoning": 11})


def test_an_image_from_the_cache_is_counted_once() -> None:
    report = told(
        OPENTELEMETRY,
        {
            **GEMINI,
            "gen_ai.request.model": "models/gemini-2.5-flash",
            "gen_ai.usage.input_tokens": 345,
            "gen_ai.usage.image.input_tokens": 258,
            "gen_ai.usage.cache_read.input_tokens": 191,
            "gen_ai.usage.image.cache_read.input_tokens": 143,
            "gen_ai.usage.output_tokens": 168,
            "gen_ai.usage.reasoning.output_tokens": 98,
        },
    )
    parts = {"input": 39, "input_image": 115, "cache_read": 48, "cache_read_image": 143}
    assert units(report) == {**parts, "output": 168, "reasoning": 98}


def test_a_response_of_googles_is_read_where_a_span_carries_it() -> None:
    response = {
        "model_version": "gemini-2.5-flash",
        "response_id": "r1",
        "candidates": [{"finish_reason": "STOP", "grounding_metadata": {"web_search_queries": ["a", "b"]}}],
        "usage_metadata": {
            "prompt_token_count": 100,
            "candidates_token_count": 20,
            "thoughts_token_count": 30,
            "tool_use_prompt_token_count": 5,
            "total_token_count": 155,
        },
    }
    report = told(
        OPENINFERENCE,
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "google",
            "llm.model_name": "gemini-2.5-flash",
            "llm.token_count.prompt": 105,
            "llm.token_count.completion": 50,
            "llm.token_count.total": 155,
            "output.value": json.dumps(response),
        },
    )
    assert report.call.response_id == "r1"
    assert units(report) == {"input": 100, "tool_input": 5, "output": 50, "reasoning": 30, "web_search": 1}


@pytest.mark.parametrize(
    ("scope", "provider"),
    [
        ("openinference.instrumentation.openai", "openai"),
        ("@arizeai/openinference-instrumentation-openai", "openai"),
        ("openinference.instrumentation.autogen_agentchat", "openai"),
        ("openinference.instrumentation.mistralai", "mistral"),
        ("my.app", "openai"),
    ],
)
def test_an_embedding_without_a_provider_is_of_the_sdk_that_is_instrumented(scope: str, provider: str) -> None:
    """Of a framework, or an application that makes its spans itself, the model tells."""
    report = told(
        scope,
        {
            "openinference.span.kind": "EMBEDDING",
            "embedding.model_name": "text-embedding-3-small",
            "llm.token_count.prompt": 2,
            "llm.token_count.total": 2,
        },
    )
    assert (report.call.provider, units(report)) == (provider, {"input": 2})
    if provider == "openai":
        assert report.call.cost.nano_usd == 40  # $0.02 a million


@pytest.mark.parametrize("cached", [1024, 112])
def test_what_cohere_cached_is_no_part_of_what_it_bills(cached: int) -> None:
    report = told(
        "openlit.instrumentation.cohere",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "cohere",
            "gen_ai.request.model": "command-r7b-12-2024",
            "gen_ai.usage.input_tokens": 135.0,
            "gen_ai.usage.cache_read.input_tokens": float(cached),
            "gen_ai.usage.output_tokens": 29.0,
        },
    )
    assert units(report) == {"input": 135, "output": 29}


def test_a_model_of_bedrocks_is_priced_without_its_makers_name() -> None:
    report = told(
        "opentelemetry.instrumentation.bedrock",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "aws.bedrock",
            "gen_ai.request.model": "nova-lite-v1:0",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
        },
    )
    assert report.call.model_requested == "amazon.nova-lite-v1:0"
    assert report.call.cost.nano_usd == 1000 * 60 + 100 * 240  # $0.06 and $0.24 a million


@pytest.mark.parametrize(
    ("error", "cost"),
    [("ClientError", "0"), ("ServerError", "0"), ("ModelServerError", "0"), ("HTTPClientError", None)],
)
async def test_an_sdks_own_class_for_an_error_that_was_answered_says_that_nothing_was_billed(
    collector: httpx2.AsyncClient, error: str, cost: str | None
) -> None:
    """botocore's `HTTPClientError` is of a connection: what became of the request is not known."""
    attributes = {**GEMINI, "gen_ai.request.model": "gemini-2.5-flash", "error.type": error}
    await send(collector, Sent(scope=OPENTELEMETRY, attributes=attributes, failed=True))
    (call,) = await stored(collector)
    assert call["cost_usd"] == cost


LANGCHAIN = {"input_tokens": 1150, "output_tokens": 271, "input_token_details": {"audio": 0, "cache_read": 1024}}
AGENTS = {
    "requests": 1,
    "input_tokens": 1150,
    "output_tokens": 271,
    "total_tokens": 1421,
    "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 1024},
    "output_tokens_details": {"reasoning_tokens": 0},
}


@pytest.mark.parametrize(
    ("scope", "attributes"),
    [
        ("langsmith", {"langsmith.span.kind": "llm", "langsmith.metadata.usage_metadata": json.dumps(LANGCHAIN)}),
        ("logfire.openai_agents", {"request_data": '{"model":"gpt-4o-mini"}', "usage": json.dumps(AGENTS)}),
    ],
    ids=["langsmith of langchain", "logfire of openai's agents"],
)
def test_the_cache_is_read_in_a_usage_object_beside_the_counts(scope: str, attributes: dict[str, str]) -> None:
    counts = {
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1150,
        "gen_ai.usage.output_tokens": 271,
    }
    report = told(scope, {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", **counts, **attributes})
    assert units(report) == {"input": 126, "cache_read": 1024, "output": 271}


def test_the_usage_in_vercels_metadata_has_what_its_counts_leave_out() -> None:
    usage = {
        "input_tokens": 21,
        "output_tokens": 568,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 1733,
    }
    counts = {"ai.usage.promptTokens": 21, "ai.usage.completionTokens": 568}
    metadata = {"ai.response.providerMetadata": json.dumps({"anthropic": {"usage": usage, "iterations": None}})}
    report = told("ai", {**VERCEL, "ai.model.id": "claude-opus-4-8", **counts, **metadata})
    assert units(report) == {"input": 21, "cache_read": 1733, "output": 568}


def test_the_prompt_of_googles_tools_is_in_vercels_metadata() -> None:
    usage = {
        "promptTokenCount": 32,
        "candidatesTokenCount": 575,
        "thoughtsTokenCount": 199,
        "toolUsePromptTokenCount": 619,
        "totalTokenCount": 1425,
    }
    counts = {"ai.usage.inputTokens": 32, "ai.usage.outputTokens": 774, "ai.usage.totalTokens": 806}
    metadata = {"ai.response.providerMetadata": json.dumps({"google": {"usageMetadata": usage}})}
    of_google = {**VERCEL, "ai.model.provider": "google.generative-ai", "ai.model.id": "gemini-2.5-flash"}
    report = told("ai", {**of_google, **counts, **metadata})
    assert units(report) == {"input": 32, "tool_input": 619, "output": 774, "reasoning": 199}


def test_the_cache_is_in_the_event_that_openinference_carries_of_a_stream() -> None:
    counts = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    usage = {**counts, "prompt_tokens_details": {"cached_tokens": 200}}
    event = {
        "data": {
            "id": "1ecfb2eb",
            "object": "chat.completion.chunk",
            "choices": [],
            "model": "mistral-large-2512",
            "usage": usage,
        }
    }
    report = told(
        "openinference.instrumentation.mistralai",
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "mistralai",
            "llm.model_name": "mistral-large-2512",
            "llm.token_count.prompt": 1000,
            "llm.token_count.completion": 100,
            "llm.token_count.total": 1100,
            "output.value": json.dumps(event),
        },
    )
    assert units(report) == {"input": 800, "cache_read": 200, "output": 100}
    assert report.call.response_id == "1ecfb2eb"
