"""What is older than it is kept goes, and no figure of the past changes by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx2
import orjson
import pytest
from outlay.budgets.definition import read_budget
from outlay.errors import ConfigError
from outlay.prices import PriceBook
from outlay_collector.cli.db import app as db_command
from outlay_collector.ingest import read_batch
from outlay_collector.retention import EVERY_S, prune, pruning, would_prune
from outlay_collector.rolling import sum_up_all
from outlay_collector.settings import Retention, read_settings
from outlay_collector.store import pruning as store_pruning
from outlay_collector.store.alert_tables import ALERTS, DELIVERIES, TRANSITIONS
from outlay_collector.store.budgets import LEASES, SETTLEMENTS
from outlay_collector.store.definitions import put_definition
from outlay_collector.store.grains import DAY_NS, whole
from outlay_collector.store.query import UsageQuery, UsageRow
from outlay_collector.store.rollups import PERIODS
from outlay_collector.store.schema import CALLS, REPORTS
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.verifying import verify
from outlay_collector.store.writing import Written
from sqlalchemy import Engine, Table, func, insert, select
from typer.testing import CliRunner

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, chat, send
from tests.collector.spoiling import add_to_rollups

RETENTION = Retention(spans=timedelta(days=30), calls=timedelta(days=100))
OLD, PAST, FRESH = NOW_NS - 200 * DAY_NS, NOW_NS - 50 * DAY_NS, NOW_NS - 60_000_000_000
EVER = UsageQuery(from_ns=0, to_ns=NOW_NS, group_by=("model", "service"))


def write(engine: Engine, *sent: Sent, received_at_ns: int | None = None) -> Written:
    reports = read_batch(body_of(*sent), is_json=False, book=PriceBook.bundled()).reports
    return SqlStore(engine).write(reports, received_at_ns or sent[0].started_at_ns)


def call(trace: int, at_ns: int, **attributes: str) -> Sent:
    return Sent(trace=trace, attributes=chat(**attributes), started_at_ns=at_ns)


def rows(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def figures(engine: Engine, query: UsageQuery = EVER) -> list[UsageRow]:
    return SqlStore(engine).usage(query)


@pytest.fixture
def ledger(engine: Engine) -> Engine:
    """Two calls that are older than calls are kept, one older than spans are, and one of a minute ago."""
    for trace, at_ns in ((1, OLD), (2, OLD + 3600 * 10**9), (3, PAST), (4, FRESH)):
        write(engine, call(trace, at_ns))
    return engine


@BOTH_BACKENDS
@pytest.mark.parametrize("summed_up", [True, False])
def test_spans_and_calls_go_and_every_figure_stays(ledger: Engine, summed_up: bool) -> None:
    if summed_up:
        sum_up_all(ledger, NOW_NS)
    before = figures(ledger)
    by_hour = UsageQuery(from_ns=OLD - OLD % DAY_NS, to_ns=OLD - OLD % DAY_NS + DAY_NS, group_by=("model",))
    hours = figures(ledger, by_hour)
    assert prune(ledger, RETENTION, NOW_NS) == {"reports": 3, "calls": 2}
    assert (rows(ledger, CALLS), rows(ledger, REPORTS)) == (2, 1)
    assert figures(ledger) == before
    assert (before[0].calls, before[0].cost_nano_usd) == (4, 4 * 3_500_000)
    assert figures(ledger, by_hour) == hours
    sum_up_all(ledger, NOW_NS)
    assert figures(ledger) == before
    assert verify(ledger) == []
    assert prune(ledger, RETENTION, NOW_NS) == {}


@BOTH_BACKENDS
def test_what_comes_for_a_day_whose_calls_are_gone_is_let_go(ledger: Engine) -> None:
    prune(ledger, RETENTION, NOW_NS)
    before = figures(ledger)
    again = write(ledger, call(1, OLD), call(9, OLD + 5), call(10, FRESH), received_at_ns=NOW_NS)
    assert (again.new, again.repeated) == (1, 2)
    sum_up_all(ledger, NOW_NS)
    assert figures(ledger)[0].calls == before[0].calls + 1
    assert rows(ledger, CALLS) == 3


@BOTH_BACKENDS
def test_an_old_day_that_had_no_calls_still_takes_them(ledger: Engine) -> None:
    prune(ledger, RETENTION, NOW_NS)
    assert write(ledger, call(9, OLD + 20 * DAY_NS), received_at_ns=NOW_NS).new == 1
    assert figures(ledger)[0].calls == 5


@BOTH_BACKENDS
@pytest.mark.parametrize("attributes", [{}, {"gen_ai.response.id": "r1"}], ids=["by its span", "by its response"])
def test_a_span_sent_again_after_its_report_is_gone_is_billed_once(engine: Engine, attributes: dict[str, str]) -> None:
    write(engine, call(1, PAST, **attributes))
    prune(engine, RETENTION, NOW_NS)
    assert rows(engine, REPORTS) == 0
    assert write(engine, call(1, PAST, **attributes), received_at_ns=NOW_NS) == Written(0, 0, 1)
    assert rows(engine, CALLS) == 1


@BOTH_BACKENDS
def test_reports_that_came_late_are_kept_from_when_they_came(engine: Engine) -> None:
    write(engine, call(1, PAST), received_at_ns=NOW_NS - DAY_NS)
    assert prune(engine, RETENTION, NOW_NS) == {}


@BOTH_BACKENDS
def test_nothing_goes_that_a_budget_still_counts(ledger: Engine) -> None:
    entry = {"name": "half a year", "limit": {"usd": 5}, "period": "rolling 300d"}
    with ledger.begin() as connection:
        put_definition(connection, read_budget(entry, "test"), "api", NOW_NS)
    assert prune(ledger, RETENTION, NOW_NS) == {}


@BOTH_BACKENDS
def test_settled_leases_and_alerts_that_are_over_go_with_the_spans(engine: Engine) -> None:
    with engine.begin() as connection:
        for n, at_ns in enumerate((PAST, FRESH)):
            lease = {"id": f"l{n}", "budget": "b", "scope": "[]", "unit": "usd", "holder": "h", "starts_at_ns": 0}
            times = {"opened_at_ns": at_ns, "expires_at_ns": at_ns}
            connection.execute(insert(LEASES).values(**lease, **times, granted=5, returned=0, settled=1))
            settled = {"lease": f"l{n}", "budget": "b", "scope": "[]", "unit": "usd", "amount": 1}
            connection.execute(insert(SETTLEMENTS).values(id=f"s{n}", at_ns=at_ns, **settled))
        verdict = {"outcome": "breached", "severity": "info", "reason": "r", "unit": "usd", "group_key": "[]"}
        for rule, status in (("over", "delivered"), ("firing", "delivered"), ("untold", "pending")):
            moved = {"rule": rule, "before": "inactive", "after": "firing", "at_ns": PAST, "since_at_ns": PAST}
            added = connection.execute(insert(TRANSITIONS).values(**moved, **verdict).returning(TRANSITIONS.c.id))
            told = {"transition_id": added.scalar_one(), "channel": "c", "reminder": 0, "attempts": 1}
            connection.execute(insert(DELIVERIES).values(**told, status=status, created_at_ns=PAST, at_ns=PAST))
        connection.execute(insert(ALERTS).values(rule="firing", state="firing", since_at_ns=PAST, told=[], **verdict))
    expected = {"budget_settlements": 1, "budget_leases": 1, "alert_transitions": 1}
    assert {name: n for name, n in would_prune(engine, RETENTION, NOW_NS).items() if n} == expected
    assert prune(engine, RETENTION, NOW_NS) == expected
    assert (rows(engine, TRANSITIONS), rows(engine, DELIVERIES)) == (2, 2)


@BOTH_BACKENDS
def test_a_run_that_is_cut_goes_on_the_next_time(ledger: Engine) -> None:
    before = figures(ledger)
    assert prune(ledger, RETENTION, NOW_NS, pause=lambda _seconds: True) == {"reports": 3}
    assert figures(ledger) == before
    assert prune(ledger, RETENTION, NOW_NS) == {"calls": 2}
    assert figures(ledger) == before


@BOTH_BACKENDS
def test_sums_go_by_whole_weeks_where_somebody_says_so(ledger: Engine) -> None:
    """`OLD` is 200 days ago: its sums stay for 207 days at least, as weeks begin on Thursdays, and go after 193."""
    sum_up_all(ledger, NOW_NS)
    kept = RETENTION.model_copy(update={"rollups": timedelta(days=207)})
    before = figures(ledger)
    prune(ledger, kept, NOW_NS)
    assert figures(ledger) == before
    gone = RETENTION.model_copy(update={"rollups": timedelta(days=193)})
    expected = would_prune(ledger, gone, NOW_NS)["rollups"]
    assert prune(ledger, gone, NOW_NS) == {"rollups": expected}
    assert expected > 0
    assert [row.calls for row in figures(ledger)] == [2]
    week = UsageQuery(from_ns=OLD - 10 * DAY_NS, to_ns=OLD + 10 * DAY_NS, group_by=("user",))
    assert figures(ledger, week) == []
    assert verify(ledger) == []
    assert prune(ledger, gone, NOW_NS) == {}


@BOTH_BACKENDS
def test_what_comes_for_a_day_whose_sums_are_gone_is_let_go(ledger: Engine) -> None:
    prune(ledger, RETENTION.model_copy(update={"rollups": timedelta(days=100)}), NOW_NS)
    assert write(ledger, call(9, OLD + 5), received_at_ns=NOW_NS).new == 0
    assert write(ledger, call(9, OLD + 20 * DAY_NS), received_at_ns=NOW_NS).new == 1
    sum_up_all(ledger, NOW_NS)
    assert [row.calls for row in figures(ledger)] == [3]
    assert verify(ledger) == []


def test_verify_says_where_a_day_without_calls_is_not_its_quarters(ledger: Engine) -> None:
    prune(ledger, RETENTION, NOW_NS)
    add_to_rollups(ledger, "cost_nano_usd", 1, whole(DAY_NS))
    assert any("not the sum of its quarters" in line for line in verify(ledger))


def test_a_day_that_is_not_listed_is_not_removed(ledger: Engine) -> None:
    with ledger.begin() as connection:
        connection.execute(PERIODS.delete())
    with pytest.raises(LookupError, match="outlay db verify"):
        prune(ledger, RETENTION, NOW_NS)
    assert rows(ledger, CALLS) == 4


async def test_a_call_of_long_ago_is_still_taken_where_it_is_new(collector: httpx2.AsyncClient) -> None:
    assert (await send(collector, call(1, OLD))).status_code == 200
    usage = (await collector.get("/api/v1/usage", params={"from": "2026-01-01T00:00:00Z"})).json()
    assert usage["rows"][0]["calls"] == 1


def test_the_command_says_what_it_would_remove_and_removes_it(
    ledger: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(db_command, ["prune", *arguments, "--db", database_url], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    monkeypatch.setattr("outlay_collector.cli.db.time", SimpleNamespace(time_ns=lambda: NOW_NS))
    monkeypatch.setenv("OUTLAY_RETENTION_CALLS", "100d")
    assert orjson.loads(run("--dry-run", "--json")) == {"dry_run": True, "rows": {"reports": 3, "calls": 2}}
    assert rows(ledger, CALLS) == 4
    assert "calls" in run()
    assert rows(ledger, CALLS) == 2
    assert run().strip() == "Nothing is older than it is kept."


def test_less_than_a_day_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAY_RETENTION_SPANS", "3h")
    with pytest.raises(ConfigError, match="OUTLAY_RETENTION_SPANS"):
        read_settings()


def test_sums_are_kept_no_shorter_than_their_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAY_RETENTION_CALLS", "100d")
    monkeypatch.setenv("OUTLAY_RETENTION_ROLLUPS", "99d")
    with pytest.raises(ConfigError, match="OUTLAY_RETENTION_ROLLUPS = '99d': expected as long as calls are kept"):
        read_settings()


def test_the_job_prunes_by_itself(ledger: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlay_collector.retention.EVERY_S", 0.01)
    assert EVERY_S == 3_600
    asked: Iterator[int] = iter(range(10**9))
    with pruning(ledger, RETENTION, lambda: NOW_NS + next(asked)):
        while next(asked) < 10**6 and rows(ledger, CALLS) > 2:
            pass
    assert rows(ledger, CALLS) == 2


@BOTH_BACKENDS
async def test_a_response_id_that_comes_again_long_after_holds_nobody_up(
    engine: Engine, collector: httpx2.AsyncClient
) -> None:
    """From a stored answer, or a server that counts its ids: its call is there, and nothing is left to compare with."""
    known = {"gen_ai.response.id": "chatcmpl-A1b2C3d4E5f6G7h8I9j0K1l2"}
    write(engine, call(1, NOW_NS - 40 * DAY_NS, **known))
    assert prune(engine, RETENTION, NOW_NS) == {"reports": 1}
    for _ in range(2):
        answer = await send(collector, call(2, FRESH, **known), call(3, FRESH))
        assert (answer.status_code, answer.content) == (200, b"")
        assert rows(engine, CALLS) == 2
        assert rows(engine, REPORTS) == 1


@BOTH_BACKENDS
def test_a_call_of_an_earlier_day_that_comes_while_a_day_is_removed_stays(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(engine, call(1, OLD))
    remove = store_pruning._remove
    late = [call(2, OLD - 3 * DAY_NS)]

    def remove_while_one_comes(engine: Engine, table: Table, condition: Any) -> Iterator[tuple[str, int]]:
        if table is CALLS and late:
            assert write(engine, late.pop(), received_at_ns=NOW_NS).new == 1
        return remove(engine, table, condition)

    monkeypatch.setattr(store_pruning, "_remove", remove_while_one_comes)
    prune(engine, RETENTION, NOW_NS)
    sum_up_all(engine, NOW_NS)
    assert [row.calls for row in figures(engine)] == [2]
    assert verify(engine) == []
