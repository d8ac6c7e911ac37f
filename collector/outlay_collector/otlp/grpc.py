"""OTLP over gRPC, in the event loop of the HTTP server. What becomes of a body is `receiving`'s, keys are `security`'s.

Bodies come as bytes and are decoded where those of HTTP are. A refusal that may pass says so with RetryInfo: in the
status' details, where the OTLP specification puts it, and under the name OpenTelemetry's Python exporter reads. gRPC
itself answers RESOURCE_EXHAUSTED to a message above the limit, without RetryInfo: sending it again will not help.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.code_pb2 import INTERNAL  # type: ignore[import-untyped]  # likewise
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # likewise
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from outlay_collector.api.dependencies import Running
from outlay_collector.logs import REQUEST_ID, request_id
from outlay_collector.otlp.receiving import SIGNALS, Refused, Signal, answer_of, count_answer, denied, receive, refused
from outlay_collector.security import Caller, Denial, bearer

log = logging.getLogger(__name__)

_GRACE_S: Final = 5.0
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_Context = grpc.aio.ServicerContext[bytes, Message]


@asynccontextmanager
async def listening(collector: Running, address: str) -> AsyncIterator[int]:
    """Serves at `host:port` while the block runs; gives the port. Raises `RuntimeError` where it cannot."""
    server = grpc.aio.server(
        options=(
            ("grpc.max_receive_message_length", collector.settings.server.max_body_bytes),
            ("grpc.so_reuseport", 0),  # else a second collector would share the port instead of being told
        )
    )
    server.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(signal.service, {"Export": _method(collector, signal)})
            for signal in SIGNALS
        )
    )
    port = server.add_insecure_port(address)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(_GRACE_S)


def _method(collector: Running, signal: Signal) -> Any:
    async def export(body: bytes, context: _Context) -> Message:
        metadata = {name.lower(): str(value) for name, value in context.invocation_metadata() or ()}
        REQUEST_ID.set(request_id(metadata.get("x-request-id", "")))  # each call has a context of its own
        began = time.perf_counter()
        try:
            return await _export(collector, signal, body, metadata.get("authorization", ""), context)
        finally:
            if collector.settings.server.log_requests:
                _log(signal, context, (time.perf_counter() - began) * 1000)

    def serialised(answer: Message) -> bytes:
        return answer.SerializeToString()

    handle: Callable[[bytes, _Context], Awaitable[Message]] = export
    return grpc.unary_unary_rpc_method_handler(handle, request_deserializer=None, response_serializer=serialised)


def _log(signal: Signal, context: _Context, duration_ms: float) -> None:
    code = context.code()  # a number as long as nothing was set
    log.info(
        "request",
        extra={
            "service": signal.service,
            "code": (code if isinstance(code, grpc.StatusCode) else _CODES[code or 0]).name,
            "duration_ms": round(duration_ms, 1),
            "client": context.peer(),
        },
    )


async def _export(collector: Running, signal: Signal, body: bytes, authorization: str, context: _Context) -> Message:
    try:
        caller = await _admitted(collector, authorization)
        caller.used(len(body))
        collector.metrics.add("outlay_received_bytes_total", len(body), transport="grpc")
        answer = answer_of(signal, await receive(collector, signal, body, caller))
        count_answer(collector.metrics, "grpc", signal)
        return answer
    except Refused as refusal:
        count_answer(collector.metrics, "grpc", signal, refusal)
        await _abort(context, refusal)
    except SQLAlchemyError as error:
        log.error("the database failed on %s: %s", signal.service, type(error).__name__, exc_info=error)
        await _abort(context, refused(error))
    except Exception:
        log.exception("%s failed", signal.service)
        message = "something went wrong here; the collector's log says what"
        await _abort(context, Refused("internal", message, status=500, rpc_code=INTERNAL))


async def _admitted(collector: Running, authorization: str) -> Caller:
    caller = await run_in_threadpool(collector.keys.admit, bearer(authorization), "ingest")
    if isinstance(caller, Denial):
        raise denied(caller)
    return caller


async def _abort(context: _Context, refusal: Refused) -> NoReturn:
    status = Status(code=refusal.rpc_code, message=refusal.message)
    trailing: list[tuple[str, str | bytes]] = []
    if refusal.retry_after_s is not None:
        again = RetryInfo(retry_delay=Duration(seconds=refusal.retry_after_s))
        packed = AnyMessage()
        packed.Pack(again)
        status.details.append(packed)
        trailing.append(("google.rpc.retryinfo-bin", again.SerializeToString()))
    trailing.append(("grpc-status-details-bin", status.SerializeToString()))
    context.set_trailing_metadata(tuple(trailing))
    await context.abort(_CODES[refusal.rpc_code], refusal.message)
