"""Providers by name, by host and by the marks they leave; batch lines; streams whose format shows late."""

from __future__ import annotations

from typing import Any

import pytest
from outlay.providers.names import conventional_provider
from outlay.providers.registry import canonical_provider, provider_of_host, reader_for, sniff

CHAT: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
MESSAGE: dict[str, Any] = {"type": "message", "content": [], "usage": {"input_tokens": 3, "output_tokens": 2}}


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("aws.bedrock", "bedrock"),
        ("azure.ai.openai", "azure"),
        ("gcp.gemini", "google"),
        ("gcp.vertex_ai", "google-vertex"),
        ("mistral_ai", "mistral"),
        ("X_AI", "xai"),
        ("ibm.watsonx.ai", "watsonx"),
        ("OpenAI", "openai"),
        ("acme", "acme"),
    ],
)
def test_a_provider_has_one_name(name: str, canonical: str) -> None:
    assert canonical_provider(name) == canonical
    assert canonical_provider(canonical) == canonical


@pytest.mark.parametrize("name", ["openai", "azure", "bedrock", "google", "google-vertex", "mistral", "watsonx", "xai"])
def test_the_name_on_a_span_leads_back_to_ours(name: str) -> None:
    assert canonical_provider(conventional_provider(name)) == name


def test_a_span_names_a_provider_as_the_conventions_do() -> None:
    assert conventional_provider("google") == "gcp.gemini"
    assert conventional_provider("acme") == "acme"


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("api.openai.com:443", "openai"),
        ("acme.openai.azure.com", "azure"),
        ("API.ANTHROPIC.COM", "anthropic"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "bedrock"),
        ("bedrock-mantle.us-east-1.api.aws", "bedrock"),
        ("generativelanguage.googleapis.com", "google"),
        ("europe-west4-aiplatform.googleapis.com", "google-vertex"),
        ("router.huggingface.co", "huggingface"),
        ("openrouter.ai", "openrouter"),
        ("127.0.0.1:8000", None),
        ("evil-api.openai.com.example.org", None),
        ("s3.us-east-1.amazonaws.com", None),
        ("", None),
    ],
)
def test_a_host_is_a_provider_s_or_nobody_s(host: str, provider: str | None) -> None:
    assert provider_of_host(host) == provider


@pytest.mark.parametrize(
    ("body", "provider"),
    [
        ({**CHAT, "model": "gpt-4o"}, "openai"),
        ({**CHAT, "model": "ft:gpt-4.1-2025-04-14:acme::x"}, "openai"),
        ({**CHAT, "model": "grok-4"}, "xai"),
        ({**CHAT, "model": "mistral-large-latest"}, "mistral"),
        ({**CHAT, "model": "openai/gpt-oss-120b"}, None),
        ({**CHAT, "usage": {"cost": 0.1, "is_byok": False}}, "openrouter"),
        ({**CHAT, "usage": {"cost": {"total_cost": 0.1}}}, "perplexity"),
        ({**CHAT, "usage": {"prompt_cache_miss_tokens": 1}}, "deepseek"),
        ({**CHAT, "x_groq": {"id": "r"}}, "groq"),
        ({**CHAT, "prompt_filter_results": []}, "azure"),
        (MESSAGE, "anthropic"),
        ({**MESSAGE, "id": "msg_bdrk_1"}, "bedrock"),
        ({"usageMetadata": {"promptTokenCount": 1}}, "google"),
        ({"usageMetadata": {"promptTokenCount": 1, "trafficType": "ON_DEMAND"}}, "google-vertex"),
        ({"usage": {"billed_units": {}}}, "cohere"),
        ({"custom_id": "0", "result": {"message": MESSAGE}}, "anthropic"),
        ({"object": "list", "data": [{"embedding": []}], "usage": {"total_tokens": 1}}, "voyageai"),
        ({"hello": "world"}, None),
        ({}, None),
    ],
)
def test_a_bare_response_shows_whose_it_is_or_nothing(body: dict[str, Any], provider: str | None) -> None:
    assert sniff(body) == provider


@pytest.mark.parametrize(
    ("provider", "line"),
    [
        ("openai", {"custom_id": "0", "response": {"status_code": 200, "body": CHAT}, "error": None}),
        ("anthropic", {"custom_id": "0", "result": {"type": "succeeded", "message": MESSAGE}}),
        ("google", {"key": "0", "response": {"usageMetadata": {"promptTokenCount": 1}}}),
        ("xai", {"batch_request_id": "0", "batch_result": {"response": {"chat_get_completion": CHAT}}}),
    ],
)
def test_a_line_of_batch_results_is_read_at_batch_terms(read: Any, provider: str, line: dict[str, Any]) -> None:
    reading = read(provider, line)
    assert reading.usage is not None
    assert reading.terms.batch


def test_a_failed_line_of_a_batch_has_no_usage(read: Any) -> None:
    for line in ({"custom_id": "0", "result": {"type": "errored"}}, {"custom_id": "0", "response": None}):
        reading = read("openai", line)
        assert reading.usage is None
        assert reading.reason_unread


def test_any_provider_reads_any_format(read: Any) -> None:
    for provider in ("gateway", "bedrock", "acme"):
        assert read(provider, CHAT).usage.input_tokens == 1
        assert read(provider, MESSAGE).usage.input_tokens == 3


def test_a_stream_waits_for_the_event_that_shows_its_format() -> None:
    stream = reader_for("acme").start_stream(None)
    assert (stream.finished, stream.output_characters) == (False, 0)
    assert stream.reading().reason_unread is not None
    stream.feed({"unheard": "of"})
    stream.feed({"type": "message_start", "message": MESSAGE})
    assert stream.reading().usage is not None


def test_an_unknown_shape_is_said_to_be_one(read: Any) -> None:
    assert "shape" in read("openai", {"hello": "world"}).reason_unread


NULLS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "openai": (CHAT, ("prompt_cache_miss_tokens", "queue_time", "cost_in_usd_ticks", "is_byok", "billed_units")),
    "anthropic": (MESSAGE, ("prompt_tokens", "inputTokens", "total_input_tokens", "search_context_size")),
    "cohere": ({"usage": {"billed_units": {"input_tokens": 5, "output_tokens": 2}}}, ("inputTokens", "input_tokens")),
    "bedrock": (
        {"output": {}, "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}},
        ("billed_units", "input_tokens", "tokens"),
    ),
    "mistral": (
        {"object": "conversation.response", "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}},
        ("num_cached_tokens", "prompt_tokens_details", "inputTokens", "total_input_tokens"),
    ),
}


@pytest.mark.parametrize("provider", NULLS)
def test_a_null_of_another_format_says_nothing_about_whose_a_response_is(read: Any, provider: str) -> None:
    body, others = NULLS[provider]
    passed_on = {**body, "usage": {**body["usage"], **dict.fromkeys(others)}}
    assert read(provider, body).usage is not None
    assert read(provider, passed_on).usage == read(provider, body).usage
    assert sniff(passed_on) == sniff(body)
