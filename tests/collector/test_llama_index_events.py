"""What LlamaIndex's own OpenTelemetry says, in span events: synthetic, in the words and the shape it was seen in."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from outlay.prices import PriceBook
from outlay_collector.ingest import Batch, read_batch

from tests.collector.echoing import OURS
from tests.collector.sending import BOTH_BACKENDS, Sent, body_of, chat, json_of, send, stored

BOOK = PriceBook.bundled()
SCOPE = "llamaindex.opentelemetry.tracer"
OPENAI = {
    "id": "chatcmpl-HQ9sEU5MpjHO8bx9ebRXuy2o63nYR",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "moderation": "null",
    "choices": '[{"finish_reason": "stop", "index": 0, "message": {"content": "Danube.", "role": "assistant"}}]',
    "usage.prompt_tokens": 1000,
    "usage.completion_tokens": 100,
    "usage.total_tokens": 1100,
    "usage.prompt_tokens_details.cached_tokens": 200,
    "usage.prompt_tokens_details.cache_write_tokens": "null",
    "usage.completion_tokens_details.reasoning_tokens": 40,
}
RESPONSES = {
    "id": "resp_611cce87ecdfbc4a9cdc5b39399c47874acfc80de7908fde79",
    "object": "response",
    "model": "gpt-4o-2024-08-06",
    "error": "null",
    "output": '[{"type": "message", "content": [{"type": "output_text", "text": "Danube."}]}]',
    "tools": "",
    "usage.input_tokens": 1000,
    "usage.input_tokens_details.cached_tokens": 200,
    "usage.output_tokens": 100,
    "usage.output_tokens_details.reasoning_tokens": 40,
    "usage.total_tokens": 1100,
}
ANTHROPIC = {
    "id": "msg_01O5BhkQEKp6GaoMf8rXRc03",
    "type": "message",
    "model": "claude-opus-4-8",
    "stop_reason": "end_turn",
    "usage.input_tokens": 12,
    "usage.cache_read_input_tokens": 800,
    "usage.cache_creation_input_tokens": 200,
    "usage.cache_creation.ephemeral_5m_input_tokens": 200,
    "usage.cache_creation.ephemeral_1h_input_tokens": 0,
    "usage.output_tokens": 50,
    "usage.service_tier": "standard",
}
GOOGLE = {
    "finish_reason": "STOP",
    "usage_metadata.prompt_token_count": 1000,
    "usage_metadata.cached_content_token_count": 200,
    "usage_metadata.candidates_token_count": 60,
    "usage_metadata.thoughts_token_count": 40,
    "usage_metadata.total_token_count": 1100,
    "usage_metadata.prompt_tokens_details": '[{"modality": "TEXT", "token_count": 1000}]',
}
BEDROCK = {
    "ResponseMetadata.HTTPStatusCode": 200,
    "stopReason": "end_turn",
    "usage.inputTokens": 12,
    "usage.outputTokens": 50,
    "usage.totalTokens": 862,
    "usage.cacheReadInputTokens": 800,
}
DEEPSEEK = {**OPENAI, "model": "deepseek-chat"}
GPT = {"input": 800, "cache_read": 200, "output": 100, "reasoning": 40}


def asked(class_name: str, model: str, kind: str = "LLMChat") -> tuple[str, int, dict[str, Any]]:
    said = {"model_dict.class_name": class_name, "model_dict.model_name": model, "messages": '[{"role": "user"}]'}
    return f"{kind}StartEvent", 5, said


def answered(raw: dict[str, Any], kind: str = "LLMChat", **more: Any) -> tuple[str, int, dict[str, Any]]:
    return f"{kind}EndEvent", 100, {**{f"response.raw.{name}": value for name, value in raw.items()}, **more}


def call(*events: tuple[str, int, dict[str, Any]], name: str = "OpenAI.chat", **more: Any) -> Sent:
    return Sent(**{"scope": SCOPE, "name": name, "events": events, **more})


def read(span: Sent, *, is_json: bool = False) -> Batch:
    return read_batch(json_of(span) if is_json else body_of(span), is_json=is_json, book=BOOK)


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize(
    ("class_name", "model", "raw", "provider", "units"),
    [
        ("openai_llm", "gpt-4o", OPENAI, "openai", GPT),
        ("openai_responses_llm", "gpt-4o", RESPONSES, "openai", GPT),
        ("azure_openai_llm", "gpt-4o", OPENAI, "azure", GPT),
        ("openai_llm", "deepseek-chat", DEEPSEEK, "deepseek", GPT),
        ("OpenAILike", "deepseek-chat", DEEPSEEK, "deepseek", GPT),
        (
            "Anthropic_LLM",
            "claude-opus-4-8",
            ANTHROPIC,
            "anthropic",
            {"input": 12, "cache_read": 800, "cache_write_5m": 200, "output": 50},
        ),
        ("GenAI", "gemini-2.5-flash", GOOGLE, "google", GPT),
        (
            "Bedrock_Converse_LLM",
            "anthropic.claude-opus-4-8-v1:0",
            BEDROCK,
            "bedrock",
            {"input": 12, "cache_read": 800, "output": 50},
        ),
    ],
)
def test_the_answers_event_has_the_providers_own_response(
    class_name: str, model: str, raw: dict[str, Any], provider: str, units: dict[str, int], is_json: bool
) -> None:
    (report,) = read(call(asked(class_name, model), answered(raw)), is_json=is_json).reports
    usage = report.call.usage
    assert usage is not None, report.call.reason_unread
    told = {unit: quantity for unit, quantity in usage.quantities.items() if quantity}
    assert (report.call.provider, told) == (provider, units)
    assert (report.call.response_id, report.call.model_requested) == (raw.get("id"), model)


def test_an_answer_that_was_cut_leaves_the_counts() -> None:
    cut = {**OPENAI, "choices": '[{"finish_reason": "stop", "index": 0, "mess'}
    (report,) = read(call(asked("openai_llm", "gpt-4o"), answered(cut))).reports
    # 800 tokens of gpt-4o at $2.50, 200 at $1.25 and 100 at $10 a million.
    assert (report.call.cost.nano_usd, report.call.response_id) == (3_250_000, OPENAI["id"])


def test_a_response_that_counts_nothing_leaves_what_llamaindex_counted() -> None:
    counted = {
        "response.additional_kwargs.prompt_tokens": 1000,
        "response.additional_kwargs.completion_tokens": 100,
        "response.additional_kwargs.total_tokens": 1100,
    }
    raw = {"id": OPENAI["id"], "model": OPENAI["model"], "object": "chat.completion"}
    (report,) = read(call(asked("openai_llm", "gpt-4o"), answered(raw, **counted))).reports
    # 1000 tokens of gpt-4o at $2.50 and 100 at $10 a million.
    assert (report.call.cost.nano_usd, report.call.response_id) == (3_500_000, OPENAI["id"])


def test_a_completion_that_asks_by_a_chat_is_one_call() -> None:
    """Anthropic's `complete` is one `chat` of its own."""
    outer = call(asked("Anthropic_LLM", "claude-opus-4-8", "LLMCompletion"), answered(ANTHROPIC, "LLMCompletion"))
    inner = call(asked("Anthropic_LLM", "claude-opus-4-8"), answered(ANTHROPIC), name="Anthropic.chat")
    assert read(outer).reports[0].bill_key == read(inner).reports[0].bill_key


@pytest.mark.parametrize(
    ("name", "operation", "event", "reason"),
    [
        ("OpenAI.stream_chat", "chat", asked("openai_llm", "gpt-4o"), "is over before its usage comes"),
        ("OpenAI.astream_complete", "chat", asked("openai_llm", "gpt-4o", "LLMCompletion"), "over before its usage"),
        ("OpenAI.achat", "chat", asked("openai_llm", "gpt-4o"), "no usage"),
        (
            "OpenAIEmbedding.get_query_embedding",
            "embeddings",
            asked("OpenAIEmbedding", "text-embedding-3-small", "Embedding"),
            "no usage",
        ),
    ],
)
def test_a_call_of_which_nothing_was_counted_is_unpriced_and_says_why(
    name: str, operation: str, event: tuple[str, int, dict[str, Any]], reason: str
) -> None:
    (report,) = read(call(event, name=name)).reports
    said = report.call
    assert (said.provider, said.operation, said.streamed) == ("openai", operation, "stream" in name)
    assert said.cost.nano_usd is None
    assert reason in (said.cost.reason or "")


def test_a_refused_call_is_free() -> None:
    refused = ("exception", 90, {"exception.type": "openai.RateLimitError"})
    (report,) = read(call(asked("openai_llm", "gpt-4o"), refused, failed=True)).reports
    assert (report.call.error_type, report.call.cost.nano_usd) == ("RateLimitError", 0)


@pytest.mark.parametrize(
    ("name", "events", "kind"),
    [
        ("VectorIndexRetriever.retrieve", [("RetrievalStartEvent", 1, {})], "retrieval"),
        ("FunctionTool.acall", [], "tool"),
        ("FunctionAgent.run", [("workflow.output", 1, {})], "agent"),
        ("BaseWorkflowAgent.run_agent_step", [], "chain"),
        ("OpenAI.predict", [("LLMPredictStartEvent", 1, {}), ("LLMPredictEndEvent", 2, {})], "chain"),
        ("OpenAI.chat_with_tools", [], "chain"),
    ],
)
def test_what_asks_no_model_itself_is_a_step(name: str, events: list[Any], kind: str) -> None:
    batch = read(call(*events, name=name))
    assert (batch.reports, [step.kind for step in batch.steps]) == ([], [kind])


@pytest.mark.parametrize(
    "raw",
    [
        {"usage": "null"},
        {"usage": "[1, 2"},
        {"usage": 7, "usage.prompt_tokens": 1},
        {"usage.prompt_tokens": 1, "usage.prompt_tokens.more": 2},
        {"usage." + "a." * 5000 + "b": 1},
        {"": 1, "..": 2, "usage..": 3},
    ],
)
def test_a_shape_nobody_would_flatten_to_is_no_usage_and_no_fault(raw: dict[str, Any]) -> None:
    (report,) = read(call(asked("openai_llm", "gpt-4o"), answered(raw))).reports
    assert report.call.cost.nano_usd is None or report.call.usage is not None


@BOTH_BACKENDS
@pytest.mark.parametrize("turned", [False, True])
async def test_beside_outlay_it_is_the_same_call(collector: httpx2.AsyncClient, turned: bool) -> None:
    theirs = call(asked("openai_llm", "gpt-4o"), answered(OPENAI))
    usage = '{"input":800,"cache_read":200,"output":100,"reasoning":40}'
    said = {**chat(**OURS), "gen_ai.response.id": OPENAI["id"], "outlay.usage": usage}
    spans = [theirs, Sent(span=2, trace=2, scope="outlay", attributes=said)]
    for span in (*(spans[::-1] if turned else spans), *spans):
        await send(collector, span)
    (told,) = await stored(collector)
    assert (told["cost_usd"], len(told["reports"]), told["bill"]["span_id"]) == ("0.0035", 2, f"{2:016x}")
