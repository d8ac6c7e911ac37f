"""OTLP over HTTP: what is taken, what is refused and with which status, as the OTLP specification has it.

400 means never send this again; 503 with Retry-After means send it again later; 200 means it is committed.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final, Protocol

import orjson
from fastapi import APIRouter, Request, Response
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from outlay_collector.api.dependencies import running
from outlay_collector.ingest import Batch, read_batch
from outlay_collector.metrics import Metrics
from outlay_collector.otlp.body import TooLarge, UnknownEncoding, inflate, read_body
from outlay_collector.otlp.span import BadBody
from outlay_collector.pins import pinned
from outlay_collector.security import pins_of
from outlay_collector.writer import Busy, Unstorable

router = APIRouter(tags=["otlp"])

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
_RPC_CODES: Final = {400: 3, 413: 3, 415: 3, 503: 14}  # google.rpc.Code: INVALID_ARGUMENT, UNAVAILABLE


@router.post("/v1/traces")
async def receive_traces(request: Request) -> Response:
    """Take an ExportTraceServiceRequest. 200: every call in it is committed."""
    collector, pins = running(request), pins_of(request)

    def decode(body: bytes, content_type: str) -> Batch:
        batch = read_batch(body, is_json=content_type == JSON, book=collector.book)
        return replace(batch, reports=[pinned(report, pins) for report in batch.reports]) if pins else batch

    return await _receive(request, decode)


@router.post("/v1/logs")
async def receive_logs(request: Request) -> Response:
    """Logs are checked and let go: no call is billed by a log record."""
    return await _receive(request, _Ignored(ExportLogsServiceRequest))


@router.post("/v1/metrics")
async def receive_metrics(request: Request) -> Response:
    """Metrics are checked and let go: a sum cannot be attributed to calls."""
    return await _receive(request, _Ignored(ExportMetricsServiceRequest))


class _Decode(Protocol):
    def __call__(self, body: bytes, content_type: str) -> Batch: ...


class _Ignored:
    """Reads a signal only to see that it is one."""

    def __init__(self, message: type[Message]) -> None:
        self._message = message

    def __call__(self, body: bytes, content_type: str) -> Batch:
        try:
            if content_type == JSON:
                orjson.loads(body)
            else:
                self._message.FromString(body)
        except (DecodeError, ValueError) as error:
            raise BadBody(f"the body is no {self._message.DESCRIPTOR.name}: {error}") from None
        return Batch(())


async def _receive(request: Request, decode: _Decode) -> Response:
    collector = running(request)
    content_type = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if content_type not in (PROTOBUF, JSON):
        return _refusal(415, f"Content-Type {content_type!r}: expected {PROTOBUF} or {JSON}", JSON)
    encoding = request.headers.get("content-encoding", "").strip().lower()
    limit = collector.settings.server.max_body_bytes
    try:
        body = await read_body(request.stream(), limit)
        batch = await asyncio.get_running_loop().run_in_executor(
            collector.decoders, lambda: decode(inflate(body, encoding, limit), content_type)
        )
        _count(collector.metrics, batch)
        if batch.reports:
            await asyncio.wrap_future(collector.writer.submit(batch.reports))
    except TooLarge as error:
        return _refusal(413, str(error), content_type)
    except UnknownEncoding as error:
        return _refusal(415, str(error), content_type)
    except (BadBody, Unstorable) as error:
        return _refusal(400, str(error), content_type)
    except Busy as error:
        return _refusal(503, str(error), content_type, retry_after_s=error.retry_after_s)
    return _accepted(batch, content_type)


def _count(metrics: Metrics, batch: Batch) -> None:
    metrics.add("outlay_spans_received_total", len(batch.reports))
    metrics.add("outlay_spans_rejected_total", batch.rejected)
    metrics.add("outlay_unpriced_reports_total", sum(r.call.cost.nano_usd is None for r in batch.reports))


def _accepted(batch: Batch, content_type: str) -> Response:
    if content_type == JSON:
        partial = {"rejectedSpans": str(batch.rejected), "errorMessage": batch.reason} if batch.rejected else None
        return Response(orjson.dumps({"partialSuccess": partial} if partial else {}), media_type=JSON)
    answer = ExportTraceServiceResponse()
    if batch.rejected:
        answer.partial_success.rejected_spans = batch.rejected
        answer.partial_success.error_message = batch.reason
    return Response(answer.SerializeToString(), media_type=PROTOBUF)


def _refusal(status: int, message: str, content_type: str, *, retry_after_s: int | None = None) -> Response:
    """A google.rpc.Status, as OTLP asks, in the encoding of the request."""
    headers = None if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    code = _RPC_CODES[status]
    if content_type == PROTOBUF:
        body = Status(code=code, message=message).SerializeToString()
        return Response(body, status, headers, PROTOBUF)
    return Response(orjson.dumps({"code": code, "message": message}), status, headers, JSON)
