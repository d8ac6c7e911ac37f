"""Which requests are calls, and what they say before they are sent."""

from __future__ import annotations

from typing import Any

import pytest
from outlay.model import Terms
from outlay.providers.routes import read_request

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/chat/completions", "chat"),
        ("/chat/completions", "chat"),
        ("chat/completions", "chat"),
        ("https://api.openai.com/v1/chat/completions", "chat"),
        ("/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", "chat"),
        ("/v1/completions", "text_completion"),
        ("/v1/responses", "chat"),
        ("/v1/responses/compact", "chat"),
        ("/v1/messages", "chat"),
        ("/v1/messages?beta=true", "chat"),
        ("/v1beta/models/gemini-2.5-flash:generateContent", "generate_content"),
        ("models/gemini-2.5-flash:streamGenerateContent?alt=sse", "generate_content"),
        ("/v1beta/models/gemini-embedding-001:batchEmbedContents", "embeddings"),
        ("/v1/projects/p/locations/l/publishers/google/models/text-embedding-004:predict", "embeddings"),
        ("/v1/projects/p/locations/l/publishers/google/models/imagen-3.0-generate-001:predict", "image_generation"),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/claude-x@20250514:streamRawPredict", "chat"),
        ("/model/us.amazon.nova-lite-v1%3A0/converse", "chat"),
        ("/model/amazon.titan-embed-text-v2%3A0/invoke", "embeddings"),
        ("/v1/embeddings", "embeddings"),
        ("/v2/embed", "embeddings"),
        ("/v2/chat", "chat"),
        ("/v2/rerank", "rerank"),
        ("/v1/images/generations", "image_generation"),
        ("/v1/audio/transcriptions", "transcription"),
        ("/v1/audio/speech", "speech"),
        ("/v1/moderations", "moderation"),
        ("/api/chat", "chat"),
        ("/api/generate", "text_completion"),
        ("/ml/v1-beta/generation/text", "text_completion"),
        ("", "chat"),
    ],
)
def test_a_path_says_what_a_call_does(path: str, operation: str) -> None:
    request = read_request(path, CHAT)
    assert request is not None
    assert request.operation == operation


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/v1/files",
        "/v1/batches",
        "/v1/batches/batch_1",
        "/v1/messages/batches",
        "/v1/messages/batches/msgbatch_1/results",
        "/v1/messages/count_tokens",
        "/v1/responses/resp_1",
        "/v1/responses/resp_1/cancel",
        "/v1/responses/resp_1/input_items",
        "/v1/responses/input_tokens",
        "/v1/chat/completions/chatcmpl-1",
        "/v1/threads/thread_1/messages",
        "/v1/conversations",
        "/v1/fine_tuning/jobs",
        "/v1beta/models/gemini-2.5-flash:countTokens",
        "/v1beta/cachedContents",
        "/model/anthropic.claude-x/count-tokens",
        "/v1/organization/costs",
    ],
)
def test_what_is_not_billed_by_itself_is_no_call(path: str) -> None:
    assert read_request(path, CHAT) is None


def test_a_list_being_fetched_is_no_call_though_its_path_is_one() -> None:
    assert read_request("/v1/chat/completions", {}) is None
    assert read_request("/v1/audio/transcriptions", {}) is not None
    assert read_request("/openai/deployments/gpt-4o/chat/completions", {}) is not None


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/v1/messages", {"model": "claude-x"}, "claude-x"),
        ("/openai/deployments/my-gpt/chat/completions", {"messages": []}, "my-gpt"),
        ("/v1beta/models/gemini-2.5-flash:generateContent", {"contents": []}, "gemini-2.5-flash"),
        ("/model/us.amazon.nova-lite-v1%3A0/converse-stream", {"messages": []}, "us.amazon.nova-lite-v1:0"),
        (
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A0%3Ainference-profile%2Fus.anthropic.claude-x/invoke",
            {"messages": []},
            "arn:aws:bedrock:us-east-1:0:inference-profile/us.anthropic.claude-x",
        ),
        ("/v1beta/models/m:batchEmbedContents", {"requests": [{"model": "models/other"}]}, "m"),
        (
            "/v1beta:batchEmbedContents",
            {"requests": [{"model": "models/gemini-embedding-001"}]},
            "gemini-embedding-001",
        ),
        ("/v1/chat/completions", {"model": 7, "messages": []}, None),
    ],
)
def test_the_model_is_in_the_body_or_in_the_path(path: str, body: dict[str, Any], model: str | None) -> None:
    request = read_request(path, body)
    assert request is not None
    assert request.model == model


@pytest.mark.parametrize(
    ("body", "cap"),
    [
        ({"max_tokens": 50}, 50),
        ({"max_completion_tokens": 60, "max_tokens": 50}, 60),
        ({"max_tokens": 50, "n": 3}, 150),
        ({"max_output_tokens": 70}, 70),
        ({"generationConfig": {"maxOutputTokens": 80, "candidateCount": 2}}, 160),
        ({"inferenceConfig": {"maxTokens": 90}}, 90),
        ({"textGenerationConfig": {"maxTokenCount": 10}}, 10),
        ({"options": {"num_predict": 20}}, 20),
        ({"options": {"num_predict": -1}}, None),
        ({"max_tokens": "many"}, None),
        ({}, None),
    ],
)
def test_the_cap_counts_every_alternative(body: dict[str, Any], cap: int | None) -> None:
    request = read_request("/v1/chat/completions", {**CHAT, **body})
    assert request is not None
    assert request.max_output_tokens == cap


@pytest.mark.parametrize(
    ("body", "characters"),
    [
        (CHAT, 5),
        ({"model": "m", "input": "abc", "instructions": "de"}, 5),
        ({"model": "m", "input": ["abc", "de"]}, 5),
        ({"model": "m", "input": [101, 102, 103]}, 12),
        ({"system": "abc", "messages": [{"content": [{"type": "text", "text": "de"}]}]}, 5),
        ({"contents": [{"parts": [{"text": "abc"}, {"inlineData": {"data": "A" * 999}}]}]}, 3),
        ({"messages": [{"content": [{"type": "image_url", "image_url": {"url": "data:" + "A" * 999}}]}]}, 0),
        ({"tools": [{"name": "f", "parameters": {"type": "object"}}]}, 4 + 1 + 10 + 4 + 6),
    ],
)
def test_the_prompt_s_text_is_counted_and_no_data(body: dict[str, Any], characters: int) -> None:
    request = read_request("", body)
    assert request is not None
    assert request.prompt.characters == characters


def test_the_body_or_the_path_asks_for_a_stream() -> None:
    for path, body in (
        ("/v1/chat/completions", {"stream": True}),
        ("/v1beta/models/m:streamGenerateContent", {}),
        ("/model/m/converse-stream", {}),
        ("/model/m/invoke-with-response-stream", {}),
    ):
        request = read_request(path, {**CHAT, **body})
        assert request is not None
        assert request.streamed
    plain = read_request("/model/streamer/converse", CHAT)
    assert plain is not None
    assert not plain.streamed


@pytest.mark.parametrize(
    ("body", "terms"),
    [
        ({}, Terms()),
        ({"service_tier": "auto"}, Terms()),
        ({"service_tier": "standard_only"}, Terms()),
        ({"service_tier": "flex"}, Terms(service_tier="flex")),
        ({"service_tier": "fast", "batch": True}, Terms(service_tier="priority", batch=True)),
        ({"batch": True}, Terms(batch=True)),
        ({"batch": "yes"}, Terms()),
        ({"speed": "fast", "inference_geo": "US"}, Terms(speed="fast", region="us")),
        ({"service_tier": 3}, Terms()),
    ],
)
def test_the_terms_asked_for(body: dict[str, Any], terms: Terms) -> None:
    request = read_request("/v1/chat/completions", {**CHAT, **body})
    assert request is not None
    assert request.terms == terms


@pytest.mark.parametrize(
    ("body", "user", "session"),
    [
        ({"user": "u1"}, "u1", None),
        ({"safety_identifier": "u2"}, "u2", None),
        ({"metadata": {"user_id": "u3", "session_id": "s3"}}, "u3", "s3"),
        ({"conversation": {"id": "conv_1"}}, None, "conv_1"),
        ({"conversation": "conv_2", "metadata": None}, None, "conv_2"),
        ({"user": ""}, None, None),
    ],
)
def test_a_request_may_name_its_user_and_session(body: dict[str, Any], user: str | None, session: str | None) -> None:
    request = read_request("/v1/responses", {**CHAT, **body})
    assert request is not None
    assert (request.attribution.user, request.attribution.session) == (user, session)
