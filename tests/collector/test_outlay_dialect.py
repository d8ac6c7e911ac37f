"""What Outlay's client writes on a span, the collector reads back, and the database gives back again."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext
from outlay.emit import span_attributes
from outlay.model import (
    Attempt,
    Attribution,
    Call,
    Cost,
    CostLine,
    CostStatus,
    RateLimit,
    ResponseCache,
    StreamEnd,
    Terms,
    Usage,
)
from outlay_collector.billing import Report, Source
from outlay_collector.dialects.registry import WANTED, read_span
from outlay_collector.otlp.protobuf import decode_protobuf
from outlay_collector.store.engine import json_text
from outlay_collector.store.rows import COLUMNS, columns_of, report_of
from outlay_collector.store.schema import CALLS

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
maybe = st.none() | words
counts = st.integers(0, 10**9)
decimals = st.decimals(min_value=0, max_value=10**6, places=9).map(
    lambda d: d.normalize() if d % 1 else d.to_integral_value()
)
usages = st.builds(
    Usage,
    st.dictionaries(
        st.sampled_from(["input", "cache_read", "cache_write_1h", "output", "reasoning"]), counts, min_size=1
    ),
    maybe,
    st.just({}) | st.just({"gpt-image-1": Usage({"output_image": 7})}),
)
costs = st.builds(
    Cost,
    nano_usd=st.integers(0, 10**15),
    status=st.sampled_from([status for status in CostStatus if status is not CostStatus.UNPRICED]),
    reason=maybe,
    lines=st.lists(
        st.builds(
            CostLine,
            unit=st.sampled_from(["input", "audio_second"]),
            quantity=counts,
            rate_usd=decimals,
            per=st.just(1_000_000),
            cost_usd=decimals,
        ),
        max_size=2,
    ).map(tuple),
    price_id=maybe,
) | st.builds(Cost.unpriced, words)
attempts = st.builds(
    Attempt,
    status=st.none() | st.sampled_from([200, 429, 500]),
    duration_ms=st.integers(0, 10**6).map(float),
    error=maybe,
    retry_after_s=st.none() | st.floats(0, 100),
)
calls = st.builds(
    Call,
    provider=st.sampled_from(["openai", "anthropic", "google"]),
    operation=st.sampled_from(["chat", "embeddings"]),
    model_requested=maybe,
    model_served=maybe,
    started_at_ns=st.just(1_800_000_000_000_000_000),
    ended_at_ns=st.integers(1_800_000_000_000_000_000, 1_800_000_900_000_000_000),
    response_id=maybe,
    request_id=maybe,
    server_address=maybe,
    streamed=st.booleans(),
    stream_end=st.none() | st.sampled_from(StreamEnd),
    time_to_first_chunk_ms=st.none() | st.integers(0, 10**6).map(float),
    finish_reasons=st.lists(words, max_size=3).map(tuple),
    http_status=st.none() | st.sampled_from([200, 500]),
    error_type=maybe,
    attempts=st.lists(attempts, max_size=3).map(tuple),
    usage=st.none() | usages,
    usage_raw=st.none() | st.just({"prompt_tokens": 5, "details": {"cached": [1, None]}}),
    terms=st.sampled_from([Terms(), Terms(service_tier="flex"), Terms(batch=True, speed="fast", region="us")]),
    cost=costs,
    attribution=st.builds(
        Attribution,
        feature=maybe,
        user=maybe,
        tenant=maybe,
        session=maybe,
        tags=st.dictionaries(words, words, max_size=3),
        service=st.just("bot"),
        environment=st.just("prod"),
    ),
    response_cache=st.none() | st.sampled_from(ResponseCache),
    avoided_nano_usd=st.none() | counts,
).map(lambda call: call if call.streamed else replace(call, stream_end=None, time_to_first_chunk_ms=None))


def over_the_wire(call: Call) -> Report:
    span = ReadableSpan(
        name="chat",
        context=SpanContext(1, 2, is_remote=False),
        resource=Resource({"service.name": "bot", "deployment.environment.name": "prod"}),
        attributes=span_attributes(call),
        start_time=call.started_at_ns,
        end_time=call.ended_at_ns,
        instrumentation_scope=InstrumentationScope("outlay", "0.1.0"),
    )
    (decoded,) = decode_protobuf(encode_spans([span]).SerializeToString(), WANTED).spans
    report = read_span(decoded)
    assert report is not None
    return report


def kept(report: Report, received_at_ns: int = 0) -> dict[str, Any]:
    """The columns of the report, its documents written and read."""
    columns: dict[str, Any] = orjson.loads(json_text(columns_of(report, received_at_ns)))
    return columns


@given(calls)
def test_a_call_comes_back_as_it_was_sent(call: Call) -> None:
    report = over_the_wire(call)
    assert report.call == call
    assert report.source is Source.OUTLAY


@given(calls)
def test_the_database_keeps_all_that_a_call_says(call: Call) -> None:
    report = over_the_wire(call)
    again = report_of(kept(report), dialect=report.dialect, scope=report.scope, source=report.source)
    assert kept(again) == kept(report)
    assert again.call.usage == call.usage
    assert again.call.cost == call.cost


def test_headroom_is_read_by_the_limits_name() -> None:
    limits = {"requests": RateLimit(limit=500, remaining=3, reset_s=1.5), "tokens": RateLimit(remaining=0)}
    call = Call(
        provider="openai",
        operation="chat",
        model_requested="gpt-4o",
        started_at_ns=10**18,
        ended_at_ns=10**18,
        rate_limits=limits,
    )
    assert over_the_wire(call).call.rate_limits == limits


def test_measured_quantities_are_exact() -> None:
    usage = Usage({"audio_second": Decimal("12.345")})
    call = Call(
        provider="openai", operation="chat", model_requested="w", started_at_ns=10**18, ended_at_ns=10**18, usage=usage
    )
    assert over_the_wire(call).call.usage == usage


def test_a_report_fills_every_column_of_a_call_once() -> None:
    assert sorted((*COLUMNS, "id")) == sorted(CALLS.columns.keys())


def test_each_column_holds_what_its_name_says() -> None:
    line = CostLine("input", 30, Decimal("2.5"), 1_000_000, Decimal("0.000075"))
    call = Call(
        provider="openai",
        operation="chat",
        model_requested="asked",
        model_served="served",
        response_id="resp",
        request_id="req",
        server_address="api.openai.com",
        started_at_ns=1_000_000_000,
        ended_at_ns=3_500_000_000,
        streamed=True,
        stream_end=StreamEnd.DRAINED,
        time_to_first_chunk_ms=250.0,
        finish_reasons=("stop",),
        http_status=200,
        error_type="Broken",
        attempts=(Attempt(status=429, duration_ms=1.0), Attempt(status=200, duration_ms=2.0)),
        usage=Usage({"input": 30, "cache_read": 4, "cache_write": 5, "output": 60, "reasoning": 7}),
        usage_raw={"raw": 1},
        terms=Terms(service_tier="flex"),
        cost=Cost(nano_usd=75_000, status=CostStatus.PARTIAL, reason="why", lines=(line,), price_id="price"),
        attribution=Attribution(
            service="service",
            environment="environment",
            feature="feature",
            user="user",
            tenant="tenant",
            session="session",
            tags={"tag": "value"},
        ),
        response_cache=ResponseCache.MISS,
        avoided_nano_usd=8,
    )
    report = Report(
        call=call,
        trace_id="trace",
        span_id="span",
        parent_span_id="parent",
        dialect="outlay",
        scope="outlay",
        source=Source.OUTLAY,
        clock_ahead_ms=9,
    )
    assert kept(report, 10) == {
        "bill_key": "openai:resp",
        "provider": "openai",
        "operation": "chat",
        "model": "served",
        "model_requested": "asked",
        "model_served": "served",
        "response_id": "resp",
        "trace_id": "trace",
        "span_id": "span",
        "parent_span_id": "parent",
        "started_at_ns": 1_000_000_000,
        "ended_at_ns": 3_500_000_000,
        "clock_ahead_ms": 9,
        "duration_ms": 2_500.0,
        "ttft_ms": 250.0,
        "latency_bin": 131,  # 1.08 ** 101 is 2,376 and 1.08 ** 102 is 2,566; bins begin 30 below 1 ms
        "ttft_bin": 101,  # 1.08 ** 71 is 236, 1.08 ** 72 is 255
        "status": "error",
        "error_type": "Broken",
        "http_status": 200,
        "attempts": [{"status": 429, "ms": 1.0}, {"status": 200, "ms": 2.0}],
        "retries": 1,
        "rate_limited": 1,
        "service": "service",
        "environment": "environment",
        "feature": "feature",
        "user": "user",
        "tenant": "tenant",
        "session": "session",
        "tags": {"tag": "value"},
        "input_tokens": 39,
        "output_tokens": 60,
        "cache_read_tokens": 4,
        "cache_write_tokens": 5,
        "reasoning_tokens": 7,
        "usage": {"input": 30, "cache_read": 4, "cache_write": 5, "output": 60, "reasoning": 7},
        "usage_raw": {"raw": 1},
        "terms": {"service_tier": "flex"},
        "cost_nano_usd": 75_000,
        "cost_status": "partial",
        "cost_reason": "why",
        "cost_lines": [
            {"unit": "input", "quantity": 30, "rate": "2.5", "per": 1_000_000, "cost_usd": "0.000075"},
        ],
        "price_id": "price",
        "response_cache": "miss",
        "prompt_cache": "hit",
        "avoided_nano_usd": 8,
        "streamed": True,
        "stream_end": "drained",
        "finish_reasons": ["stop"],
        "request_id": "req",
        "server_address": "api.openai.com",
        "received_at_ns": 10,
    }
