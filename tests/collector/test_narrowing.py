"""Lists of calls: wherever they are looked for, they are the same calls in the same order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outlay.prices import PriceBook
from outlay_collector.ingest import read_batch
from outlay_collector.periods import to_ns
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.grains import DAY_NS, HOUR_NS
from outlay_collector.store.query import CallsQuery
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.summing import Fewest
from sqlalchemy import Connection, Engine, delete, event
from sqlmodel import SQLModel

from tests.collector.fewest import ANY, FEW
from tests.collector.sending import BOTH_BACKENDS, Sent, body_of, chat

BOOK = PriceBook.bundled()
BEGIN = to_ns(datetime(2026, 11, 14, tzinfo=UTC))
LATER = BEGIN + 9 * DAY_NS
NAMES = {"user": ("ann", "ben"), "tenant": ("acme", "zeta"), "feature": ("chat", "draft"), "status": ("ok", "error")}


def sent(n: int, at_s: int, user: str, tenant: str, feature: str, status: str) -> Sent:
    said = {"user.id": user, "outlay.tenant": tenant, "outlay.feature": feature, "gen_ai.response.id": f"r{n}"}
    began = BEGIN + at_s * 1_000_000_000
    return Sent(trace=n, span=n, started_at_ns=began, failed=status == "error", attributes=chat(**said))


def write(engine: Engine, *some: Sent) -> None:
    SqlStore(engine).write(list(read_batch(body_of(*some), is_json=False, book=BOOK).reports), LATER)


def pages(engine: Engine, filters: Mapping[str, Sequence[str]], limit: int) -> list[list[str]]:
    """All of them, page by page."""
    found: list[list[str]] = []
    before = None
    while len(page := SqlStore(engine).calls(CallsQuery(limit=limit, before=before, filters=filters))) == limit:
        found.append([call["bill_key"] for call in page])
        before = page[-1]["started_at_ns"], page[-1]["id"]
    return [*found, [call["bill_key"] for call in page]]


@given(
    st.lists(
        st.builds(
            sent,
            st.integers(1, 500),
            st.integers(0, 4 * 24).map(lambda hours: hours * 3_600 + 30),
            *(st.sampled_from(names) for names in NAMES.values()),
        ),
        unique_by=lambda one: one.trace,
        max_size=40,
    ),
    st.sampled_from([ANY, FEW]),
    st.lists(
        st.fixed_dictionaries(
            {}, optional={name: st.sampled_from(names).map(lambda n: (n,)) for name, names in NAMES.items()}
        ),
        min_size=6,
        max_size=10,
    ),
    st.integers(1, 6),
)
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_every_page_has_the_calls_that_are_next(
    ledger: Engine, calls: list[Sent], fewest: Fewest, asked: list[Mapping[str, Sequence[str]]], limit: int
) -> None:
    with ledger.begin() as connection:
        for name in ("rollups", "rollup_periods", "reports", "calls"):
            connection.execute(delete(SQLModel.metadata.tables[name]))
    write(ledger, *calls)
    sum_up_all(ledger, LATER, fewest=fewest)
    everything = SqlStore(ledger).calls(CallsQuery(limit=1_000))
    for filters in asked:
        wanted = [c["bill_key"] for c in everything if all(c[name] in values for name, values in filters.items())]
        found = pages(ledger, filters, limit)
        assert [key for page in found for key in page] == wanted


@BOTH_BACKENDS
def test_failed_calls_are_looked_for_among_failed_calls(engine: Engine) -> None:
    names = [("ann", "acme", "chat"), ("ben", "zeta", "draft")]
    write(engine, *(sent(n, n, *names[n % 2], "error" if n % 5 == 0 else "ok") for n in range(1, 101)))
    said: list[str] = []

    def note(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    found = pages(engine, {"status": ("error",), "tenant": ("acme",)}, 4)
    event.remove(engine, "before_cursor_execute", note)
    assert found == [
        [f"openai:r{n}" for n in (100, 90, 80, 70)],
        [f"openai:r{n}" for n in (60, 50, 40, 30)],
        ["openai:r20", "openai:r10"],
    ]
    assert not any("rollups" in statement for statement in said)
    assert any("status = 'error'" in statement for statement in said)


def test_calls_are_found_where_ids_are_too_wide_for_the_beginning_of_a_block(ledger: Engine) -> None:
    with ledger.begin() as connection:
        for name in ("rollups", "rollup_periods", "reports", "calls", "rollup_names"):
            connection.execute(delete(SQLModel.metadata.tables[name]))
        connection.exec_driver_sql("INSERT INTO rollup_names (id, name) VALUES (5000000000, 'before all others')")
    write(ledger, *(sent(n, 30 + n * 3_600, "ann", f"tenant-{n % 2}", f"feature-{n % 3}", "ok") for n in range(12)))
    sum_up_all(ledger, LATER, fewest=ANY)
    found = pages(ledger, {"tenant": ["tenant-1"], "feature": ["feature-2"]}, 5)
    assert found == [["openai:r11", "openai:r5"]]


@BOTH_BACKENDS
def test_a_quarter_is_looked_through_from_its_end_and_no_further_than_there_are_enough(engine: Engine) -> None:
    names = {1: "seldom", 150: "seldom"}
    write(engine, *(sent(n, 3 * n, "ann", "acme", names.get(n, ("chat", "draft")[n % 2]), "ok") for n in range(1, 299)))
    found = pages(engine, {"feature": ("chat",)}, 20)
    assert [len(page) for page in found] == [20] * 7 + [8]
    assert [key for page in found for key in page] == [f"openai:r{n}" for n in range(298, 0, -2) if n != 150]
    said: list[str] = []

    def note(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        said.extend([statement] if "cost_lines" in statement else [])

    event.listen(engine, "before_cursor_execute", note)
    newest = SqlStore(engine).calls(CallsQuery(limit=3, filters={"feature": ("chat",)}))
    assert [call["bill_key"] for call in newest] == ["openai:r298", "openai:r296", "openai:r294"]
    assert len(said) == 1  # the last 15 seconds
    said.clear()
    seldom = SqlStore(engine).calls(CallsQuery(limit=3, filters={"feature": ("seldom",)}))
    event.remove(engine, "before_cursor_execute", note)
    assert [call["bill_key"] for call in seldom] == ["openai:r150", "openai:r1"]
    assert len(said) == 4  # 15 seconds, a minute, four minutes, and what is left


def test_where_few_calls_are_summed_up_long_ranges_are_looked_through_at_once(engine: Engine) -> None:
    hourly = [sent(n, n * 3_600, "ann", "acme", ("chat", "draft")[n % 5 == 0], "ok") for n in range(1, 101)]
    write(engine, *hourly)
    sum_up_all(engine, LATER)
    statements: list[str] = []

    def note(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    assert len(SqlStore(engine).calls(CallsQuery(limit=50, filters={"feature": ["draft"]}))) == 20
    assert sum("FROM calls" in statement or "JOIN calls" in statement for statement in statements) < 12


def test_what_is_summed_up_and_has_no_such_calls_is_not_looked_through(engine: Engine) -> None:
    write(engine, *(sent(n + 1, n * 60, "ann", "acme", "chat", "ok") for n in range(4 * 24 * 60)))
    sum_up_all(engine, BEGIN + 3 * DAY_NS)
    looked_at: list[int] = []

    def note(_connection: Connection, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if "bill_key" in statement:
            looked_at.extend(int(time) for time in re.findall(r"\d{19}", f"{statement} {parameters}"))

    event.listen(engine, "before_cursor_execute", note)
    assert SqlStore(engine).calls(CallsQuery(limit=50, filters={"feature": ["draft"]})) == []
    assert looked_at
    assert min(looked_at) >= BEGIN + 3 * DAY_NS - HOUR_NS
