"""OpenAI's chat and completions, and the dialects of those who speak them. All bodies are synthetic."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.providers.conftest import Quantities


def chat(usage: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-x", "choices": [choice], **more}
    return body if usage is None else {**body, "usage": usage}


def counts(given: int, made: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made, **more}


def test_a_chat_says_who_answered_and_how_it_ended(read: Any) -> None:
    reading = read("openai", chat(counts(9, 3)))
    assert (reading.model_served, reading.response_id, reading.finish_reasons) == ("gpt-x", "chatcmpl-1", ("stop",))
    assert reading.usage_raw == counts(9, 3)


def test_cached_written_and_audio_tokens_are_taken_out_of_the_prompt(quantities: Quantities) -> None:
    details = {"cached_tokens": 400, "cache_write_tokens": 300, "audio_tokens": 200}
    assert quantities("openai", chat(counts(1000, 10, prompt_tokens_details=details))) == {
        "input": 100,
        "cache_read": 400,
        "cache_write": 300,
        "input_audio": 200,
        "output": 10,
    }


def test_cached_audio_is_neither_cached_text_nor_fresh_audio(quantities: Quantities) -> None:
    split = {"text_tokens": 100, "audio_tokens": 50}
    details = {"cached_tokens": 150, "audio_tokens": 80, "cached_tokens_details": split}
    assert quantities("openai", chat(counts(300, 1, prompt_tokens_details=details))) == {
        "input": 120,  # 300 - 100 cached text - 50 cached audio - 30 fresh audio
        "cache_read": 100,
        "cache_read_audio": 50,
        "input_audio": 30,
        "output": 1,
    }


def test_reasoning_stays_inside_output_and_audio_leaves_it(quantities: Quantities) -> None:
    details = {"reasoning_tokens": 30, "audio_tokens": 20, "rejected_prediction_tokens": 7}
    assert quantities("openai", chat(counts(1, 100, completion_tokens_details=details))) == {
        "input": 1,
        "output": 80,
        "reasoning": 30,
        "output_audio": 20,
    }


def test_reasoning_outside_completion_tokens_is_told_by_the_total(quantities: Quantities) -> None:
    usage = {"prompt_tokens": 204, "completion_tokens": 1, "total_tokens": 287}
    assert quantities("xai", chat({**usage, "completion_tokens_details": {"reasoning_tokens": 82}})) == {
        "input": 204,
        "output": 83,
        "reasoning": 82,
    }


def test_gemini_behind_openai_s_format_counts_its_thoughts_in_the_total_alone(read: Any) -> None:
    usage = read("google", chat({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 100})).usage
    assert usage.quantities["output"] == 90
    assert "total_tokens" in usage.inferred


@pytest.mark.parametrize(
    ("spelling", "cached"),
    [
        ({"prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 4}, 6),
        ({"num_cached_tokens": 3}, 3),
        ({"cached_tokens": 2}, 2),
        ({"prompt_token_details": {"cached_tokens": 5}}, 5),
        ({"prompt_tokens_details": {"cached_tokens": 0}, "cached_tokens": 9}, 0),
        ({"prompt_tokens_details": None, "cached_tokens": None}, None),
    ],
)
def test_each_spelling_of_cached_tokens_is_understood(read: Any, spelling: dict[str, Any], cached: int | None) -> None:
    usage = read("mistral", chat(counts(10, 1, **spelling))).usage
    assert usage.quantities.get("cache_read") == cached
    assert usage.input_tokens == 10


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        (counts(10, 1, prompt_tokens_details={"cached_tokens": 11}), "cached_tokens 11 exceeds prompt_tokens 10"),
        (counts(10, 1, completion_tokens_details={"reasoning_tokens": 2}), "reasoning_tokens 2 exceeds"),
        (counts(10, 4, completion_tokens_details={"reasoning_tokens": 3, "audio_tokens": 4}), "exceeds completion_tok"),
        ({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 13}, "total_tokens 13 is not prompt_tokens 10"),
        ({"prompt_tokens": -1, "completion_tokens": 2}, "prompt_tokens is negative: -1"),
        ({"prompt_tokens": "10", "completion_tokens": 2}, "prompt_tokens is not a count: '10'"),
        ({"prompt_tokens": True, "completion_tokens": 2}, "prompt_tokens is not a count: True"),
        ({"prompt_tokens": 1.5, "completion_tokens": 2}, "prompt_tokens is not a count: 1.5"),
        ({"prompt_tokens": 1, "completion_tokens": float("nan")}, "completion_tokens is not a count: nan"),
        ({"total_tokens": 30}, "total_tokens 30 comes without prompt_tokens"),
        ({"completion_tokens": 30}, "completion_tokens 30 comes without prompt_tokens"),
        (counts(10, 1, prompt_tokens_details=[1]), "prompt_tokens_details is not a breakdown: [1]"),
    ],
)
def test_counts_that_cannot_be_true_are_refused_and_named(read: Any, usage: dict[str, Any], reason: str) -> None:
    reading = read("openai", chat(usage))
    assert reading.usage is None
    assert reason in reading.reason_unread
    assert reading.usage_raw == usage


def test_a_response_without_usage_says_so(read: Any) -> None:
    reading = read("openai", chat(None))
    assert (reading.usage, reading.usage_raw) == (None, None)
    assert reading.reason_unread == "the response carries no usage"


def test_a_value_in_place_of_a_count_is_cut_short_in_the_reason(read: Any) -> None:
    assert len(read("openai", chat(counts(1, 1) | {"prompt_tokens": "secret " * 50})).reason_unread) < 80


def test_a_completion_that_produced_nothing_has_no_output(read: Any) -> None:
    usage = read("openai", chat({"prompt_tokens": 8, "total_tokens": 8})).usage
    assert dict(usage.quantities) == {"input": 8}


def test_the_tier_served_wins_over_the_tier_asked(read: Any) -> None:
    asked = {"model": "gpt-x", "service_tier": "flex"}
    assert read("openai", chat(counts(1, 1), service_tier="default"), asked).terms.service_tier is None
    assert read("openai", chat(counts(1, 1), service_tier="flex"), {"model": "m"}).terms.service_tier == "flex"
    assert read("openai", chat(counts(1, 1)), asked).terms.service_tier == "flex"
    assert read("openai", chat(counts(1, 1), service_tier="priority")).terms.service_tier == "priority"
    assert read("mistral", chat(counts(1, 1, service_tier="standard")), asked).terms.service_tier is None


def test_fast_is_the_priority_tier(read: Any) -> None:
    assert read("openai", chat(counts(1, 1)), {"model": "m", "service_tier": "fast"}).terms.service_tier == "priority"


@pytest.mark.parametrize(
    ("provider", "usage", "cost"),
    [
        (
            "openrouter",
            {"cost": 0.0076, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.0006}},
            "0.0076",
        ),
        ("openrouter", {"cost": 0.0001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.002}}, "0.0021"),
        ("openrouter", {"cost": 0.0001, "is_byok": True, "cost_details": {}}, None),
        ("gateway", {"cost": 5.952e-05, "is_byok": False}, "0.00005952"),
        ("perplexity", {"cost": {"input_tokens_cost": 0.001, "total_cost": 0.00571}}, "0.00571"),
        ("perplexity", {"cost": {"currency": "EUR", "total_cost": 0.00571}}, None),
        ("xai", {"cost_in_usd_ticks": 8171500}, "0.00081715"),
        ("azure", {"cost_in_usd_ticks": 0}, None),
        ("local", {"pydantic_ai_gateway": {"cost_estimate": 0.1}}, None),
        ("openrouter", {"cost": "a lot"}, None),
        ("openrouter", {"cost": -1}, None),
        ("openrouter", {}, None),
    ],
)
def test_a_charge_is_read_where_a_provider_reports_one(
    read: Any, provider: str, usage: dict[str, Any], cost: str | None
) -> None:
    expected = None if cost is None else Decimal(cost)
    assert read(provider, chat(counts(1, 1, **usage))).provider_cost_usd == expected


def test_searches_are_counted_where_they_are_charged(quantities: Quantities) -> None:
    routed = counts(1, 1, server_tool_use_details={"web_search_requests": 3})
    assert quantities("openrouter", chat(routed))["web_search"] == 3
    assert quantities("openai", chat(counts(1, 1), model="gpt-4o-search-preview-2025-03-11"))["web_search"] == 1
    assert quantities("perplexity", chat(counts(1, 1, num_search_queries=4)))["web_search_query"] == 4
    assert "web_search" not in quantities("openai", chat(counts(1, 1)))


def chunk(content: str | None = None, usage: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": None}
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "gpt-x",
        "choices": [choice],
        "usage": usage,
        **more,
    }


def finish(reason: str = "stop") -> dict[str, Any]:
    return {**chunk(), "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def test_a_stream_s_usage_is_its_last_and_its_text_is_counted(fold: Any) -> None:
    stream = fold("openai", [chunk("Hel"), chunk("lo"), finish(), {**chunk(usage=counts(7, 2)), "choices": []}])
    reading = stream.reading()
    assert (stream.finished, stream.output_characters) == (True, 5)
    assert (reading.model_served, reading.response_id, reading.finish_reasons) == ("gpt-x", "c1", ("stop",))
    assert dict(reading.usage.quantities) == {"input": 7, "output": 2}
    assert reading.usage.inferred is None


def test_usage_on_every_chunk_is_not_summed(fold: Any) -> None:
    stream = fold("perplexity", [chunk("a", counts(7, 1)), chunk("b", counts(7, 2)), finish()])
    assert stream.reading().usage.quantities["output"] == 2


def test_running_usage_of_a_broken_stream_is_a_lower_bound(fold: Any) -> None:
    stream = fold("azure", [chunk("a", counts(7, 1)), chunk("b", counts(7, 2))])
    assert not stream.finished
    assert "before its usage was final" in stream.reading().usage.inferred


def test_a_null_usage_after_a_real_one_changes_nothing(fold: Any) -> None:
    stream = fold("openai", [chunk("a"), finish(), {**chunk(usage=counts(7, 2)), "choices": []}, chunk()])
    assert stream.reading().usage.output_tokens == 2


def test_groq_s_usage_stands_apart(fold: Any) -> None:
    stream = fold("groq", [chunk("a", x_groq={"id": "req_1"}), {**finish(), "x_groq": {"usage": counts(7, 2)}}])
    assert stream.reading().usage.output_tokens == 2


def test_azure_s_nameless_first_chunk_is_passed_over(fold: Any) -> None:
    first = {"id": "", "model": "", "object": "", "choices": [], "prompt_filter_results": []}
    stream = fold("azure", [first, chunk("hi", service_tier="flex"), finish()])
    reading = stream.reading()
    assert (reading.model_served, reading.response_id) == ("gpt-x", "c1")
    assert reading.usage is None


def test_thoughts_and_tool_arguments_count_as_text_of_a_stream(fold: Any) -> None:
    thought = {"index": 0, "delta": {"reasoning_content": "abc"}}
    tool = {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}
    assert fold("deepseek", [{**chunk(), "choices": [thought]}, {**chunk(), "choices": [tool]}]).output_characters == 5


def test_a_text_completion_streams_its_text_beside_no_delta(fold: Any) -> None:
    events = [{"id": "cmpl", "object": "text_completion", "model": "m", "choices": [{"text": "abc", "index": 0}]}]
    assert fold("openai", events).output_characters == 3
