"""Bodies that other instrumentations really sent: every call once, with the provider's own counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from outlay.prices import PriceBook
from outlay_collector.ingest import read_batch
from outlay_collector.store.query import CallsQuery
from outlay_collector.store.schema import CALLS, REPORTS
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine, delete, func, select

from tests.collector.sending import NOW_NS, Sent, send, stored

FOLDER = Path(__file__).parents[3] / "shared" / "otlp"


def cases() -> list[Any]:
    lines = [
        json.loads(line)
        for manifest in sorted(FOLDER.glob("manifest.*.jsonl"))
        for line in manifest.read_text().splitlines()
    ]
    absent = pytest.param({}, id="none", marks=pytest.mark.skip(reason=f"no bodies beside this checkout ({FOLDER})"))
    return [pytest.param(case, id=f"{case['peer']}-{case['case']}") for case in lines] or [absent]


def true_units(true: Mapping[str, Any]) -> dict[str, int]:
    """The provider's own counts as totals: what went in (cache included), what came out, and parts of both."""
    if "cache_creation_input_tokens" in true or true.keys() == {"input_tokens", "output_tokens"}:  # Anthropic
        read, written = true.get("cache_read_input_tokens", 0), true.get("cache_creation_input_tokens", 0)
        return {
            "input_tokens": true["input_tokens"] + read + written,
            "output_tokens": true["output_tokens"],
            "cache_read_tokens": read,
            "cache_write_tokens": written,
        }
    into = true.get("prompt_tokens_details") or true.get("input_tokens_details") or {}
    return {
        "input_tokens": true.get("prompt_tokens", true.get("input_tokens", 0)),
        "output_tokens": true.get("completion_tokens", true.get("output_tokens", 0)),
        "cache_read_tokens": into.get("cached_tokens", 0),
        "cache_write_tokens": into.get("cache_write_tokens", 0),
    }


UNSAID = {"traceloop-oa_responses_web": {"cache_write_tokens"}}
"""Counts that an instrumentation leaves out of its span: nobody can read them there."""


def calls_in(body: bytes) -> int:
    """How many calls a body tells of: no instrumentation reports one twice, but several may report it."""
    request = ExportTraceServiceRequest.FromString(body)
    scopes = Counter(scope.scope.name for r in request.resource_spans for scope in r.scope_spans for _ in scope.spans)
    return max(scopes.values())


def spans_in(body: bytes) -> int:
    request = ExportTraceServiceRequest.FromString(body)
    return sum(len(scope.spans) for r in request.resource_spans for scope in r.scope_spans)


@pytest.mark.parametrize("case", cases())
def test_a_recorded_exchange_is_one_call_with_the_providers_counts(ledger: Engine, case: dict[str, Any]) -> None:
    with ledger.begin() as connection:
        connection.execute(delete(CALLS))
    store = SqlStore(ledger)
    bodies = [(FOLDER / body["file"]).read_bytes() for body in case["bodies"] if body["signal"] == "traces"]
    for body in (*bodies, *bodies):
        store.write(read_batch(body, is_json=False, book=PriceBook.bundled()).reports, NOW_NS)
    calls = store.calls(CallsQuery(limit=10))
    assert len(calls) == sum(map(calls_in, bodies))
    with ledger.connect() as connection:
        reports = connection.execute(select(func.count()).select_from(REPORTS)).scalar()
    assert reports == sum(map(spans_in, bodies))
    if case["delivered"] != "full" or case["true_usage"] is None:
        return
    true = true_units(case["true_usage"])
    for unsaid in UNSAID.get(f"{case['peer']}-{case['case']}", ()):
        del true[unsaid]
    call = calls[0]  # the latest: a body may also hold the end of a stream that was left before
    assert {name: call[name] or 0 for name in true} == true


async def test_a_call_that_failed_is_one_though_two_spans_tell_of_it_in_traces_of_their_own(
    collector: httpx2.AsyncClient,
) -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "error.type": "overloaded_error",
    }
    begin = NOW_NS - 60_000_000_000
    for n in range(3):  # three at once, each told of twice
        outer = Sent(
            trace=n + 1, span=1, scope="other", started_at_ns=begin + n, duration_ms=500, attributes=attributes
        )
        inner = Sent(
            trace=n + 11,
            span=2,
            scope="com.anthropic.sdk.python",
            started_at_ns=begin + 5 + n,
            duration_ms=400,
            attributes=attributes,
        )
        await send(collector, inner)
        await send(collector, outer)
    assert [len(call["reports"]) for call in await stored(collector)] == [2, 2, 2]
