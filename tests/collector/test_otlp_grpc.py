"""OTLP over gRPC: what HTTP takes and refuses, in gRPC's words. OpenTelemetry's own exporters send to both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx2
import pytest
from fastapi import FastAPI
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # ships no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # likewise
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from outlay_collector.app import create_app
from outlay_collector.logs import TextLines
from outlay_collector.otlp.grpc import listening
from outlay_collector.quotas import Quota
from outlay_collector.security import Right, make_key
from outlay_collector.serving import Server
from outlay_collector.settings import Server as ServerSettings
from outlay_collector.settings import Settings, Store
from outlay_collector.store.keys import add_key
from sqlalchemy import Engine
from starlette.applications import Starlette

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, chat, readable

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@dataclass(frozen=True, slots=True)
class Doors:
    """A running collector: where it takes what."""

    http: str
    grpc: str

    def calls(self, **headers: str) -> list[dict[str, Any]]:
        answer = httpx2.get(f"{self.http}/api/v1/calls", params={"limit": 500}, headers=headers, timeout=60)
        assert answer.is_success, answer.text
        listed: list[dict[str, Any]] = answer.json()["calls"]
        return listed


@pytest.fixture
def doors(app: FastAPI) -> Iterator[Doors]:
    with served(app) as doors:
        yield doors


@contextmanager
def served(app: FastAPI) -> Iterator[Doors]:
    ports = []

    @asynccontextmanager
    async def beside(app: Starlette) -> AsyncIterator[None]:
        async with listening(app.state.running, "127.0.0.1:0") as port:
            ports.append(port)
            yield

    with Server(app, log_level="critical", beside=beside) as server:
        yield Doors(server.url, f"127.0.0.1:{ports[0]}")


def export(
    doors: Doors, body: bytes, key: str | None = None, deadline_s: float = 60, **options: Any
) -> ExportTraceServiceResponse:
    metadata = [("authorization", f"Bearer {key}")] if key else []
    with grpc.insecure_channel(doors.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        answer: bytes = channel.unary_unary(EXPORT)(body, metadata=metadata, timeout=deadline_s, **options)
    return ExportTraceServiceResponse.FromString(answer)


def refusal(doors: Doors, body: bytes, key: str | None = None, **options: Any) -> tuple[grpc.StatusCode, int | None]:
    """The code, and after how many seconds RetryInfo says to come back."""
    with pytest.raises(grpc.RpcError) as raised:
        export(doors, body, key, **options)
    trailing = {name: value for name, value in raised.value.trailing_metadata()}  # noqa: C416 - pairs of its own kind
    again = trailing.get("google.rpc.retryinfo-bin")
    if "grpc-status-details-bin" in trailing:
        status = Status.FromString(trailing["grpc-status-details-bin"])
        assert status.code == raised.value.code().value[0]
        assert status.message == raised.value.details()
        assert [detail.value for detail in status.details] == ([] if again is None else [again])
    return raised.value.code(), None if again is None else RetryInfo.FromString(again).retry_delay.seconds


def over_http(doors: Doors) -> SpanExporter:
    return HttpExporter(f"{doors.http}/v1/traces", timeout=60)


def over_grpc(doors: Doors) -> SpanExporter:
    return GrpcExporter(doors.grpc, insecure=True, timeout=60)


def over_grpc_in_gzip(doors: Doors) -> SpanExporter:
    return GrpcExporter(doors.grpc, insecure=True, timeout=60, compression=grpc.Compression.Gzip)


EXPORTERS = pytest.mark.parametrize("exporter_of", [over_http, over_grpc, over_grpc_in_gzip])


@EXPORTERS
@BOTH_BACKENDS
def test_spans_sent_twice_in_any_order_and_split_anyhow_are_calls_once(
    exporter_of: Callable[[Doors], SpanExporter], doors: Doors
) -> None:
    parents = [
        Sent(trace=n, span=1, scope="agent", attributes={"gen_ai.operation.name": "invoke_agent"}) for n in (1, 2)
    ]
    children = [Sent(trace=n, span=2, parent=1, attributes=chat(**{"gen_ai.response.id": f"r{n}"})) for n in (1, 2)]
    batches: Sequence[Sequence[Sent]] = (children, parents, [children[1]], [parents[0], children[0]], children[::-1])
    exporter = exporter_of(doors)
    for batch in batches:
        assert exporter.export([readable(span) for span in batch]) is SpanExportResult.SUCCESS
    exporter.shutdown()
    calls = doors.calls()
    assert [(call["input_tokens"], call["cost_usd"]) for call in calls] == [(1000, "0.0035"), (1000, "0.0035")]


@EXPORTERS
def test_an_application_that_traces_with_the_sdk_is_billed(
    exporter_of: Callable[[Doors], SpanExporter], doors: Doors
) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(exporter_of(doors)))
    tracer = provider.get_tracer("opentelemetry.instrumentation.openai_v2")
    with tracer.start_as_current_span("request"):
        for _ in range(3):
            tracer.start_span("chat", attributes=chat()).end()
    provider.shutdown()
    assert [call["service"] for call in doors.calls()] == ["shop"] * 3


def test_one_body_over_both_transports_is_one_call(doors: Doors) -> None:
    span = readable(Sent(attributes=chat()))
    for exporter in (over_grpc(doors), over_http(doors)):
        assert exporter.export([span]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    assert len(doors.calls()) == 1


def test_logs_and_metrics_have_their_services(doors: Doors) -> None:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    with grpc.insecure_channel(doors.grpc) as channel:
        assert not LogsServiceStub(channel).Export(ExportLogsServiceRequest()).HasField("partial_success")
        assert not MetricsServiceStub(channel).Export(ExportMetricsServiceRequest()).HasField("partial_success")
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Other")(b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_spans_that_cannot_be_taken_are_counted_while_the_rest_is_stored(doors: Doors) -> None:
    answer = export(doors, body_of(Sent(span=1, attributes=chat(), duration_ms=-5), Sent(span=2, attributes=chat())))
    assert answer.partial_success.rejected_spans == 1
    assert "end after it has started" in answer.partial_success.error_message
    assert len(doors.calls()) == 1


def test_what_can_never_be_taken_is_refused_for_good(doors: Doors) -> None:
    assert refusal(doors, b"\xff\xff") == (grpc.StatusCode.INVALID_ARGUMENT, None)
    assert refusal(doors, b"x" * (16 * 1024 * 1024 + 1)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, None)
    bomb = b"\0" * 40_000_000
    assert refusal(doors, bomb, compression=grpc.Compression.Gzip) == (grpc.StatusCode.RESOURCE_EXHAUSTED, None)


def test_a_full_queue_says_when_to_come_back_and_loses_nothing(app: FastAPI, doors: Doors) -> None:
    body, writer = body_of(Sent(attributes=chat())), app.state.running.writer
    writer._waiting = 50_000  # as if so many were waiting: the thread itself is left alone
    assert refusal(doors, body) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1)
    writer._waiting = 0
    export(doors, body)
    assert len(doors.calls()) == 1


def made(engine: Engine, right: Right, **options: Any) -> str:
    key, row = make_key("test", right, NOW_NS, **options)
    with engine.begin() as connection:
        add_key(connection, row)
    return key


@BOTH_BACKENDS
def test_keys_are_asked_for_and_mean_what_they_mean_over_http(engine: Engine, doors: Doors) -> None:
    ingest, reader = made(engine, "ingest", pins={"tenant": "acme"}), made(engine, "read")
    body = body_of(Sent(attributes=chat(**{"outlay.tenant": "zen"})))
    assert refusal(doors, body) == (grpc.StatusCode.UNAUTHENTICATED, None)
    assert refusal(doors, body, ingest[:-1]) == (grpc.StatusCode.UNAUTHENTICATED, None)
    assert refusal(doors, body, reader) == (grpc.StatusCode.PERMISSION_DENIED, None)
    export(doors, body, ingest)
    (call,) = doors.calls(authorization=f"Bearer {reader}")
    assert call["tenant"] == "acme"


def test_a_quota_holds_over_grpc_too(engine: Engine, doors: Doors) -> None:
    body = body_of(Sent(attributes=chat()))
    twice = made(engine, "ingest", quota=Quota(requests_per_minute=2))
    small = made(engine, "ingest", quota=Quota(body_bytes=len(body) - 1))
    for _ in range(2):
        export(doors, body, twice)
    code, again_s = refusal(doors, body, twice)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert again_s is not None
    assert 1 <= again_s <= 30
    assert refusal(doors, body, small) == (grpc.StatusCode.INVALID_ARGUMENT, None)


async def test_a_port_that_is_taken_is_not_shared(app: FastAPI) -> None:
    async with app.router.lifespan_context(app), listening(app.state.running, "127.0.0.1:0") as port:
        with pytest.raises(RuntimeError):
            async with listening(app.state.running, f"127.0.0.1:{port}"):
                pytest.fail("two servers listen on one port")


def test_a_sender_that_gives_up_waiting_stops_nobody_else(app: FastAPI, engine: Engine, doors: Doors) -> None:
    with grpc.insecure_channel(doors.grpc) as channel, engine.begin():  # which holds the database meanwhile
        call = channel.unary_unary(EXPORT).future(body_of(Sent(trace=1, attributes=chat())))
        while not app.state.running.writer.waiting:
            assert not call.done()
        call.cancel()
        with pytest.raises(grpc.FutureCancelledError):
            call.result()
    export(doors, body_of(Sent(trace=2, attributes=chat())))
    assert {int(call["trace_id"], 16) for call in doors.calls()} == {1, 2}


def test_each_request_is_a_line_of_the_log_where_that_is_wanted(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "outlay_collector.otlp.grpc")
    settings = Settings(store=Store(url=database_url), server=ServerSettings(log_requests=True))
    with served(create_app(settings, clock=lambda: NOW_NS)) as doors:
        export(doors, body_of(Sent(attributes=chat())), "secret-key")
        refusal(doors, b"\xff")
    lines = [TextLines().format(record) for record in caplog.records if record.name == "outlay_collector.otlp.grpc"]
    assert ["code=OK" in lines[0], "code=INVALID_ARGUMENT" in lines[1]] == [True, True]
    assert "secret-key" not in "".join(lines)
