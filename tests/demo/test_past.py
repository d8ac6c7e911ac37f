"""Moving spans into the past on their way to the collector."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from outlay_collector.demo.past import moved

HOUR_NS = 3_600_000_000_000


def sent(attributes: dict[str, str]) -> Span:
    """One span of two seconds that began ten hours after the epoch, after it was moved."""
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(start_time_unix_nano=10 * HOUR_NS, end_time_unix_nano=10 * HOUR_NS + 2_000_000_000)
    )
    for key, value in attributes.items():
        span.attributes.add(key=key).value.string_value = value
    found = ExportTraceServiceRequest.FromString(moved(request.SerializeToString()))
    only: Span = found.resource_spans[0].scope_spans[0].spans[0]
    return only


def test_a_span_with_the_tag_is_moved_and_loses_tag_and_price() -> None:
    span = sent(
        {
            "outlay.tag.demo.ago_ns": str(3 * HOUR_NS),
            "outlay.cost.lines": "[]",
            "gen_ai.usage.cost.currency": "USD",
            "outlay.usage": "{}",
            "outlay.tag.tier": "free",
        }
    )
    assert span.start_time_unix_nano == 7 * HOUR_NS
    assert span.end_time_unix_nano == 7 * HOUR_NS + 2_000_000_000
    assert {attribute.key for attribute in span.attributes} == {"outlay.usage", "outlay.tag.tier"}


def test_a_span_without_the_tag_passes_unchanged() -> None:
    span = sent({"outlay.cost.lines": "[]", "outlay.tag.tier": "free"})
    assert span.start_time_unix_nano == 10 * HOUR_NS
    assert {attribute.key for attribute in span.attributes} == {"outlay.cost.lines", "outlay.tag.tier"}


def test_a_call_that_was_free_stays_free() -> None:
    span = sent({"outlay.tag.demo.ago_ns": str(HOUR_NS), "outlay.cost.reason": "the provider answered 500"})
    assert {attribute.key for attribute in span.attributes} == {"outlay.cost.reason"}
