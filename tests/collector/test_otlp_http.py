"""POST /v1/traces: what is taken, what is refused, and that 200 means committed."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import httpx2
import pytest
from fastapi import FastAPI
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.collector.sending import NOW_NS, PROTOBUF, Sent, body_of, chat, send, stored

TRACE_ID = "5b8efff798038103d269b633813fc60c"
SPAN_ID = "eee19b7ec3c1b174"


def json_body(**changes: object) -> bytes:
    span = {
        "traceId": TRACE_ID.upper(),
        "spanId": SPAN_ID,
        "name": "chat gpt-4o",
        "kind": 3,
        "startTimeUnixNano": str(NOW_NS - 5_000_000_000),
        "endTimeUnixNano": str(NOW_NS - 4_000_000_000),
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
            {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1000"}},
            {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 100}},
            {"key": "gen_ai.response.finish_reasons", "value": {"arrayValue": {"values": [{"stringValue": "stop"}]}}},
        ],
        "status": {},
        **changes,
    }
    return json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [span]}]}]}).encode()


async def test_a_call_is_queryable_as_soon_as_its_span_was_acknowledged(collector: httpx2.AsyncClient) -> None:
    answer = await send(collector, Sent(attributes=chat()))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    (call,) = await stored(collector)
    assert (call["provider"], call["model"], call["service"]) == ("openai", "gpt-4o-2024-08-06", "bot")
    assert (call["input_tokens"], call["output_tokens"], call["duration_ms"]) == (1000, 100, 100)


async def test_a_call_that_came_without_a_price_is_priced_here(collector: httpx2.AsyncClient) -> None:
    await send(collector, Sent(attributes=chat()))
    (call,) = await stored(collector)
    # gpt-4o: $2.50 per million in, $10 per million out: 1000 x 2.5e-6 + 100 x 10e-6
    assert (call["cost_usd"], call["cost_status"]) == ("0.0035", "exact")


async def test_a_model_nobody_knows_is_unpriced_and_says_so(collector: httpx2.AsyncClient) -> None:
    unknown = chat(**{"gen_ai.request.model": "zeta-9", "gen_ai.response.model": "zeta-9"})
    await send(collector, Sent(attributes=unknown))
    (call,) = await stored(collector)
    assert (call["cost_usd"], call["cost_status"]) == (None, "unpriced")
    assert "zeta-9" in call["cost_reason"]


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_compressed_bodies_are_inflated(
    collector: httpx2.AsyncClient, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    body = pack(body_of(Sent(attributes=chat())))
    answer = await collector.post("/v1/traces", content=body, headers={**PROTOBUF, "content-encoding": encoding})
    assert answer.status_code == 200
    assert len(await stored(collector)) == 1


async def test_a_gzip_body_of_several_members_is_all_of_them(collector: httpx2.AsyncClient) -> None:
    body = b"".join(gzip.compress(body_of(Sent(trace=n, attributes=chat()))) for n in (1, 2))
    answer = await collector.post("/v1/traces", content=body, headers={**PROTOBUF, "content-encoding": "gzip"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert len(await stored(collector)) == 2


async def test_json_has_hex_ids_and_numbers_as_text(collector: httpx2.AsyncClient) -> None:
    answer = await collector.post("/v1/traces", content=json_body(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (200, {})
    (call,) = await stored(collector)
    assert (call["trace_id"], call["span_id"]) == (TRACE_ID, SPAN_ID)
    assert (call["input_tokens"], call["finish_reasons"]) == (1000, ["stop"])


async def test_spans_without_an_id_are_rejected_and_counted_while_the_rest_is_stored(
    collector: httpx2.AsyncClient,
) -> None:
    answer = await collector.post(
        "/v1/traces", content=json_body(spanId="0" * 16), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert "spanId" in answer.json()["partialSuccess"]["errorMessage"]


async def test_a_span_that_ends_before_it_starts_is_rejected(collector: httpx2.AsyncClient) -> None:
    answer = await send(collector, Sent(span=1, attributes=chat(), duration_ms=-5), Sent(span=2, attributes=chat()))
    assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 1
    assert len(await stored(collector)) == 1


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b"\xff\xff\xff", PROTOBUF, 400, "ExportTraceServiceRequest"),
        (b"{", {"content-type": "application/json"}, 400, "JSON"),
        (b"[]", {"content-type": "application/json"}, 400, "resourceSpans"),
        (b"no gzip", {**PROTOBUF, "content-encoding": "gzip"}, 400, "gzip"),
        (gzip.compress(b"a" * 1000)[:-12], {**PROTOBUF, "content-encoding": "gzip"}, 400, "ends before"),
        (b"", {"content-type": "text/plain"}, 415, "text/plain"),
        (b"", {**PROTOBUF, "content-encoding": "br"}, 415, "br"),
        (b"x" * (16 * 1024 * 1024 + 1), PROTOBUF, 413, "16777216"),
        (gzip.compress(b"") + gzip.compress(b"a")[:-3], {**PROTOBUF, "content-encoding": "gzip"}, 400, "ends before"),
        (gzip.compress(b"") + b"more", {**PROTOBUF, "content-encoding": "gzip"}, 400, "gzip"),
        (zlib.compress(b"") + b"more", {**PROTOBUF, "content-encoding": "deflate"}, 400, "behind its end"),
        (gzip.compress(b"\0" * 20_000_000), {**PROTOBUF, "content-encoding": "gzip"}, 413, "16777216"),
        (gzip.compress(b"\0" * 9_000_000) * 2, {**PROTOBUF, "content-encoding": "gzip"}, 413, "16777216"),
    ],
    ids=[
        *("protobuf", "json", "json-list", "gzip", "gzip-cut", "type", "encoding", "large"),
        *("member-cut", "behind-gzip", "behind-deflate", "bomb", "bombs"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_a_reason(
    collector: httpx2.AsyncClient, content: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    answer = await collector.post("/v1/traces", content=content, headers=headers)
    assert answer.status_code == status
    protobuf = headers["content-type"] == PROTOBUF["content-type"]
    assert said in (Status.FromString(answer.content).message if protobuf else answer.json()["message"])


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
async def test_logs_and_metrics_are_accepted_and_let_go(collector: httpx2.AsyncClient, path: str) -> None:
    assert (await collector.post(path, content=b"", headers=PROTOBUF)).status_code == 200
    assert (await collector.post(path, content=b"\xff", headers=PROTOBUF)).status_code == 400


async def test_a_batch_that_is_sent_again_is_stored_once(collector: httpx2.AsyncClient) -> None:
    spans = [Sent(span=n, trace=n, attributes=chat(**{"gen_ai.response.id": f"chatcmpl-{n}"})) for n in range(1, 6)]
    for _ in range(3):
        assert (await send(collector, *spans)).status_code == 200
    assert len(await stored(collector)) == 5


async def test_a_full_queue_is_503_with_retry_after_and_loses_nothing_acknowledged(
    app: FastAPI, collector: httpx2.AsyncClient
) -> None:
    writer = app.state.running.writer
    writer._waiting = 50_000  # as if so many were waiting: the thread itself is left alone
    answer = await send(collector, Sent(attributes=chat()))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    writer._waiting = 0
    assert (await send(collector, Sent(attributes=chat()))).status_code == 200
