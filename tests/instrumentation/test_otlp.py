"""What leaves the process is OTLP: the library reads from it what was put in."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from outlay import guard
from outlay.emit import span_attributes
from outlay.export import Finished
from outlay.losses import encode_losses
from outlay.model import Attempt, Attribution, Call, Usage
from outlay.otlp import encode, halves
from outlay.protobuf import Value, attributes, varint
from outlay.spans import SpanIds
from outlay.tally import Loss, Who

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False)
VALUES = st.one_of(TEXTS, INTS, FLOATS, st.booleans(), st.lists(TEXTS, max_size=4), st.lists(INTS, max_size=4))


def value_of(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(array_value=ArrayValue(values=map(value_of, value)))


def call(number: int = 0, **said: Any) -> Finished:
    made = Call(
        provider="openai",
        operation="chat",
        model_requested="gpt-4o",
        response_id=f"chatcmpl-{number}",
        started_at_ns=1_790_000_000_000_000_000 + number,
        ended_at_ns=1_790_000_001_000_000_000,
        usage=Usage({"input": 812, "output": 110}),
        attempts=(Attempt(status=200, duration_ms=12.5),),
        attribution=Attribution(service="shop", environment="prod", feature="Übersicht", tags={"team": "支払い"}),
    )
    return Finished(replace(made, **said), SpanIds(2**127 + number, 2**63 + number, None, 1))


def read(body: bytes) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(body)


def spans(body: bytes) -> list[Span]:
    return [span for group in read(body).resource_spans for scope in group.scope_spans for span in scope.spans]


@given(st.dictionaries(TEXTS.filter(bool), VALUES, max_size=6))
def test_attributes_are_the_bytes_the_library_writes(said: dict[str, Value]) -> None:
    pairs = [KeyValue(key=name, value=value_of(value)) for name, value in said.items()]
    assert attributes(9, said) == Span(attributes=pairs).SerializeToString()


def test_half_a_character_becomes_a_question_mark() -> None:
    assert Span.FromString(attributes(9, {"a": "x\ud800y", "b": ("\udfff",)})) == Span(
        attributes=[KeyValue(key="a", value=value_of("x?y")), KeyValue(key="b", value=value_of(("?",)))]
    )


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_number_that_no_collector_could_read_is_refused(number: int) -> None:
    with pytest.raises(OverflowError, match=str(number)):
        varint(number)


def test_a_span_says_what_the_call_was() -> None:
    failed = call(7, error_type="429")
    failed = replace(failed, ids=replace(failed.ids, parent_span_id=5, flags=0x101))
    body, count = encode([failed])
    (group,) = read(body).resource_spans
    (scope,) = group.scope_spans
    said = {pair.key: pair.value.string_value for pair in group.resource.attributes}
    assert said == {
        "service.name": "shop",
        "deployment.environment.name": "prod",
        "telemetry.sdk.language": "python",
    }
    assert (scope.scope.name, scope.scope.version, count) == ("outlay", "0.1.0", 1)
    attributes_said = [
        KeyValue(key=name, value=value_of(value)) for name, value in span_attributes(failed.call).items()
    ]
    assert list(scope.spans) == [
        Span(
            trace_id=(2**127 + 7).to_bytes(16),
            span_id=(2**63 + 7).to_bytes(8),
            parent_span_id=(5).to_bytes(8),
            flags=0x101,
            name="chat gpt-4o",
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=1_790_000_000_000_000_007,
            end_time_unix_nano=1_790_000_001_000_000_000,
            attributes=attributes_said,
            status=Status(code=Status.STATUS_CODE_ERROR),
        )
    ]


def test_a_root_that_went_well_has_no_parent_and_no_status() -> None:
    (span,) = spans(encode([call()])[0])
    assert (span.parent_span_id, span.HasField("status")) == (b"", False)


def test_calls_of_one_service_stand_below_one_resource() -> None:
    staging = Attribution(service="shop", environment="staging")
    body, count = encode([call(0), call(1, attribution=staging), call(2), call(3, attribution=Attribution())])
    groups = [
        [pair.value.string_value for pair in group.resource.attributes][:-1] for group in read(body).resource_spans
    ]
    assert (groups, count) == ([["shop", "prod"], ["shop", "staging"], []], 4)
    assert len(read(body).resource_spans[0].scope_spans[0].spans) == 2


def test_a_call_that_cannot_be_encoded_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_strict", False)
    body, count = encode([call(0), call(1, http_status=2**70), call(2)])
    assert (count, [span.start_time_unix_nano % 10 for span in spans(body)]) == (2, [0, 2])


def test_halves_are_the_whole_in_its_order() -> None:
    """Batches that wait together are sent as one body: their bytes one after another."""
    body = encode([call(0), call(1)])[0] + encode([call(2, attribution=Attribution(service="other")), call(3)])[0]
    first, second = halves(body)
    assert len(spans(first)) == len(spans(second)) == 2
    assert spans(first) + spans(second) == spans(body)
    resources = [group.resource.attributes[0].value.string_value for group in read(second).resource_spans]
    assert sorted(resources) == ["other", "shop"]


def test_half_of_one_call_is_nothing_and_the_call() -> None:
    body = encode([call()])[0]
    assert halves(body) == (b"", body)


def test_losses_are_a_sum_that_only_grows() -> None:
    who = Who("4f", "shop", None, started_at_ns=time.time_ns() - 10**9)
    request = ExportMetricsServiceRequest.FromString(encode_losses(who, {Loss.QUEUE_FULL: 3, Loss.KILLED: 2**40}))
    (group,) = request.resource_metrics
    (metric,) = group.scope_metrics[0].metrics
    assert {pair.key: pair.value.string_value for pair in group.resource.attributes} == {
        "service.instance.id": "4f",
        "service.name": "shop",
    }
    assert (metric.name, metric.unit, bool(metric.description)) == ("outlay.calls.dropped", "{call}", True)
    assert (metric.sum.is_monotonic, metric.sum.aggregation_temporality) == (True, AGGREGATION_TEMPORALITY_CUMULATIVE)
    points = {point.attributes[0].value.string_value: point.as_int for point in metric.sum.data_points}
    assert points == {"queue_full": 3, "killed": 2**40}
    assert all(
        who.started_at_ns == point.start_time_unix_nano < point.time_unix_nano for point in metric.sum.data_points
    )
