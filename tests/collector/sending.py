"""Spans as the real OpenTelemetry exporter encodes them, sent to a collector, and what became of them."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000
_IDS = ("traceId", "spanId", "parentSpanId")
PROTOBUF = {"content-type": "application/x-protobuf"}
BOTH_BACKENDS = pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)
"""For tests of what every database must keep to. Without it a test runs on SQLite alone."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One span to be sent. GenAI conventions unless the attributes say otherwise."""

    span: int = 1
    trace: int = 1
    parent: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    scope: str = "opentelemetry.instrumentation.openai_v2"
    name: str = "chat"
    started_at_ns: int = NOW_NS - 60_000_000_000
    duration_ms: int = 100
    failed: bool = False
    events: Sequence[tuple[str, int, Mapping[str, Any]]] = ()
    """Name, milliseconds after the span's start, attributes."""
    resource: Mapping[str, str] = field(default_factory=lambda: {"service.name": "bot"})


def body_of(*spans: Sent) -> bytes:
    """The protobuf export request the real exporter would send."""
    return encode_spans([readable(span) for span in spans]).SerializeToString()


def json_of(*spans: Sent) -> bytes:
    """The same in JSON: ids are hex in OTLP's, base64 in protobuf's own."""
    document = MessageToDict(encode_spans([readable(span) for span in spans]))
    for of_resource in document["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                span |= {key: b64decode(span[key]).hex() for key in _IDS if key in span}
    return json.dumps(document).encode()


def chat(**attributes: Any) -> dict[str, Any]:
    """Attributes of a chat with gpt-4o: 1000 tokens in, 100 out."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        **attributes,
    }


@dataclass(frozen=True, kw_only=True)
class Logged:
    """One log record to be sent."""

    event: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    span: int | None = None
    trace: int | None = None
    scope: str = "some.logger"
    at_ns: int = NOW_NS - 60_000_000_000


def logs_of(*records: Logged) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    for logged in records:
        of_resource = request.resource_logs.add()
        of_resource.resource.attributes.append(_key_value("service.name", "bot"))
        of_scope = of_resource.scope_logs.add()
        of_scope.scope.name = logged.scope
        record = of_scope.log_records.add(time_unix_nano=logged.at_ns)
        record.body.string_value = logged.event
        record.trace_id = b"" if logged.trace is None else logged.trace.to_bytes(16, "big")
        record.span_id = b"" if logged.span is None else logged.span.to_bytes(8, "big")
        record.attributes.append(_key_value("event.name", logged.event))
        record.attributes.extend(_key_value(key, value) for key, value in logged.attributes.items())
    return request


def _key_value(key: str, value: Any) -> KeyValue:
    kind = {bool: "bool_value", int: "int_value", float: "double_value"}.get(type(value), "string_value")
    return KeyValue(key=key, value=AnyValue(**{kind: value}))


async def log(client: httpx2.AsyncClient, *records: Logged) -> httpx2.Response:
    return await client.post("/v1/logs", content=logs_of(*records).SerializeToString(), headers=PROTOBUF)


async def send(client: httpx2.AsyncClient, *spans: Sent) -> httpx2.Response:
    return await client.post("/v1/traces", content=body_of(*spans), headers=PROTOBUF)


async def stored(client: httpx2.AsyncClient) -> list[dict[str, Any]]:
    """All calls, with everything known of each; the latest first."""
    listed = (await client.get("/api/v1/calls", params={"limit": 500})).json()["calls"]
    return [(await client.get(f"/api/v1/calls/{call['id']}")).json() for call in listed]


def readable(span: Sent) -> ReadableSpan:
    """The span as the SDK hands it to an exporter."""
    context = SpanContext(span.trace, span.span, is_remote=False, trace_flags=TraceFlags(1))
    parent = None if span.parent is None else SpanContext(span.trace, span.parent, is_remote=False)
    return ReadableSpan(
        name=span.name,
        context=context,
        parent=parent,
        resource=Resource(span.resource),
        attributes=span.attributes,
        kind=SpanKind.CLIENT,
        events=[Event(name, said, span.started_at_ns + ms * 1_000_000) for name, ms, said in span.events],
        status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
        start_time=span.started_at_ns,
        end_time=span.started_at_ns + span.duration_ms * 1_000_000,
        instrumentation_scope=InstrumentationScope(span.scope, "1.0"),
    )
