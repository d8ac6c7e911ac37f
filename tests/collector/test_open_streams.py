"""Spans of streams that were over before the stream was: synthetic, in the words and times such were seen to have.

A chat is 1000 tokens of gpt-4o at $2.50 and 100 at $10 a million: $0.0035.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from outlay.prices import PriceBook
from outlay_collector.ingest import read_batch

from tests.collector.echoing import OURS, STARTED, bills
from tests.collector.sending import BOTH_BACKENDS, Sent, body_of, chat, json_of, send, stored

BOOK = PriceBook.bundled()
LLAMA_INDEX = "openinference.instrumentation.llama_index"
FIRST_TOKEN = "First Token Stream Event"
MLFLOW = "mlflow.tracing.provider"
COUNTS = {"llm.token_count.prompt": 1000, "llm.token_count.completion": 100, "llm.token_count.total": 1100}
LLM = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "llm.provider": "openai"}
CLAUDE = {"gen_ai.request.model": "claude-opus-4-8", "gen_ai.response.model": "claude-opus-4-8"}
PATIENT_MS = 5_000
"""How long the streams take: much longer than what finishing one does."""


def llama_index(**said: Any) -> Sent:
    """Its method returns after a millisecond, the request begins when it is read; the first token, at 400 ms."""
    given = {"span": 1, "attributes": LLM, "scope": LLAMA_INDEX, "started_at_ns": STARTED, "duration_ms": 1}
    return Sent(**{**given, "events": [(FIRST_TOKEN, 400, {})], **said})


def mlflow(**said: Any) -> Sent:
    """Over when the response's head has come. What was returned is all it says of the answer."""
    attributes = {
        "mlflow.spanType": '"CHAT_MODEL"',
        "mlflow.spanInputs": '{"model": "claude-opus-4-8", "stream": true}',
        "mlflow.spanOutputs": '"<anthropic.Stream object at 0x7f35ad35a390>"',
        "mlflow.llm.model": '"claude-opus-4-8"',
        "mlflow.llm.provider": '"anthropic"',
    }
    given = {"span": 1, "attributes": attributes, "scope": MLFLOW, "started_at_ns": STARTED, "duration_ms": 300}
    return Sent(**{**given, **said})


def ours(
    after_ms: int = 3,
    first_ms: int = 395,
    headed_ms: int = 295,
    attributes: Mapping[str, Any] | None = None,
    **more: Any,
) -> Sent:
    """What Outlay says of that stream, in a trace of its own."""
    said = {
        **chat(**OURS),
        "gen_ai.response.id": "resp-1",
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": first_ms / 1000,
        "outlay.attempts": f'[{{"status":200,"ms":{headed_ms}}}]',
        **(attributes or {}),
    }
    began = STARTED + after_ms * 1_000_000
    given = {"span": 2, "trace": 2, "attributes": said, "scope": "outlay", "started_at_ns": began}
    return Sent(**{**given, "duration_ms": PATIENT_MS, **more})


ANTHROPICS = {"gen_ai.provider.name": "anthropic", **CLAUDE}
STREAM_CHAT = ("LLMChatStartEvent", 0, {"model_dict.class_name": "openai_llm", "model_dict.model_name": "gpt-4o"})


def own(**said: Any) -> Sent:
    """LlamaIndex's own span of a stream: nothing but that it was asked for."""
    given = {"span": 1, "parent": 9, "scope": "llamaindex.opentelemetry.tracer", "name": "OpenAI.stream_chat"}
    return Sent(**{**given, "started_at_ns": STARTED, "duration_ms": 1, "events": [STREAM_CHAT], **said})


PAIRS: dict[str, tuple[Sent, Sent]] = {
    "with counts": (llama_index(attributes={**LLM, **COUNTS}), ours()),
    "with counts, read late": (llama_index(attributes={**LLM, **COUNTS}), ours(after_ms=250, first_ms=145)),
    "without counts": (llama_index(), ours()),
    "without counts, beneath an agent": (llama_index(parent=9), ours()),
    "without counts, beneath one span": (llama_index(parent=9), ours(trace=1, parent=9, after_ms=250, first_ms=145)),
    "of Anthropic's SDK": (mlflow(), ours(attributes=ANTHROPICS)),
    "of LlamaIndex's own, in its trace": (own(), ours(trace=1, parent=9)),
    "of Anthropic's SDK, left": (mlflow(), ours(attributes={**ANTHROPICS, "error.type": "APIError"})),
}


@BOTH_BACKENDS
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
@pytest.mark.parametrize("turned", [False, True], ids=["ours last", "ours first"])
async def test_a_stream_whose_span_was_over_before_it_is_the_one_outlay_saw(
    collector: httpx2.AsyncClient, pair: tuple[Sent, Sent], turned: bool
) -> None:
    spans = pair[::-1] if turned else pair
    for span in (*spans, *spans):
        await send(collector, span)
    assert await bills(collector) == [("0.0035", 2)]


@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize("turned", [False, True])
async def test_of_streams_at_once_each_is_told_of_twice(
    collector: httpx2.AsyncClient, at_once: bool, turned: bool
) -> None:
    spans: list[Sent] = []
    for n in range(4):
        outer = llama_index(span=0x10 + n, trace=0x10 + n, started_at_ns=STARTED + n * 7_000_000)
        spans += outer, ours(3 + 7 * n, span=0x20 + n, trace=0x20 + n, attributes={"gen_ai.response.id": f"resp-{n}"})
    spans = spans[::-1] if turned else spans
    for sent in [spans] if at_once else [[span] for span in spans]:
        await send(collector, *sent)
    assert await bills(collector) == [("0.0035", 2)] * 4
    told = [{report["span_id"][-1] for report in call["reports"]} for call in await stored(collector)]
    assert all(len(of_one) == 1 for of_one in told), "each with the stream that began with it"


TWO_CALLS: dict[str, tuple[Sent, Sent]] = {
    "whose request was sent later": (llama_index(), ours(after_ms=60, first_ms=335)),
    "whose answer began before": (llama_index(), ours(first_ms=300)),
    "whose answer began after": (llama_index(), ours(first_ms=450)),
    "that counts otherwise": (llama_index(attributes={**LLM, **COUNTS, "llm.token_count.completion": 101}), ours()),
    "over before the first token": (llama_index(attributes={**LLM, **COUNTS}), ours(first_ms=10, duration_ms=100)),
    "of another model": (llama_index(attributes={**LLM, "llm.model_name": "gpt-4.1"}), ours()),
    "in another service": (llama_index(resource={"service.name": "another"}), ours()),
    "that was no stream": (llama_index(), ours(attributes={"gen_ai.request.stream": False})),
    "of an SDK's instrumentation": (llama_index(scope="openinference.instrumentation.openai"), ours()),
    "whose head came later": (mlflow(), ours(headed_ms=400, attributes=ANTHROPICS)),
    "whose head came before": (mlflow(), ours(headed_ms=200, attributes=ANTHROPICS)),
    "that took two attempts": (
        mlflow(),
        ours(attributes={**ANTHROPICS, "outlay.attempts": '[{"status":500,"ms":1},{"status":200,"ms":295}]'}),
    ),
    "that LlamaIndex's own tells of in another trace": (own(), ours()),
    "that was sent long after LlamaIndex's own was over": (own(), ours(trace=1, parent=9, after_ms=60)),
    "that did not fail": (mlflow(failed=True), ours(attributes=ANTHROPICS)),
}


@pytest.mark.parametrize("pair", TWO_CALLS.values(), ids=TWO_CALLS.keys())
@pytest.mark.parametrize("turned", [False, True])
async def test_a_stream_is_another_call(collector: httpx2.AsyncClient, pair: tuple[Sent, Sent], turned: bool) -> None:
    for span in pair[::-1] if turned else pair:
        await send(collector, span)
    assert sorted(len(call["reports"]) for call in await stored(collector)) == [1, 1]


async def test_of_two_beginnings_one_is_of_the_stream(collector: httpx2.AsyncClient) -> None:
    """Two requests of which Outlay saw one, as where another process of the service is without it."""
    other = llama_index(span=3, trace=3, started_at_ns=STARTED + 1_000_000)
    await send(collector, llama_index(), other, ours())
    told = [(call["cost_usd"], len(call["reports"])) for call in await stored(collector)]
    assert sorted(told, key=str) == [("0.0035", 2), (None, 1)]


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize(
    ("at_ms", "first_ms", "lasted_ms"),
    [(400, 400.0, 400.0), (0, 0.0, 1.0), (-5, None, 1.0), (3_600_000, None, 1.0)],
)
def test_a_stream_has_lasted_until_its_first_token_at_least(
    at_ms: int, first_ms: float | None, lasted_ms: float, is_json: bool
) -> None:
    """An event before the span, or an hour after it, is none that could be believed."""
    span = llama_index(events=[("exception", 1, {}), (FIRST_TOKEN, at_ms, {"any": "thing"})])
    (report,) = read_batch(json_of(span) if is_json else body_of(span), is_json=is_json, book=BOOK).reports
    call = report.call
    assert (call.time_to_first_chunk_ms, call.duration_ms, call.streamed) == (first_ms, lasted_ms, first_ms is not None)


def test_a_span_that_lasted_longer_keeps_its_end() -> None:
    (report,) = read_batch(body_of(replace(llama_index(), duration_ms=900)), is_json=False, book=BOOK).reports
    assert (report.call.duration_ms, report.call.time_to_first_chunk_ms) == (900.0, 400.0)
