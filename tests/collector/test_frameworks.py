"""What frameworks say of the calls they make, each in its own way: synthetic, in the words each was seen to use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from outlay.prices import PriceBook
from outlay_collector.ingest import Batch, read_batch

from tests.collector.sending import Sent, body_of, send, stored

BOOK = PriceBook.bundled()
ADK = "gcp.vertex.agent"
GENERATE = {"gen_ai.operation.name": "generate_content"}
PYDANTIC = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}


def read(scope: str, attributes: Mapping[str, Any], **more: Any) -> Batch:
    return read_batch(body_of(Sent(scope=scope, attributes=attributes, **more)), is_json=False, book=BOOK)


def told(scope: str, attributes: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The units one span counts, its provider, and whether a part of the counts is a guess."""
    (report,) = read(scope, attributes, **more).reports
    usage = report.call.usage
    assert usage is not None, report.call.reason_unread
    units = {unit: quantity for unit, quantity in usage.quantities.items() if quantity}
    return {"provider": report.call.provider, "guessed": usage.inferred is not None, **units}


def _counts(**counts: int) -> dict[str, int]:
    return {f"gen_ai.usage.{name.replace('__', '.')}": count for name, count in counts.items()}


def test_what_adk_counts_of_gemini_has_the_thoughts_in_its_output_once() -> None:
    counts = _counts(input_tokens=1000, output_tokens=100, cache_read__input_tokens=200, reasoning__output_tokens=40)
    asked = {"gen_ai.provider.name": "gcp.gemini", "gen_ai.request.model": "gemini-2.5-flash"}
    units = {"input": 800, "cache_read": 200, "output": 100, "reasoning": 40}
    assert told(ADK, {**GENERATE, **asked, **counts}) == {"provider": "google", "guessed": False, **units}


@pytest.mark.parametrize(("said", "output", "guessed"), [(140, 100, True), (70, 70, False)])
def test_the_reasoning_adk_adds_to_what_litellm_counted_is_billed_once(said: int, output: int, guessed: bool) -> None:
    """Where the output cannot hold it twice, it is there once already."""
    counts = _counts(input_tokens=1000, output_tokens=said, reasoning__output_tokens=40)
    asked = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "openai/gpt-4o"}
    units = {"input": 1000, "output": output, "reasoning": 40}
    assert told(ADK, {**GENERATE, **asked, **counts}) == {"provider": "openai", "guessed": guessed, **units}


@pytest.mark.parametrize(
    ("model", "provider", "made", "thought", "output"),
    [
        ("gemini-2.5-flash", "google", 60, 40, 100),
        ("gemini-2.5-flash", "google", 60, 90, 150),
        ("openai/gpt-4o", "openai", 60, 40, 60),
    ],
)
def test_adk_1_leaves_thoughts_beside_its_output_but_of_litellms_models(
    model: str, provider: str, made: int, thought: int, output: int
) -> None:
    counts = _counts(input_tokens=1000, output_tokens=made, experimental__reasoning_tokens=thought)
    said = {"gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": model, **counts}
    units = {"input": 1000, "output": output, "reasoning": thought}
    assert told(ADK, said) == {"provider": provider, "guessed": False, **units}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("model", "served", "provider", "made", "usd"),
    [
        # For a million: gemini-2.5-flash $0.30 in, $0.03 cached, $2.50 out; gpt-4o $2.50, $1.25 and $10.
        ("gemini-2.5-flash", "gemini-2.5-flash", "google", 60, Decimal("0.000496")),  # 800 x .3 + 200 x .03 + 100 x 2.5
        ("openai/gpt-4o", "gpt-4o-2024-08-06", "openai", 100, Decimal("0.00325")),  # 800 x 2.5 + 200 x 1.25 + 100 x 10
    ],
)
async def test_the_response_on_adk_1s_outer_span_has_the_cache_its_inner_leaves_out(
    collector: httpx2.AsyncClient, model: str, served: str, provider: str, made: int, usd: Decimal, reverse: bool
) -> None:
    usage = {"prompt_token_count": 1000, "candidates_token_count": made, "cached_content_token_count": 200}
    usage |= {"thoughts_token_count": 40, "total_token_count": 1100}
    response = {"model_version": served, "content": {"parts": [], "role": "model"}, "usage_metadata": usage}
    counts = {**_counts(input_tokens=1000, output_tokens=made), "gen_ai.request.model": model}
    outer = {**counts, **_counts(experimental__reasoning_tokens=40), "gen_ai.system": ADK}
    outer["gcp.vertex.agent.llm_response"] = json.dumps(response)
    spans = [
        Sent(span=1, scope=ADK, name="call_llm", attributes=outer),
        Sent(span=2, parent=1, scope=ADK, attributes={**GENERATE, **counts, "gen_ai.system": "gemini"}),
    ]
    for span in reversed(spans) if reverse else spans:
        await send(collector, span)
    (call,) = await stored(collector)
    assert (call["provider"], call["model"], call["output_tokens"]) == (provider, served, 100)
    assert (Decimal(call["cost_usd"]), call["cost_status"]) == (usd, "exact")


def test_pydantic_ai_counts_googles_thoughts_by_googles_name() -> None:
    counts = _counts(input_tokens=1000, output_tokens=100, details__thoughts_tokens=40)
    said = {**PYDANTIC, "gen_ai.provider.name": "google", "gen_ai.request.model": "gemini-2.5-flash", **counts}
    units = {"input": 1000, "output": 100, "reasoning": 40}
    assert told("pydantic-ai", said) == {"provider": "google", "guessed": False, **units}


@pytest.mark.parametrize(
    ("kind", "nano_usd"),
    [
        ("ModelRequestRejectedError", 0),
        ("ModelQuotaExceededError", 0),
        ("ModelUnavailableError", 0),
        ("ModelConnectionError", None),
        ("ModelTimeoutError", None),
    ],
)
def test_of_pydantic_ais_errors_those_that_were_answered_cost_nothing(kind: str, nano_usd: int | None) -> None:
    (report,) = read("pydantic-ai", {**PYDANTIC, "error.type": kind}, failed=True).reports
    assert report.call.cost.nano_usd == nano_usd


def test_what_llamaindex_does_before_it_asks_a_model_is_no_call() -> None:
    said = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "llm.provider": "openai"}
    scope = "openinference.instrumentation.llama_index"
    batch = read(scope, said, name="OpenAI._prepare_chat_with_tools")
    assert ([*batch.reports], [step.kind for step in batch.steps]) == ([], ["chain"])
    assert len(read(scope, said, name="OpenAI.astream_chat").reports) == 1


def test_a_span_of_kind_llm_that_says_nothing_of_a_call_is_none_unless_it_failed() -> None:
    scope, said = "openinference.instrumentation.beeai", {"openinference.span.kind": "LLM"}
    batch = read(scope, said, name="new_token")
    assert ([*batch.reports], [*batch.steps]) == ([], [])
    assert len(read(scope, said, failed=True).reports) == 1
    assert len(read(scope, {**said, "llm.token_count.prompt": 7}).reports) == 1
    assert len(read(scope, {**said, "llm.model_name": "granite"}).reports) == 1
    assert len(read(scope, {**said, "llm.provider": "openai"}).reports) == 1


def test_openlit_leaves_geminis_thoughts_beside_its_output() -> None:
    counts = _counts(input_tokens=1000, output_tokens=60, reasoning_tokens=40, cache_read__input_tokens=200)
    said = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gemini-2.5-flash", **counts}
    units = {"input": 800, "cache_read": 200, "output": 100, "reasoning": 40}
    scope = "openlit.instrumentation.google_ai_studio"
    for named in ({"gen_ai.provider.name": "gemini"}, {}):
        assert told(scope, {**said, **named}) == {"provider": "google", "guessed": True, **units}
    of_openai = {**said, "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5-mini"}
    assert told("openlit.instrumentation.openai", of_openai)["output"] == 60


_PRINTED = (
    "ChatCompletion(id='chatcmpl-1', choices=[Choice(finish_reason='stop', index=0, message=ChatCompletionMessage("
    "content='{said}'))], model='gpt-4o-2024-08-06', object='chat.completion', service_tier='default', "
    "usage=CompletionUsage(completion_tokens=100, prompt_tokens=1000, total_tokens=1100, "
    "completion_tokens_details=CompletionTokensDetails(reasoning_tokens=40), "
    "prompt_tokens_details=PromptTokensDetails(cached_tokens=200)))"
)


@pytest.mark.parametrize(
    ("raw", "cached", "response_id"),
    [
        (_PRINTED.replace("{said}", "usage=CompletionUsage(prompt_tokens=1)"), 200, "chatcmpl-1"),
        (_PRINTED.replace("1000", "999"), 0, "chatcmpl-1"),
        (_PRINTED.replace("1000", "exit(1)"), 0, "chatcmpl-1"),
        (_PRINTED.replace("'chatcmpl-1'", "__import__"), 0, None),
        (_PRINTED[:-1], 0, None),
        ("(" * 10_000, 0, None),
        ("ChatCompletion(" * 1_000, 0, None),
        ({"id": 1}, 0, None),
    ],
)
def test_the_response_smolagents_prints_has_the_cache_and_the_id(
    raw: Any, cached: int, response_id: str | None
) -> None:
    """Where it was cut, or counts something else, the span's own counts stand."""
    said = {
        "openinference.span.kind": "LLM",
        "llm.provider": "openai",
        "llm.model_name": "gpt-4o",
        "llm.token_count.prompt": 1000,
        "llm.token_count.completion": 100,
        "llm.token_count.total": 1100,
        "output.value": json.dumps({"role": "assistant", "raw": raw}),
    }
    (report,) = read("openinference.instrumentation.smolagents", said).reports
    usage = report.call.usage
    assert usage is not None
    assert (usage.input_tokens, usage.quantities.get("cache_read") or 0) == (1000, cached)
    assert report.call.response_id == response_id
