"""Anthropic's messages, whole and streamed. All bodies are synthetic."""

from __future__ import annotations

from typing import Any

import pytest


def message(usage: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-a", "stop_reason": "end_turn"}
    return {**body, "content": [], "usage": usage, **more}


def counts(given: int = 10, made: int = 5, **more: Any) -> dict[str, Any]:
    return {"input_tokens": given, "output_tokens": made, **more}


def written(total: int, short: int, long: int) -> dict[str, Any]:
    return {
        "cache_creation_input_tokens": total,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
    }


def test_input_tokens_leave_the_cache_out(quantities: Any) -> None:
    usage = counts(5, 400, cache_read_input_tokens=128955, **written(1253, 1000, 253))
    assert quantities("anthropic", message(usage)) == {
        "input": 5,
        "cache_read": 128955,
        "cache_write_5m": 1000,
        "cache_write_1h": 253,
        "output": 400,
    }


def test_a_write_beyond_its_breakdown_is_taken_to_live_five_minutes(read: Any) -> None:
    usage = read("anthropic", message(counts(**written(184457, 31490, 0)))).usage
    assert usage.quantities["cache_write_5m"] == 184457
    assert "five minutes" in usage.inferred


def test_a_write_without_any_breakdown_is_inferred_too(read: Any) -> None:
    usage = read("anthropic", message(counts(cache_creation_input_tokens=70))).usage
    assert usage.quantities["cache_write_5m"] == 70
    assert usage.inferred is not None
    assert read("anthropic", message(counts(cache_creation_input_tokens=0))).usage.inferred is None


def test_the_iterations_breakdowns_close_the_gap(read: Any) -> None:
    turns = [
        {"type": "message", **counts(5, 2, **written(100, 100, 0))},
        {"type": "message", **counts(5, 3, **written(50, 0, 50))},
    ]
    usage = read("anthropic", message(counts(**written(150, 100, 0), iterations=turns))).usage
    assert (usage.quantities["cache_write_5m"], usage.quantities["cache_write_1h"]) == (100, 50)
    assert usage.inferred is None


def test_an_advisor_is_another_model_s_bill(read: Any) -> None:
    turns = [
        {"type": "message", **counts(4, 2)},
        {"type": "advisor_message", "model": "claude-b", **counts(2529, 38)},
        {"type": "message", **counts(6, 3)},
    ]
    usage = read("anthropic", message(counts(10, 5, iterations=turns))).usage
    assert (usage.input_tokens, usage.output_tokens) == (10, 5)
    assert dict(usage.other_models["claude-b"].quantities) == {"input": 2529, "output": 38}
    assert usage.inferred is None


def test_a_compaction_is_this_model_s_and_in_no_total(read: Any) -> None:
    turns = [{"type": "compaction", **counts(1000, 100)}, {"type": "message", **counts(10, 5)}]
    usage = read("anthropic", message(counts(10, 5, iterations=turns))).usage
    assert (usage.input_tokens, usage.output_tokens) == (1010, 105)
    assert not usage.other_models


@pytest.mark.parametrize(("top", "mine"), [((30, 7), (10, 5)), ((10, 5), (10, 5))])
def test_a_declined_fallback_hop_is_billed_to_its_own_model_once(
    read: Any, top: tuple[int, int], mine: tuple[int, int]
) -> None:
    turns = [
        {"type": "message", "model": "claude-b", **counts(20, 2)},
        {"type": "fallback_message", "model": "claude-a", **counts(10, 5)},
    ]
    usage = read("anthropic", message(counts(*top, iterations=turns))).usage
    assert (usage.input_tokens, usage.output_tokens) == mine
    assert dict(usage.other_models["claude-b"].quantities) == {"input": 20, "output": 2}
    assert "declined" in usage.inferred


def test_thinking_is_a_detail_of_output_and_searches_a_fee(quantities: Any) -> None:
    usage = counts(
        output_tokens_details={"thinking_tokens": 4},
        server_tool_use={"web_search_requests": 2, "web_fetch_requests": 9},
    )
    assert quantities("anthropic", message(usage)) == {"input": 10, "output": 5, "reasoning": 4, "web_search": 2}


def test_terms_are_those_served(read: Any) -> None:
    usage = counts(service_tier="batch", speed="fast", inference_geo="us")
    terms = read("anthropic", message(usage)).terms
    assert (terms.service_tier, terms.batch, terms.speed, terms.region) == (None, True, "fast", "us")
    asked = {"model": "claude-a", "speed": "fast", "service_tier": "auto"}
    slow = read("anthropic", message(counts(service_tier="standard", speed="standard")), asked).terms
    assert (slow.service_tier, slow.batch, slow.speed, slow.region) == (None, False, None, None)
    assert read("anthropic", message(counts()), asked).terms.speed == "fast"
    assert read("anthropic", message(counts(inference_geo="not_available"))).terms.region is None
    assert read("anthropic", message(counts(inference_geo="global"))).terms.region is None


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        (counts(**written(10, 6, 5)), "exceeds cache_creation_input_tokens 10"),
        (counts(-1), "input_tokens is negative: -1"),
        (counts(made="5"), "output_tokens is not a count: '5'"),  # type: ignore[arg-type]  # what a proxy might send
        ({"input_tokens": 3}, "output_tokens is missing"),
        ({"output_tokens": 3}, "input_tokens is missing"),
        (counts(output_tokens_details={"thinking_tokens": 6}), "thinking_tokens 6 exceeds output_tokens 5"),
        (counts(cache_creation="none"), "cache_creation is not a breakdown: 'none'"),
        (counts(iterations=[{"type": "advisor_message", "input_tokens": 1}]), "output_tokens is missing"),
    ],
)
def test_counts_that_cannot_be_true_are_refused(read: Any, usage: dict[str, Any], reason: str) -> None:
    reading = read("anthropic", message(usage))
    assert reading.usage is None
    assert reason in reading.reason_unread


def start(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": message(counts(**usage), stop_reason=None)}


def delta(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def stop(**usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


def test_a_stream_s_totals_replace_one_another(fold: Any) -> None:
    events = [start(made=1), delta("hello"), stop(output_tokens=10), stop(output_tokens=25), stop(output_tokens=60)]
    stream = fold("anthropic", [*events, {"type": "message_stop"}])
    reading = stream.reading()
    assert (stream.finished, stream.output_characters) == (True, 5)
    assert reading.usage.output_tokens == 60
    assert reading.usage.inferred is None
    assert (reading.model_served, reading.response_id, reading.finish_reasons) == ("claude-a", "msg_1", ("end_turn",))


def test_the_last_totals_stand_over_the_first_breakdown(fold: Any) -> None:
    opening = start(given=100, cache_read_input_tokens=0, **written(31490, 31490, 0))
    closing = stop(
        input_tokens=123201,
        cache_read_input_tokens=426653,
        cache_creation_input_tokens=184457,
        output_tokens=60,
        server_tool_use={"web_search_requests": 5},
    )
    usage = fold("anthropic", [opening, closing]).reading().usage
    assert usage.input_tokens == 123201 + 426653 + 184457
    assert usage.quantities["web_search"] == 5
    assert usage.inferred is not None


def test_a_null_in_the_last_usage_hides_nothing(fold: Any) -> None:
    usage = fold("anthropic", [start(given=7), stop(input_tokens=None, output_tokens=3)]).reading().usage
    assert (usage.input_tokens, usage.output_tokens) == (7, 3)


def test_a_broken_stream_has_the_input_and_a_lower_bound_of_output(fold: Any) -> None:
    stream = fold("anthropic", [start(given=10000, made=2), delta("half an ans")])
    usage = stream.reading().usage
    assert not stream.finished
    assert (usage.input_tokens, usage.output_tokens) == (10000, 2)
    assert "before its usage was final" in usage.inferred


def test_bedrock_s_anthropic_is_read_alike(quantities: Any) -> None:
    assert quantities("bedrock", message(counts(3, 4), id="msg_bdrk_1")) == {"input": 3, "output": 4}
