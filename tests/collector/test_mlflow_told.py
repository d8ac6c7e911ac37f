"""What MLflow tells of a call, by itself and in the conventions' names: synthetic, as each was seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from outlay_collector.ingest import read_batch

from tests.collector.sending import Sent, body_of, json_of
from tests.collector.spoken.said import OPENAI_USAGE, RESPONSES_USAGE, usage
from tests.collector.telling import BOOK, told, units

MLFLOW = "mlflow.tracing.provider"
IN_CONVENTIONS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o-2024-08-06",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-HQ9sEU5MpjHO8bx9ebRXuy2o63nYR",
}
CHUNK = {
    "id": "chatcmpl-HQ9sEU5MpjHO8bx9ebRXuy2o63nYR",
    "object": "chat.completion.chunk",
    "model": "gpt-4o-2024-08-06",
}
WORD = {**CHUNK, "choices": [{"index": 0, "delta": {"content": "Rhine"}, "finish_reason": None}], "usage": None}
LAST_CHUNK = {
    **CHUNK,
    "choices": [],
    "service_tier": "priority",
    "usage": OPENAI_USAGE,
}
LAST_EVENT = {
    "type": "response.completed",
    "response": {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-4o-2024-08-06",
        "usage": RESPONSES_USAGE,
    },
}


def chunks(*said: Mapping[str, Any]) -> list[tuple[str, int, dict[str, Any]]]:
    """The events of a stream, as MLflow makes them; of a long one OpenTelemetry's SDK keeps the last 128."""
    return [(f"mlflow.chunk.item.{n}", n, {"mlflow.chunk.value": json.dumps(each)}) for n, each in enumerate(said, 500)]


@pytest.mark.parametrize("last", [LAST_CHUNK, LAST_EVENT], ids=["chat", "responses"])
@pytest.mark.parametrize("counts", [{}, usage(input_tokens=1000, output_tokens=100)], ids=["uncounted", "counted"])
@pytest.mark.parametrize("write", [body_of, json_of])
def test_the_last_chunk_of_a_stream_that_mlflow_tells_in_the_conventions_has_allusage(
    last: dict[str, Any], counts: dict[str, int], write: Callable[..., bytes]
) -> None:
    span = Sent(scope=MLFLOW, attributes={**IN_CONVENTIONS, **counts}, events=chunks(WORD, WORD, last))
    (report,) = read_batch(write(span), is_json=write is json_of, book=BOOK).reports
    call = report.call
    assert (call.provider, call.streamed, call.model_served) == ("openai", True, "gpt-4o-2024-08-06")
    assert call.usage is not None
    assert call.usage.quantities == {"input": 800, "cache_read": 200, "output": 100, "reasoning": 40}
    assert call.cost.status.value == "exact"
    assert call.terms.service_tier == ("priority" if last is LAST_CHUNK else None)


@pytest.mark.parametrize(
    "said",
    [
        chunks(WORD, WORD),
        chunks(WORD, {**LAST_CHUNK, "usage": {**OPENAI_USAGE, "prompt_tokens": 7}}),  # another call's, or cut
        [("mlflow.chunk.item.0", 1, {"mlflow.chunk.value": "[1, 2"})],
        [("mlflow.chunk.item.0", 1, {})],
        [],
    ],
    ids=["not asked for", "contradicting", "no JSON", "no value", "no chunk"],
)
def test_without_it_what_mlflow_counts_is_a_guess(said: list[Any]) -> None:
    counts = usage(input_tokens=1000, output_tokens=100)
    report = told(MLFLOW, {**IN_CONVENTIONS, **counts}, events=said)
    assert (report.call.provider, units(report)) == ("openai", {"input": 1000, "output": 100})
    assert report.call.cost.status.value == "estimated"


def test_the_thoughts_are_in_googles_response_that_mlflow_carries() -> None:
    counts = {"prompt_token_count": 1000, "candidates_token_count": 60, "thoughts_token_count": 40}
    counts |= {"cached_content_token_count": 200, "total_token_count": 1100}
    response = {"model_version": "gemini-2.5-flash", "response_id": "r1", "candidates": [], "usage_metadata": counts}
    counted = {"input_tokens": 1000, "output_tokens": 60, "total_tokens": 1100, "cache_read_input_tokens": 200}
    said = {
        "mlflow.spanType": '"LLM"',
        "mlflow.message.format": '"gemini"',
        "mlflow.llm.provider": '"gemini"',
        "mlflow.spanOutputs": json.dumps(response),
        "mlflow.chat.tokenUsage": json.dumps(counted),
    }
    report = told("mlflow", said)
    assert units(report) == {"input": 800, "cache_read": 200, "output": 100, "reasoning": 40}
    assert (report.call.provider, report.call.response_id) == ("google", "r1")
    assert report.call.cost.status.value == "exact"
