"""Cohere, Ollama, watsonx, and OpenAI's endpoints that answer with no chat. All bodies are synthetic."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest


def test_cohere_bills_less_than_its_models_see(quantities: Any) -> None:
    usage = {
        "billed_units": {"input_tokens": 45, "output_tokens": 29},
        "tokens": {"input_tokens": 1469, "output_tokens": 42, "reasoning_tokens": 20},
        "cached_tokens": 1024,
    }
    body = {"id": "c1", "finish_reason": "COMPLETE", "message": {}, "usage": usage}
    assert quantities("cohere", body) == {"input": 45, "output": 29, "reasoning": 20}


def test_cohere_without_billed_units_does_not_say_what_it_charges(read: Any) -> None:
    reading = read("cohere", {"meta": {"billed_units": {}, "tokens": {"input_tokens": 5}}})
    assert reading.usage is None
    assert "billed_units" in reading.reason_unread


def test_cohere_counts_images_and_searches_too(quantities: Any) -> None:
    embedded = {"id": "e", "embeddings": {}, "meta": {"billed_units": {"input_tokens": 8, "image_tokens": 90}}}
    assert quantities("cohere", embedded) == {"input": 8, "input_image": 90}
    ranked = {"id": "r", "results": [], "meta": {"billed_units": {"search_units": 2}}}
    assert quantities("cohere", ranked) == {"rerank_search": 2}


def test_cohere_s_streams_end_with_the_usage(fold: Any) -> None:
    billed = {"billed_units": {"input_tokens": 3, "output_tokens": 4}}
    new = [
        {"type": "message-start", "id": "c1", "delta": {"message": {}}},
        {"type": "content-delta", "delta": {"message": {"content": {"text": "hey"}}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": billed}},
    ]
    old = [
        {"is_finished": False, "event_type": "stream-start", "generation_id": "c1"},
        {"is_finished": False, "event_type": "text-generation", "text": "hey"},
        {"is_finished": True, "event_type": "stream-end", "response": {"finish_reason": "COMPLETE", "meta": billed}},
    ]
    for events in (new, old):
        stream = fold("cohere", events)
        reading = stream.reading()
        assert (stream.finished, stream.output_characters, reading.response_id) == (True, 3, "c1")
        assert (reading.usage.input_tokens, reading.usage.output_tokens) == (3, 4)
        assert reading.finish_reasons == ("COMPLETE",)


def test_ollama_counts_in_its_last_line(fold: Any, quantities: Any) -> None:
    last = {"model": "qwen", "created_at": "t", "done": True, "done_reason": "stop"}
    whole = {**last, "message": {"content": ""}, "prompt_eval_count": 21, "eval_count": 9}
    assert quantities("ollama", whole) == {"input": 21, "output": 9}
    first = {"model": "qwen", "created_at": "t", "message": {"content": "", "thinking": "hm"}, "done": False}
    stream = fold("ollama", [first, {"model": "qwen", "created_at": "t", "response": "abc", "done": False}, whole])
    assert (stream.finished, stream.output_characters) == (True, 5)
    assert stream.reading().usage.output_tokens == 9
    assert fold("ollama", [first]).reading().usage is None


def test_a_prompt_ollama_still_holds_is_not_counted_as_none(quantities: Any) -> None:
    assert quantities("ollama", {"model": "m", "created_at": "t", "done": True, "eval_count": 9}) == {"output": 9}


def test_watsonx_counts_by_result(quantities: Any) -> None:
    results = [{"generated_text": "a", "generated_token_count": n, "input_token_count": 7} for n in (2, 3)]
    assert quantities("watsonx", {"model_id": "m", "results": results}) == {"input": 14, "output": 5}


def embeddings(usage: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": [{"embedding": [0.1], "index": 0}], "model": "m", "usage": usage}


def test_embeddings_are_billed_for_what_they_read(quantities: Any) -> None:
    assert quantities("openai", embeddings({"prompt_tokens": 8, "total_tokens": 8})) == {"input": 8}
    assert quantities("mistral", embeddings({"prompt_tokens": 8, "total_tokens": 8, "completion_tokens": 0})) == {
        "input": 8
    }
    assert quantities("voyageai", embeddings({"total_tokens": 43})) == {"input": 43}


@pytest.mark.parametrize(
    "usage",
    [{"prompt_tokens": 8, "total_tokens": 9}, {"prompt_tokens": 8, "completion_tokens": 1}, {"prompt_tokens": -8}],
)
def test_embeddings_whose_counts_differ_are_refused(read: Any, usage: dict[str, Any]) -> None:
    reading = read("openai", embeddings(usage))
    assert reading.usage is None
    assert reading.reason_unread


def test_images_are_billed_by_token_or_by_the_piece(quantities: Any) -> None:
    usage = {
        "input_tokens": 1050,
        "input_tokens_details": {"image_tokens": 1000, "text_tokens": 50},
        "output_tokens": 4160,
        "total_tokens": 5210,
    }
    picture = {"created": 1, "data": [{"b64_json": "..."}]}
    assert quantities("openai", {**picture, "usage": usage}) == {"input": 50, "input_image": 1000, "output_image": 4160}
    assert quantities("openai", {"created": 1, "data": [{"url": "u"}, {"url": "v"}]}) == {"image": 2}


def test_a_drawing_s_author_is_another_model(read: Any) -> None:
    svg = {"model": "gpt-y", "input_tokens": 3, "output_tokens": 9, "reasoning_tokens": 2, "total_tokens": 12}
    usage = {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"image_tokens": 0, "text_tokens": 2}}
    used = read("openai", {"created": 1, "data": [{"b64_json": "..."}], "usage": usage, "svg_usage": svg}).usage
    assert used.quantities["output"] == 2
    assert dict(used.other_models["gpt-y"].quantities) == {"input": 3, "output": 9, "reasoning": 2}


def test_an_image_s_reported_price_stands_beside_its_count(read: Any) -> None:
    reading = read("xai", {"data": [{"url": "u"}], "usage": {"cost_in_usd_ticks": 200000000}})
    assert reading.provider_cost_usd == Decimal("0.02")
    assert dict(reading.usage.quantities) == {"image": 1}


def test_transcriptions_are_billed_by_token_or_by_second(quantities: Any, read: Any) -> None:
    tokens = {"input_tokens": 14, "input_token_details": {"audio_tokens": 10, "text_tokens": 4}, "output_tokens": 45}
    assert quantities("openai", {"text": "hi", "usage": {"type": "tokens", **tokens}}) == {
        "input": 4,
        "input_audio": 10,
        "output": 45,
    }
    seconds = {"audio_second": Decimal("9.5")}
    assert quantities("openai", {"text": "hi", "usage": {"type": "duration", "seconds": 9.5}}) == seconds
    assert quantities("openai", {"text": "hi", "duration": "9.5", "language": "en"}) == seconds
    assert read("openai", {"text": "hi"}).usage is None
    assert "not a quantity" in read("openai", {"text": "hi", "usage": {"seconds": -2}}).reason_unread


def test_speech_is_billed_for_what_was_to_be_said(read: Any) -> None:
    reading = read("openai", {}, {"model": "tts-1", "input": "hello"}, path="/v1/audio/speech")
    assert dict(reading.usage.quantities) == {"character": 5}


def test_moderation_is_counted_by_request(quantities: Any) -> None:
    assert quantities("openai", {"id": "modr-1", "model": "m", "results": [{"flagged": False}]}) == {"request": 1}


def test_documents_are_billed_by_the_page(quantities: Any) -> None:
    body = {"pages": [], "model": "mistral-ocr-latest", "usage_info": {"pages_processed": 3, "doc_size_bytes": 9}}
    assert quantities("mistral", body) == {"page": 3}
