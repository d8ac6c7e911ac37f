"""Gemini's answers, whole and streamed, from each of its APIs. All bodies are synthetic."""

from __future__ import annotations

from typing import Any

import pytest


def answer(usage: dict[str, Any], queries: list[str] | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"finishReason": "STOP", "content": {"parts": [{"text": "ok"}]}}
    if queries is not None:
        candidate["groundingMetadata"] = {"webSearchQueries": queries}
    body = {"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "responseId": "r1"}
    return {**body, "usageMetadata": usage, **more}


def split(**tokens: int) -> list[dict[str, Any]]:
    return [{"modality": modality.upper(), "tokenCount": n} for modality, n in tokens.items()]


def test_four_totals_make_up_the_call(quantities: Any) -> None:
    usage = {
        "promptTokenCount": 1000,
        "cachedContentTokenCount": 400,
        "candidatesTokenCount": 100,
        "thoughtsTokenCount": 900,
        "toolUsePromptTokenCount": 200,
        "totalTokenCount": 2200,
    }
    assert quantities("google", answer(usage)) == {
        "input": 600,
        "cache_read": 400,
        "tool_input": 200,
        "output": 1000,
        "reasoning": 900,
    }


def test_modalities_are_counted_apart_cached_ones_too(quantities: Any) -> None:
    usage = {
        "promptTokenCount": 1000,
        "promptTokensDetails": split(text=500, audio=300, image=150, document=50),
        "cachedContentTokenCount": 400,
        "cacheTokensDetails": split(text=200, audio=200),
        "candidatesTokenCount": 1300,
        "candidatesTokensDetails": split(image=1290),
        "totalTokenCount": 2300,
    }
    assert quantities("google", answer(usage)) == {
        "input": 350,
        "input_audio": 100,
        "input_image": 150,
        "cache_read": 200,
        "cache_read_audio": 200,
        "output": 10,
        "output_image": 1290,
    }


def test_modalities_may_come_as_numbers(quantities: Any) -> None:
    details = [{"modality": 1, "tokenCount": 6}, {"modality": 4, "tokenCount": 4}]
    usage = {"promptTokenCount": 10, "promptTokensDetails": details, "trafficType": 1}
    assert quantities("google-vertex", answer(usage)) == {"input": 6, "input_audio": 4}


def test_tokens_without_a_modality_are_text_and_said_to_be_inferred(read: Any) -> None:
    usage = read("google", answer({"promptTokenCount": 417, "promptTokensDetails": split(text=300, audio=51)})).usage
    assert (usage.quantities["input"], usage.quantities["input_audio"]) == (366, 51)
    assert "modality" in usage.inferred


def test_a_cache_without_a_split_takes_text_first(read: Any) -> None:
    given = {"promptTokenCount": 100, "promptTokensDetails": split(text=60, audio=40)}
    usage = read("google", answer({**given, "cachedContentTokenCount": 70})).usage
    assert {unit: n for unit, n in usage.quantities.items() if n} == {
        "cache_read": 60,
        "cache_read_audio": 10,
        "input_audio": 30,
    }
    assert "cached" in usage.inferred


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        ({"promptTokenCount": 10, "cachedContentTokenCount": 11}, "cachedContentTokenCount 11 exceeds"),
        ({"promptTokenCount": 10, "promptTokensDetails": split(text=8, audio=3)}, "exceeds promptTokenCount 10"),
        ({"promptTokenCount": 10, "candidatesTokenCount": 1, "totalTokenCount": 12}, "totalTokenCount 12 is not"),
        ({"totalTokenCount": 9602}, "totalTokenCount 9602 comes without promptTokenCount"),
        ({"promptTokenCount": 10, "thoughtsTokenCount": -3}, "thoughtsTokenCount is negative: -3"),
        (
            {"promptTokenCount": 9, "cachedContentTokenCount": 2, "cacheTokensDetails": split(audio=2)},
            "cacheTokensDetails holds audio tokens the prompt has none of",
        ),
    ],
)
def test_counts_that_cannot_be_true_are_refused(read: Any, usage: dict[str, Any], reason: str) -> None:
    reading = read("google", answer(usage))
    assert reading.usage is None
    assert reason in reading.reason_unread


def test_a_blocked_prompt_has_no_usage(read: Any) -> None:
    reading = read("google-vertex", answer({"trafficType": "ON_DEMAND"}))
    assert (reading.usage, reading.reason_unread) == (None, "the response carries no usage")


@pytest.mark.parametrize(
    ("model", "queries", "fee"),
    [
        ("gemini-2.5-pro", ["a", "b"], {"web_search": 1}),
        ("gemini-3-flash-preview", ["", "a", "b", "b"], {"web_search_query": 2}),
        ("gemini-3.5-flash", ["a"], {"web_search_query": 1}),
        ("gemini-3.5-flash", [], {}),
        ("gemini-3.5-flash", [""], {}),
    ],
)
def test_grounding_costs_by_prompt_until_gemini_2_and_by_query_since(
    quantities: Any, model: str, queries: list[str], fee: dict[str, int]
) -> None:
    assert quantities("google", answer({"promptTokenCount": 1}, queries, modelVersion=model)) == {"input": 1, **fee}


@pytest.mark.parametrize(
    ("usage", "tier"),
    [
        ({"serviceTier": "standard"}, None),
        ({"serviceTier": "flex"}, "flex"),
        ({"trafficType": "ON_DEMAND"}, None),
        ({"trafficType": "ON_DEMAND_PRIORITY"}, "priority"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned"),
        ({"trafficType": 2}, "provisioned"),
    ],
)
def test_the_tier_served_is_in_the_usage(read: Any, usage: dict[str, Any], tier: str | None) -> None:
    assert read("google", answer({"promptTokenCount": 1, **usage})).terms.service_tier == tier


def test_a_response_dumped_from_the_sdk_s_objects_is_read_alike(read: Any) -> None:
    body = {
        "candidates": [{"finish_reason": "STOP", "grounding_metadata": {"web_search_queries": ["q"]}}],
        "model_version": "gemini-3-pro",
        "response_id": "r1",
        "usage_metadata": {"prompt_token_count": 5, "thoughts_token_count": 2, "total_token_count": 7},
    }
    reading = read("google", body)
    assert (reading.model_served, reading.response_id, reading.finish_reasons) == ("gemini-3-pro", "r1", ("STOP",))
    assert dict(reading.usage.quantities) == {"input": 5, "output": 2, "reasoning": 2, "web_search_query": 1}


def test_the_last_whole_set_of_counts_is_the_stream_s(fold: Any) -> None:
    early = answer({"promptTokenCount": 9, "candidatesTokenCount": 15, "totalTokenCount": 24})
    del early["candidates"][0]["finishReason"]
    late = answer({"promptTokenCount": 87, "thoughtsTokenCount": 78, "totalTokenCount": 165}, ["q"])
    stream = fold("google", [early, late])
    reading = stream.reading()
    assert (stream.finished, stream.output_characters) == (True, 4)
    assert dict(reading.usage.quantities) == {"input": 87, "output": 78, "reasoning": 78, "web_search": 1}
    assert reading.finish_reasons == ("STOP",)
    broken = fold("google", [early]).reading()
    assert "before its usage was final" in broken.usage.inferred


def test_a_stream_that_came_as_one_array_is_folded(read: Any) -> None:
    assert read("google", [answer({"promptTokenCount": 3}), answer({"promptTokenCount": 4})]).usage.input_tokens == 4


def test_embeddings_count_what_they_read(quantities: Any) -> None:
    usage = {"promptTokenCount": 7, "promptTokenDetails": split(text=7)}
    assert quantities("google", {"embeddings": [{"values": [0.1]}], "usageMetadata": usage}) == {"input": 7}


def test_predictions_count_each_by_itself(quantities: Any, read: Any) -> None:
    vectors = [{"embeddings": {"values": [], "statistics": {"token_count": n}}} for n in (4, 6)]
    assert quantities("google-vertex", {"predictions": vectors}) == {"input": 10}
    assert quantities("google-vertex", {"predictions": [{"bytesBase64Encoded": "x"}] * 2}) == {"image": 2}
    assert read("google-vertex", {"predictions": []}).usage is None


def test_an_interaction_has_the_same_totals_under_other_names(quantities: Any, fold: Any) -> None:
    usage = {
        "total_tokens": 243,
        "total_input_tokens": 19,
        "input_tokens_by_modality": [{"modality": "text", "tokens": 9}, {"modality": "audio", "tokens": 10}],
        "total_cached_tokens": 0,
        "total_output_tokens": 13,
        "total_thought_tokens": 211,
        "total_tool_use_tokens": 0,
    }
    body = {"object": "interaction", "id": "v1_x", "model": "gemini-2.5-flash", "status": "completed", "usage": usage}
    expected = {"input": 9, "input_audio": 10, "output": 224, "reasoning": 211}
    assert quantities("google", body) == expected
    events = [{"event_type": "interaction.created", "interaction": {"id": "v1_x"}}]
    events += [{"event_type": "step.delta", "delta": {"type": "text", "text": "hey"}}]
    stream = fold("google", [*events, {"event_type": "interaction.completed", "interaction": body}])
    assert (stream.finished, stream.output_characters) == (True, 3)
    assert {unit: n for unit, n in stream.reading().usage.quantities.items() if n} == expected


def test_a_split_that_is_null_is_none_and_leaves_nothing_to_be_inferred(read: Any) -> None:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 2, "totalTokenCount": 12}
    splits = dict.fromkeys(("promptTokensDetails", "candidatesTokensDetails", "cacheTokensDetails"))
    found = read("google", answer({**usage, **splits})).usage
    assert (found.quantities, found.inferred) == ({"input": 10, "output": 2}, None)
