"""One export request, whichever transport brought it: decoded off the event loop, committed, and only then answered.

What stops one is a `Refused`, which says it for both transports: an HTTP status, as the OTLP specification has it, and
the gRPC code beside it. 400 means never send this again; 429 and 503, RESOURCE_EXHAUSTED and UNAVAILABLE, mean send it
again later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import orjson
from google.protobuf.message import DecodeError, Message
from google.rpc.code_pb2 import (  # type: ignore[import-untyped]  # ships no types
    INVALID_ARGUMENT,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAUTHENTICATED,
    UNAVAILABLE,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from outlay.prices import PriceBook
from sqlalchemy.exc import SQLAlchemyError

from outlay_collector.api.dependencies import Running
from outlay_collector.content import kept
from outlay_collector.gate import CODES
from outlay_collector.ingest import Batch, read_batch, read_logs
from outlay_collector.metrics import Metrics
from outlay_collector.otlp.body import TooLarge, UnknownEncoding, inflate
from outlay_collector.otlp.losses import read_metrics
from outlay_collector.otlp.span import BadBody
from outlay_collector.pins import pinned
from outlay_collector.security import Caller, Denial
from outlay_collector.store.losses import note_losses
from outlay_collector.writer import Busy, DiskFull, QueueFull, Unstorable

_RPC_CODES: Final = {401: UNAUTHENTICATED, 403: PERMISSION_DENIED, 429: RESOURCE_EXHAUSTED}


class _Read(Protocol):
    def __call__(self, body: bytes, *, is_json: bool, book: PriceBook) -> Batch: ...


@dataclass(frozen=True, slots=True)
class Signal:
    """What is sent to one service: how a body of it is read, and how it is answered."""

    name: str
    service: str
    """The gRPC service; its one method is Export."""
    read: _Read
    answer: type[Any]
    rejected: str
    """The field of a partial success that counts what could not be taken."""


class Refused(Exception):
    """Nothing of the request was taken. `retry_after_s` None: sending it again will not help."""

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        status: int,
        rpc_code: int = INVALID_ARGUMENT,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        """One word, for the metrics."""
        self.message = message
        self.status = status
        self.rpc_code = rpc_code
        self.retry_after_s = retry_after_s


def denied(denial: Denial) -> Refused:
    """For a sender whose key is missing, wrong, or used up."""
    return Refused(
        CODES[denial.status],
        denial.reason,
        status=denial.status,
        rpc_code=_RPC_CODES[denial.status],
        retry_after_s=denial.retry_after_s,
    )


def refused(error: Exception) -> Refused:
    """What the sender hears of an error while its body was read or stored, or its key was looked up."""
    match error:
        case TooLarge():
            return Refused("too_large", str(error), status=413)
        case UnknownEncoding():
            return Refused("unknown_encoding", str(error), status=415)
        case QueueFull():
            return _later("queue_full", error, RESOURCE_EXHAUSTED)
        case DiskFull():
            return _later("disk_full", error, UNAVAILABLE)
        case Busy():
            return _later("not_stored", error, UNAVAILABLE)
        case SQLAlchemyError():
            message = "the database did not answer"
            return Refused("database_unavailable", message, status=503, rpc_code=UNAVAILABLE, retry_after_s=1)
        case _:
            return Refused("malformed", str(error), status=400)


REFUSALS: Final = (TooLarge, UnknownEncoding, BadBody, Unstorable, Busy, SQLAlchemyError)
"""What `refused` knows to say."""


def _later(reason: str, error: Busy, rpc_code: int) -> Refused:
    return Refused(reason, str(error), status=503, rpc_code=rpc_code, retry_after_s=error.retry_after_s)


def most_bytes(collector: Running, caller: Caller) -> int:
    """What one request of this caller may hold, as it comes and inflated."""
    limit = collector.settings.server.max_body_bytes
    return limit if caller.body_bytes is None else min(limit, caller.body_bytes)


async def receive(
    collector: Running, signal: Signal, body: bytes, caller: Caller, *, encoding: str = "", is_json: bool = False
) -> Batch:
    """Every call in the body is committed when this returns. Raises `Refused`."""
    limit = most_bytes(collector, caller)

    def decode() -> Batch:
        if len(body) > limit:
            raise TooLarge(limit)
        batch = signal.read(inflate(body, encoding, limit), is_json=is_json, book=collector.book)
        keep = collector.settings.content.keep
        reports = [kept(report, keep) for report in batch.reports]
        return replace(batch, reports=[pinned(each, caller.pins) for each in reports] if caller.pins else reports)

    try:
        batch = await asyncio.get_running_loop().run_in_executor(collector.decoders, decode)
        _count(collector.metrics, batch)
        await _store(collector, batch)
        if batch.losses:
            await asyncio.to_thread(_note_losses, collector, batch, caller)
    except REFUSALS as error:
        raise refused(error) from None
    return batch


async def _store(collector: Running, batch: Batch) -> None:
    """Steps first: they tell which of two spans is above the other. Calls are stored though steps may not be."""
    refusal: Exception | None = None
    try:
        if batch.steps:
            await asyncio.wrap_future(collector.steps.submit(batch.steps))
    except REFUSALS as error:
        refusal = error
    if batch.reports:
        await asyncio.wrap_future(collector.writer.submit(batch.reports))
    if refusal is not None:
        raise refusal


def _note_losses(collector: Running, batch: Batch, caller: Caller) -> None:
    losses = [
        replace(
            loss,
            service=caller.pins.get("service", loss.service),
            environment=caller.pins.get("environment", loss.environment),
        )
        for loss in batch.losses
    ]
    with collector.engine.begin() as connection:
        note_losses(connection, losses, collector.clock())


def _count(metrics: Metrics, batch: Batch) -> None:
    metrics.add("outlay_spans_received_total", len(batch.reports))
    metrics.add("outlay_spans_rejected_total", batch.rejected)
    metrics.add("outlay_unpriced_reports_total", sum(r.call.cost.nano_usd is None for r in batch.reports))


def count_answer(metrics: Metrics, transport: str, signal: Signal, refusal: Refused | None = None) -> None:
    """Note what became of a request."""
    answer = "accepted" if refusal is None else refusal.reason
    metrics.add("outlay_requests_total", transport=transport, signal=signal.name, answer=answer)


def answer_of(signal: Signal, batch: Batch) -> Message:
    """The answer to a batch that is committed, partial where some of it could not be taken."""
    answer: Message = signal.answer()
    if batch.rejected:
        partial = answer.partial_success  # type: ignore[attr-defined]  # every answer has one
        setattr(partial, signal.rejected, batch.rejected)
        partial.error_message = batch.reason
    return answer


def _ignored(message: type[Message]) -> Callable[..., Batch]:
    """Reads a signal only to see that it is one: no call is billed by it."""

    def read(body: bytes, *, is_json: bool, book: PriceBook) -> Batch:
        try:
            if is_json:
                orjson.loads(body)
            else:
                message.FromString(body)
        except (DecodeError, ValueError) as error:
            raise BadBody(f"the body is no {message.DESCRIPTOR.name}: {error}") from None
        return Batch(())

    return read


_PACKAGE: Final = "opentelemetry.proto.collector"
TRACES: Final = Signal(
    "traces", f"{_PACKAGE}.trace.v1.TraceService", read_batch, ExportTraceServiceResponse, "rejected_spans"
)
LOGS: Final = Signal(
    "logs",
    f"{_PACKAGE}.logs.v1.LogsService",
    read_logs,
    ExportLogsServiceResponse,
    "rejected_log_records",
)
METRICS: Final = Signal(
    "metrics",
    f"{_PACKAGE}.metrics.v1.MetricsService",
    read_metrics,
    ExportMetricsServiceResponse,
    "rejected_data_points",
)
SIGNALS: Final = (TRACES, LOGS, METRICS)
