"""Logfire tells of a streamed call twice: the request, which counts nothing, and the stream once it was left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outlay.prices import PriceBook
from outlay_collector.ingest import read_batch
from outlay_collector.store.query import UsageQuery
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine, delete
from sqlmodel import SQLModel

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, send, stored
from tests.collector.spoken import SPOKEN

BOOK = PriceBook.bundled()
BEGAN = NOW_NS - 60_000_000_000
ASKED = {"request_data": json.dumps({"model": "gpt-4o"}), "gen_ai.request.model": "gpt-4o", "gen_ai.system": "openai"}
NATIVE = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-opus-4-8",
    "gen_ai.response.id": "msg_1",
    "gen_ai.usage.input_tokens": 12,
}


def head(number: int, *, at_ms: int = 0, parent: int | None = None, trace: int | None = None, **said: Any) -> Sent:
    """The request: 100 ms until the headers came."""
    return Sent(
        trace=number if trace is None else trace,
        span=number,
        parent=parent,
        scope="logfire.openai",
        started_at_ns=BEGAN + at_ms * 1_000_000,
        attributes={**ASKED, "gen_ai.operation.name": "chat", "logfire.span_type": "span", **said},
    )


def tail(number: int, *, at_ms: int, lasted_s: float, parent: int | None = None, trace: int | None = None) -> Sent:
    """The stream: left `lasted_s` after somebody began to read it."""
    return Sent(
        trace=100 + number if trace is None else trace,
        span=100 + number,
        parent=parent,
        scope="logfire.openai",
        started_at_ns=BEGAN + at_ms * 1_000_000,
        duration_ms=0,
        attributes={
            **ASKED,
            "gen_ai.operation.name": "chat",
            "logfire.span_type": "log",
            "duration": lasted_s,
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
        },
    )


@pytest.mark.parametrize("parent", [None, 7])
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
async def test_the_request_and_its_stream_are_one_call(
    collector: httpx2.AsyncClient, parent: int | None, together: bool, reverse: bool
) -> None:
    trace = None if parent is None else 5
    spans = [head(1, parent=parent, trace=trace), tail(1, at_ms=900, lasted_s=0.7, parent=parent, trace=trace)]
    if reverse:
        spans.reverse()
    for some in [spans] if together else [[span] for span in spans]:
        await send(collector, *some)
    (call,) = await stored(collector)
    # 1000 x $2.50 + 100 x $10 for a million; from the request until the stream was left.
    assert (call["cost_usd"], call["duration_ms"], call["streamed"]) == ("0.0035", 900, True)
    assert call["span_id"] == f"{1:016x}"
    assert call["bill"]["span_id"] == f"{101:016x}"
    assert "log record" in call["bill"]["why"]


async def test_streams_that_overlap_are_paired_one_with_one(collector: httpx2.AsyncClient) -> None:
    await send(
        collector,
        head(1, at_ms=0),
        head(2, at_ms=150),
        tail(2, at_ms=900, lasted_s=0.6),
        tail(1, at_ms=950, lasted_s=0.8),
    )
    calls = await stored(collector)
    assert [call["duration_ms"] for call in calls] == [750, 950]


async def test_a_stream_of_another_model_or_long_after_is_another_call(collector: httpx2.AsyncClient) -> None:
    await send(collector, head(1, **{"gen_ai.request.model": "gpt-4o-mini"}), tail(1, at_ms=900, lasted_s=0.7))
    await send(collector, head(2, at_ms=-700_000), tail(2, at_ms=5_000, lasted_s=0.1))
    assert len(await stored(collector)) == 4


async def test_the_sdks_own_span_joins_the_stream_through_the_request(collector: httpx2.AsyncClient) -> None:
    opus = {"gen_ai.request.model": "claude-opus-4-8", "gen_ai.system": "anthropic"}
    asked = {**opus, "request_data": json.dumps({"model": "claude-opus-4-8"})}
    whole = tail(1, at_ms=900, lasted_s=0.7)
    stream = Sent(
        **{
            **{n: getattr(whole, n) for n in whole.__dataclass_fields__},
            "attributes": {
                **whole.attributes,
                **asked,
                "gen_ai.usage.raw": SPOKEN["logfire"].attributes["gen_ai.usage.raw"],
                "gen_ai.usage.input_tokens": 1012,
                "gen_ai.usage.output_tokens": 50,
            },
        }
    )
    own = Sent(trace=1, span=9, parent=1, scope="com.anthropic.sdk.python", started_at_ns=BEGAN, attributes=NATIVE)
    await send(collector, own)
    await send(collector, head(1, **asked))
    await send(collector, stream)
    (call,) = await stored(collector)
    assert len(call["reports"]) == 3


STREAMS = (
    head(1, at_ms=0),
    tail(1, at_ms=900, lasted_s=0.7),
    head(2, at_ms=2_000, parent=50, trace=9),
    tail(2, at_ms=2_900, lasted_s=0.7, parent=50, trace=9),
    head(3, at_ms=4_000, **{"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}),
)


@BOTH_BACKENDS
def test_the_bill_of_streams_does_not_depend_on_how_their_halves_arrive(engine: Engine, backend: str) -> None:
    @given(st.permutations(STREAMS), st.lists(st.sampled_from(STREAMS), max_size=3), st.integers(1, 4))
    @settings(max_examples=25 if backend == "sqlite" else 8, suppress_health_check=list(HealthCheck))
    def deliver(order: Sequence[Sent], again: Sequence[Sent], size: int) -> None:
        with engine.begin() as connection:
            for name in ("rollup_periods", "reports", "calls"):
                connection.execute(delete(SQLModel.metadata.tables[name]))
        store = SqlStore(engine)
        spans = [*order, *again]
        for start in range(0, len(spans), size):
            body = body_of(*spans[start : start + size])
            store.write(read_batch(body, is_json=False, book=BOOK).reports, NOW_NS)
        (row,) = store.usage(UsageQuery(from_ns=0, to_ns=NOW_NS))
        assert (row.calls, row.input_tokens, row.cost_nano_usd) == (3, 3000, 3 * 3_500_000)

    deliver()
