"""However spans are cut into batches, in whatever order those come and however often: the same calls, billed once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outlay.prices import PriceBook
from outlay_collector.dialects.records import DETAILS
from outlay_collector.ingest import read_batch, read_logs
from outlay_collector.store.query import UsageQuery
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine, delete
from sqlmodel import SQLModel

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Logged, Sent, body_of, chat, logs_of
from tests.collector.spoken import SPOKEN

BOOK = PriceBook.bundled()
OFFICIAL = "opentelemetry.instrumentation.openai_v2"
OTHER = "opentelemetry.instrumentation.openai"
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 5000}
SPANS = (
    # An agent around two calls, the first of which two instrumentations tell of, the one inside the other.
    Sent(trace=1, span=1, attributes=AGENT),
    Sent(trace=1, span=2, parent=1, scope=OTHER, attributes=chat()),
    Sent(trace=1, span=3, parent=2, scope=OFFICIAL, attributes=chat()),
    Sent(trace=1, span=4, parent=1, scope=OTHER, attributes=chat()),
    # One call told of in two traces, known by its response id.
    Sent(trace=2, span=5, scope=OTHER, attributes=chat(**{"gen_ai.response.id": "r1"})),
    Sent(trace=3, span=6, scope=OFFICIAL, attributes=chat(**{"gen_ai.response.id": "r1"})),
    # And one that nobody else tells of.
    Sent(trace=4, span=7, attributes=chat(**{"gen_ai.response.id": "r2"})),
)
CALLS = 4


@st.composite
def deliveries(draw: st.DrawFn) -> list[Sequence[Sent]]:
    """Batches in which every span is at least once."""
    spans = draw(st.permutations(SPANS)) + draw(st.lists(st.sampled_from(SPANS), max_size=4))
    batches: list[Sequence[Sent]] = []
    while spans:
        size = draw(st.integers(1, len(spans)))
        batches.append(spans[:size])
        spans = spans[size:]
    return batches


@BOTH_BACKENDS
def test_the_bill_does_not_depend_on_how_spans_arrive(engine: Engine, backend: str) -> None:
    @given(deliveries())
    @settings(max_examples=40 if backend == "sqlite" else 10, suppress_health_check=list(HealthCheck))
    def deliver(batches: list[Sequence[Sent]]) -> None:
        with engine.begin() as connection:
            for name in ("rollup_periods", "reports", "calls"):
                connection.execute(delete(SQLModel.metadata.tables[name]))
        store = SqlStore(engine)
        for batch in batches:
            store.write(read_batch(body_of(*batch), is_json=False, book=BOOK).reports, NOW_NS)
        (row,) = store.usage(UsageQuery(from_ns=0, to_ns=NOW_NS))
        # gpt-4o: 1000 x $2.50 + 100 x $10 for a million is $0.0035 a call.
        assert (row.calls, row.input_tokens, row.cost_nano_usd) == (CALLS, CALLS * 1000, CALLS * 3_500_000)

    deliver()


def _told_by_all() -> list[Sent | Logged]:
    """Of each dialect a call, a span of the SDK inside it, and a record of the conventions' event beside it."""
    told: list[Sent | Logged] = []
    for trace, spoken in enumerate(SPOKEN.values(), 100):
        attributes = {
            name: value.replace("msg_1", f"msg_{trace}").replace("req_1", f"req_{trace}")
            if isinstance(value, str)
            else value
            for name, value in spoken.attributes.items()
        }
        at_ns = NOW_NS - trace * 1_000_000_000
        outer = Sent(
            trace=trace,
            span=1,
            scope=spoken.scope,
            name=spoken.name,
            attributes=attributes,
            events=spoken.events,
            started_at_ns=at_ns,
        )
        (report,) = read_batch(body_of(outer), is_json=False, book=BOOK).reports
        inner = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": spoken.provider}
        if report.call.response_id:
            inner["gen_ai.response.id"] = report.call.response_id
        told += [
            outer,
            Sent(trace=trace, span=2, parent=1, scope="inner", attributes=inner, started_at_ns=at_ns),
            Logged(event=DETAILS, trace=trace, span=1, attributes={**inner, "gen_ai.usage.input_tokens": 7}),
        ]
    return told


TOLD = _told_by_all()


@BOTH_BACKENDS
def test_the_bill_of_every_dialect_does_not_depend_on_how_spans_and_records_arrive(
    engine: Engine, backend: str
) -> None:
    @given(st.permutations(TOLD), st.lists(st.sampled_from(TOLD), max_size=5), st.integers(3, 40))
    @settings(max_examples=6 if backend == "sqlite" else 2, suppress_health_check=list(HealthCheck))
    def deliver(order: list[Sent | Logged], again: list[Sent | Logged], size: int) -> None:
        with engine.begin() as connection:
            for name in ("rollup_periods", "reports", "calls"):
                connection.execute(delete(SQLModel.metadata.tables[name]))
        store, everything = SqlStore(engine), [*order, *again]
        for start in range(0, len(everything), size):
            some = everything[start : start + size]
            spans, records = [s for s in some if isinstance(s, Sent)], [r for r in some if isinstance(r, Logged)]
            store.write(read_batch(body_of(*spans), is_json=False, book=BOOK).reports, NOW_NS)
            logs = logs_of(*records).SerializeToString()
            store.write(read_logs(logs, is_json=False, book=BOOK).reports, NOW_NS)
        (row,) = store.usage(UsageQuery(from_ns=0, to_ns=NOW_NS))
        assert (row.calls, row.input_tokens) == (len(SPOKEN), sum(s.said["input_tokens"] or 0 for s in SPOKEN.values()))

    deliver()


@pytest.mark.parametrize("times", [1, 3])
def test_what_was_stored_already_is_counted_as_repeated(engine: Engine, times: int) -> None:
    store, reports = SqlStore(engine), read_batch(body_of(*SPANS), is_json=False, book=BOOK).reports
    written = [store.write(reports, NOW_NS) for _ in range(times)]
    assert sum(each.new for each in written) == CALLS
    assert sum(each.repeated for each in written) == (times - 1) * len(reports)
