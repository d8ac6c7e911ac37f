"""What Haystack's components hand out, told by its own tracing and by OpenInference: synthetic, as each was seen."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from outlay_collector.ingest import read_batch

from tests.collector.sending import Sent, body_of, chat, send, stored
from tests.collector.spoken.said import RESPONSES_USAGE
from tests.collector.telling import BOOK, told, units

OF_OPENINFERENCE = "openinference.instrumentation.haystack"
ASKED = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-5.2-2025-12-11", "llm.system": "openai"}
ANSWERED = {
    "id": "resp_68a1f2c4b7d09e35a1c8",
    "object": "response",
    "status": "completed",
    "model": "gpt-5.2-2025-12-11",
    "service_tier": "priority",
    "usage": RESPONSES_USAGE,
}
COUNTED = {"input": 800, "cache_read": 200, "output": 100, "reasoning": 40}


def printed(meta: dict[str, Any]) -> str:
    """What OpenInference has of a message: as Python prints it."""
    message = f"ChatMessage(_role=<ChatRole.ASSISTANT: 'assistant'>, _content=[], _name=None, _meta={meta!r})"
    return json.dumps({"replies": [message]})


def component(kind: str, output: Any = None) -> dict[str, Any]:
    said = {} if output is None else {"haystack.component.output": json.dumps(output)}
    return {"haystack.component.type": kind, **said}


def test_a_response_that_is_printed_whole_has_its_cache_its_tier_and_its_id() -> None:
    counted = {"llm.token_count.total": 1100}  # OpenInference looks for the names of chat completions
    call = told(OF_OPENINFERENCE, {**ASKED, **counted, "output.value": printed(ANSWERED)}).call
    assert call.usage is not None
    assert (call.usage.quantities, call.usage.inferred) == (COUNTED, None)
    assert (call.response_id, call.terms.service_tier) == ("resp_68a1f2c4b7d09e35a1c8", "priority")


def test_of_one_that_is_too_long_the_usage_is_read() -> None:
    long = {"id": ANSWERED["id"], "instructions": "'usage': {} _meta= " * 2_000, **ANSWERED}
    call = told(OF_OPENINFERENCE, {**ASKED, "output.value": printed(long)}).call
    assert call.usage is not None
    assert call.usage.quantities == COUNTED


@pytest.mark.parametrize(
    "said",
    [
        "[]",
        '{"replies": []}',
        '{"replies": [7]}',
        '{"replies": ["an answer"], "meta": [7]}',
        '{"replies": ["ChatMessage(_meta={)"]}',
        "{\"replies\": [\"ChatMessage(_meta={'usage': {'prompt_tokens': f()}})\"]}",
        '{"replies": "',
        "",
    ],
)
def test_without_it_what_openinference_counts_is_a_guess(said: str) -> None:
    counts = {"llm.token_count.prompt": 1000, "llm.token_count.completion": 100, "llm.token_count.total": 1100}
    asked = {**ASKED, "llm.model_name": "gpt-4o", **counts}
    cost = told(OF_OPENINFERENCE, {**asked, "output.value": said}).call.cost
    # 1000 tokens of gpt-4o at $2.50 and 100 at $10 a million
    assert (cost.nano_usd, cost.status.value) == (3_500_000, "estimated")
    assert "Haystack" in (cost.reason or "")


def test_geminis_thoughts_are_in_what_google_counts() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 60, "total_tokens": 1100, "prompt_token_count": 1000}
    usage |= {"candidates_token_count": 60, "thoughts_token_count": 40, "cached_content_token_count": 200}
    said = {**ASKED, "llm.model_name": "gemini-2.5-flash", "llm.system": "vertexai"}
    report = told(OF_OPENINFERENCE, {**said, "output.value": printed({"model": "gemini-2.5-flash", "usage": usage})})
    assert (report.call.provider, units(report)) == ("google", COUNTED)


def test_bedrocks_input_has_its_cache_beside_it() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 100, "total_tokens": 1103}
    usage |= {"cache_read_input_tokens": 800, "cache_write_input_tokens": 200}
    output = {"replies": [{"meta": {"model": "us.amazon.nova-lite-v1:0", "usage": usage}}]}
    report = told("bot", component("AmazonBedrockChatGenerator", output))
    assert (report.call.provider, report.call.operation) == ("bedrock", "chat")
    assert units(report) == {"input": 3, "cache_read": 800, "cache_write": 200, "output": 100}


@pytest.mark.parametrize(
    ("kind", "output", "provider", "operation", "expected"),
    [
        (
            "OpenAIGenerator",
            {
                "replies": ["Rhine"],
                "meta": [{"model": "gpt-4o", "usage": {"prompt_tokens": 9, "completion_tokens": 2}}],
            },
            "openai",
            "chat",
            {"input": 9, "output": 2},
        ),
        (
            "OpenAIGenerator",
            {"replies": ["Rhine"], "meta": [{"model": "deepseek-chat", "usage": {"prompt_tokens": 9}}]},
            "deepseek",
            "chat",
            {"input": 9},
        ),
        (
            "OpenAITextEmbedder",
            {"embedding": [0.5], "meta": {"model": "text-embedding-3-small", "usage": {"prompt_tokens": 9}}},
            "openai",
            "embeddings",
            {"input": 9},
        ),
        (
            "AzureOpenAIDocumentEmbedder",
            {"documents": [], "meta": {"model": "text-embedding-3-small", "usage": {"prompt_tokens": 9}}},
            "azure",
            "embeddings",
            {"input": 9},
        ),
    ],
)
def test_generators_and_embedders_say_in_their_meta_what_was_answered(
    kind: str, output: Any, provider: str, operation: str, expected: dict[str, int]
) -> None:
    report = told("bot", component(kind, output))
    assert (report.call.provider, report.call.operation, units(report)) == (provider, operation, expected)


def test_where_content_is_not_traced_it_is_a_call_without_a_price() -> None:
    call = told("bot", component("MistralChatGenerator")).call
    assert (call.provider, call.usage, call.cost.status.value) == ("mistral", None, "unpriced")


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("FallbackChatGenerator", "chain"),
        ("HuggingFaceLocalChatGenerator", "chain"),
        ("SentenceTransformersTextEmbedder", "chain"),
        ("DALLEImageGenerator", "chain"),
        ("PromptBuilder", "chain"),
        ("Agent", "agent"),
        ("ToolInvoker", "tool"),
        ("InMemoryBM25Retriever", "retrieval"),
    ],
)
def test_other_components_are_steps(kind: str, step: str) -> None:
    batch = read_batch(body_of(Sent(scope="bot", attributes=component(kind))), is_json=False, book=BOOK)
    assert ([*batch.reports], [each.kind for each in batch.steps]) == ([], [step])


@pytest.mark.parametrize("reverse", [False, True])
async def test_the_sdks_call_within_a_component_is_the_call_it_tells_of(
    collector: httpx2.AsyncClient, reverse: bool
) -> None:
    spans = [
        Sent(span=1, scope="bot", attributes=component("OpenAIChatGenerator")),
        Sent(span=2, parent=1, attributes=chat()),
    ]
    for span in reversed(spans) if reverse else spans:
        await send(collector, span)
    (call,) = await stored(collector)
    assert (call["cost_usd"], len(call["reports"])) == ("0.0035", 2)  # 1000 x 2.5 + 100 x 10, over a million
