"""Whatever bytes or JSON are sent: calls, or a client's error that says so."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from outlay.prices import PriceBook
from outlay_collector.billing import Report
from outlay_collector.dialects.records import EVENTS
from outlay_collector.dialects.registry import DIALECTS
from outlay_collector.ingest import read_batch, read_logs
from outlay_collector.otlp.span import BadBody
from outlay_collector.store.rows import COLUMNS, columns_of

from tests.collector.sending import (
    NOW_NS,
    PROTOBUF,
    Logged,
    Sent,
    body_of,
    chat,
    logs_of,
)

BOOK = PriceBook.bundled()
NAMES = sorted(
    {key for dialect in DIALECTS for key in dialect.keys} | {"outlay.tag.x", "outlay.ratelimit.tokens.limit"}
)


COUNTED = [
    *(
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input",
        "output",
        "total",
    ),
    *("cache_read_input_tokens", "cache_creation", "prompt_tokens_details", "promptTokenCount", "usage", "anthropic"),
    *(
        "server_tool_use",
        "model",
        "id",
        "generations",
        "service_tier",
        "cost",
        "is_byok",
        "google",
        "response_metadata",
    ),
]
numbers = st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3) | st.booleans()


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(COUNTED), inner, max_size=3)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["LLM", "chat", "", "\0", "-1", "9" * 40, '{"input": -1}', '{"input": 1e999}', "[" * 50, "NaN"])
    | st.sampled_from(["generation", "CHAT_MODEL", "llm", "ai.generateText.doGenerate", "log", "response.completed"])
    | st.builds(json.dumps, st.dictionaries(st.sampled_from(COUNTED), st.recursive(numbers, objects, max_leaves=4)))
    | st.builds(str, st.dictionaries(st.sampled_from(COUNTED), numbers))
    | st.sampled_from(["{" * 4000, "{'a': " * 200 + "1" + "}" * 200, "{'a': 1j}", "{1: ()}", '{"usage": 7}', "{'a':b}"])
)
wire_values = st.recursive(
    st.one_of(
        st.builds(lambda v: {"stringValue": v}, scalars),
        st.builds(lambda v: {"intValue": v}, scalars),
        st.builds(lambda v: {"doubleValue": v}, scalars),
        st.builds(lambda v: {"boolValue": v}, scalars),
        scalars,
    ),
    lambda inner: (
        st.builds(lambda v: {"arrayValue": {"values": v}}, st.lists(inner, max_size=3))
        | st.builds(lambda v: {"kvlistValue": {"values": [{"key": "k", "value": v}]}}, inner)
    ),
    max_leaves=6,
)
attributes = st.lists(st.builds(lambda k, v: {"key": k, "value": v}, st.sampled_from(NAMES), wire_values), max_size=12)
spans = st.fixed_dictionaries(
    {
        "traceId": st.just("a" * 32) | scalars,
        "spanId": st.just("b" * 16) | scalars,
        "startTimeUnixNano": st.just(str(NOW_NS)) | scalars,
        "endTimeUnixNano": st.just(str(NOW_NS + 5)) | scalars,
        "attributes": attributes | scalars,
        "status": st.just({"code": 2}) | scalars,
        "kind": scalars,
        "events": st.just([{"name": "exception", "attributes": [{"key": "exception.type", "value": 7}]}]) | scalars,
        "parentSpanId": scalars,
    }
)
scopes = (
    st.sampled_from(
        ["outlay", "com.anthropic.sdk.python", "openlit.instrumentation.openai", "litellm", "logfire.openai"]
    )
    | scalars
)
records = st.fixed_dictionaries(
    {
        "eventName": st.sampled_from(sorted(EVENTS)) | scalars,
        "timeUnixNano": st.just(str(NOW_NS)) | scalars,
        "observedTimeUnixNano": scalars,
        "traceId": st.just("a" * 32) | scalars,
        "spanId": st.just("b" * 16) | scalars,
        "attributes": attributes | scalars,
        "body": wire_values,
    }
)


def document(span: Any, scope: Any = "") -> bytes:
    scoped = {"scope": {"name": scope}, "spans": [span]}
    return json.dumps({"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [scoped]}]}).encode()


def records_in(body: bytes, *, is_json: bool) -> Sequence[Report]:
    try:
        return read_logs(body, is_json=is_json, book=BOOK).reports
    except BadBody:
        return ()


def calls_in(body: bytes, *, is_json: bool) -> Sequence[Report]:
    """The calls of a body, none where it is refused; anything but a refusal is the test's failure."""
    try:
        return read_batch(body, is_json=is_json, book=BOOK).reports
    except BadBody:
        return ()


@given(span=spans | scalars, scope=scopes)
@settings(max_examples=300)
def test_any_json_is_calls_or_a_reason(span: Any, scope: Any) -> None:
    for report in calls_in(document(span, scope), is_json=True):
        assert tuple(columns_of(report, NOW_NS)) == COLUMNS


@given(record=records | scalars, scope=scopes)
@settings(max_examples=300)
def test_any_json_of_logs_is_calls_or_a_reason(record: Any, scope: Any) -> None:
    scoped = {"scope": {"name": scope}, "logRecords": [record]}
    body = json.dumps({"resourceLogs": [{"resource": scope, "scopeLogs": [scoped]}]}).encode()
    for report in records_in(body, is_json=True):
        assert tuple(columns_of(report, NOW_NS)) == COLUMNS


@given(st.binary(max_size=200))
@example(b"")
def test_any_bytes_of_logs_are_calls_or_a_reason(body: bytes) -> None:
    records_in(body, is_json=False)
    records_in(body, is_json=True)


@given(st.data())
def test_a_body_of_logs_that_was_cut_or_damaged_is_calls_or_a_reason(data: st.DataObject) -> None:
    said = {"model": "claude-opus-4-8", "input_tokens": 1, "output_tokens": 2, "duration_ms": 3}
    event = Logged(event="claude_code.api_request", attributes=said, trace=1, span=1)
    body = bytearray(logs_of(event, event).SerializeToString())
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    for report in records_in(bytes(body[: data.draw(st.integers(0, len(body)))]), is_json=False):
        assert tuple(columns_of(report, NOW_NS)) == COLUMNS


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/v1/metrics"])
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff" * 9, PROTOBUF, 400),
        (b"{", {"content-type": "application/json"}, 400),
        (b"[" * 100_000, {"content-type": "application/json"}, 400),
        (b"", {"content-type": "text/plain"}, 415),
        (gzip.compress(b"\0" * (17 * 1024 * 1024)), {**PROTOBUF, "content-encoding": "gzip"}, 413),
        (gzip.compress(b"")[:-4], {**PROTOBUF, "content-encoding": "gzip"}, 400),
        (b"", {**PROTOBUF, "content-encoding": "br"}, 415),
        (b"", PROTOBUF, 200),
    ],
    ids=["protobuf", "json", "deep", "type", "bomb", "gzip-cut", "encoding", "empty"],
)
async def test_every_signal_is_answered_as_otlp_asks(
    collector: httpx2.AsyncClient, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert (await collector.post(path, content=body, headers=headers)).status_code == status


@given(st.binary(max_size=200))
@example(b"")
def test_any_bytes_are_calls_or_a_reason(body: bytes) -> None:
    calls_in(body, is_json=False)


@given(st.data())
def test_a_body_that_was_cut_or_damaged_is_calls_or_a_reason(data: st.DataObject) -> None:
    body = bytearray(body_of(Sent(attributes=chat()), Sent(span=2, attributes=chat())))
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    calls_in(bytes(body[: data.draw(st.integers(0, len(body)))]), is_json=False)


async def test_json_nested_without_end_is_refused(collector: httpx2.AsyncClient) -> None:
    body = b'{"resourceSpans":' + b"[" * 200_000
    answer = await collector.post("/v1/traces", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


async def test_a_bomb_is_refused_without_being_inflated(collector: httpx2.AsyncClient) -> None:
    bomb = gzip.compress(b"\0" * 100_000_000, 9)
    answer = await collector.post("/v1/traces", content=bomb, headers={**PROTOBUF, "content-encoding": "gzip"})
    assert answer.status_code == 413
