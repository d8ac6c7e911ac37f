"""OTLP over HTTP: encodings, content types and statuses. What becomes of a body is `receiving`'s."""

from __future__ import annotations

from typing import Final

import orjson
from fastapi import APIRouter, Request, Response
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from outlay_collector.api.dependencies import running
from outlay_collector.gate import caller_of
from outlay_collector.otlp.body import TooLarge, read_body
from outlay_collector.otlp.receiving import (
    LOGS,
    METRICS,
    TRACES,
    Refused,
    Signal,
    answer_of,
    count_answer,
    most_bytes,
    receive,
    refused,
)

router = APIRouter(tags=["otlp"])

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"


@router.post("/v1/traces")
async def receive_traces(request: Request) -> Response:
    """Take an ExportTraceServiceRequest. 200: every call in it is committed."""
    return await _receive(request, TRACES)


@router.post("/v1/logs")
async def receive_logs(request: Request) -> Response:
    """Take an ExportLogsServiceRequest. 200: every call its records tell of is committed; other records are let go."""
    return await _receive(request, LOGS)


@router.post("/v1/metrics")
async def receive_metrics(request: Request) -> Response:
    """Take an ExportMetricsServiceRequest. Metrics are checked and let go, but for the calls that Outlay's
    clients could not deliver."""
    return await _receive(request, METRICS)


async def _receive(request: Request, signal: Signal) -> Response:
    collector, caller = running(request), caller_of(request)
    content_type = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    encoding = request.headers.get("content-encoding", "").strip().lower()
    try:
        if content_type not in (PROTOBUF, JSON):
            raise Refused("unknown_type", f"Content-Type {content_type!r}: expected {PROTOBUF} or {JSON}", status=415)
        try:
            body = await read_body(request.stream(), most_bytes(collector, caller))
        except TooLarge as error:
            raise refused(error) from None
        collector.metrics.add("outlay_received_bytes_total", len(body), transport="http")
        batch = await receive(collector, signal, body, caller, encoding=encoding, is_json=content_type == JSON)
    except Refused as refusal:
        count_answer(collector.metrics, "http", signal, refusal)
        return _refusal(refusal, content_type)
    count_answer(collector.metrics, "http", signal)
    answer = answer_of(signal, batch)
    if content_type == JSON:
        return Response(orjson.dumps(MessageToDict(answer)), media_type=JSON)
    return Response(answer.SerializeToString(), media_type=PROTOBUF)


def _refusal(refusal: Refused, content_type: str) -> Response:
    """A google.rpc.Status, as OTLP asks, in the encoding of the request."""
    headers = None if refusal.retry_after_s is None else {"Retry-After": str(refusal.retry_after_s)}
    if content_type == PROTOBUF:
        body = Status(code=refusal.rpc_code, message=refusal.message).SerializeToString()
        return Response(body, refusal.status, headers, PROTOBUF)
    document = {"code": refusal.rpc_code, "message": refusal.message}
    return Response(orjson.dumps(document), refusal.status, headers, JSON)
