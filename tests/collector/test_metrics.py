"""/metrics: what Prometheus' own parser reads in it, and that it is what happened."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from outlay.prices import PriceBook
from outlay_collector.app import create_app
from outlay_collector.ingest import read_batch
from outlay_collector.ledger_metrics import FRESH_S, MOST_GROUPS, LedgerMetrics, capped
from outlay_collector.metrics import FAMILIES, Metrics
from outlay_collector.security import make_key
from outlay_collector.settings import Alerts, Settings, Store
from outlay_collector.store.condition import rollup_lag_s
from outlay_collector.store.engine import reading
from outlay_collector.store.keys import add_key
from outlay_collector.store.query import Percentiles, UsageRow
from outlay_collector.store.sql import SqlStore
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, PROTOBUF, Sent, body_of, chat, send
from tests.waiting import until

HOUR_NS = 3_600_000_000_000


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """By name and labels, as Prometheus reads them."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scraped(client: httpx2.AsyncClient, **headers: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = await client.get("/metrics", headers=headers)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(answer.text)


def of(read: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    return read[name, frozenset(labels.items())]


async def test_every_family_has_its_help_its_kind_and_a_name_prometheus_takes(collector: httpx2.AsyncClient) -> None:
    families = {
        family.name: family for family in text_string_to_metric_families((await collector.get("/metrics")).text)
    }
    assert set(families) == {name.removesuffix("_total") for name in FAMILIES}
    for name, family in FAMILIES.items():
        read = families[name.removesuffix("_total")]
        assert (read.type, read.documentation) == (family.kind, family.help)
        assert name.endswith("_total") == (family.kind == "counter")


@BOTH_BACKENDS
async def test_what_was_sent_stored_and_spent_is_counted(app: FastAPI, collector: httpx2.AsyncClient) -> None:
    said = chat(**{"outlay.feature": 'say "hi"\\\n'})
    unknown = {**said, "gen_ai.request.model": "zeta-9", "gen_ai.response.model": "zeta-9"}
    body = body_of(Sent(span=1, attributes=said), Sent(span=2, trace=2, attributes=said))
    for _ in range(2):
        await collector.post("/v1/traces", content=body, headers=PROTOBUF)
    last_month = NOW_NS - 22 * 24 * HOUR_NS
    await send(collector, Sent(span=3, trace=3, attributes=unknown), Sent(span=4, trace=4, duration_ms=-1))
    await send(collector, Sent(span=5, trace=5, attributes=said, started_at_ns=NOW_NS - 30 * HOUR_NS))
    await send(collector, Sent(span=6, trace=6, attributes=said, started_at_ns=last_month))
    await collector.post("/v1/traces", content=b"\xff", headers=PROTOBUF)
    await collector.post("/v1/logs", content=b"", headers={"content-type": "text/plain"})
    until(lambda: not app.state.running.writer.waiting, "the writer's own count, made after its answer")
    read = await scraped(collector)

    taken = {"transport": "http", "signal": "traces"}
    assert of(read, "outlay_requests_total", **taken, answer="accepted") == 5
    assert of(read, "outlay_requests_total", **taken, answer="malformed") == 1
    assert of(read, "outlay_requests_total", transport="http", signal="logs", answer="unknown_type") == 1
    assert of(read, "outlay_received_bytes_total", transport="http") > 2 * len(body)
    assert of(read, "outlay_spans_received_total") == 7
    assert of(read, "outlay_spans_rejected_total") == 1
    assert of(read, "outlay_unpriced_reports_total") == 1
    assert of(read, "outlay_calls_stored_total") == 5
    assert of(read, "outlay_reports_repeated_total") == 2
    assert of(read, "outlay_commit_seconds_count") == 5
    assert of(read, "outlay_commit_seconds_bucket", le="+Inf") == 5
    assert of(read, "outlay_reports_waiting") == 0
    assert of(read, "outlay_reports_waiting_limit") == 50_000
    assert of(read, "outlay_ready", reason="") == 1
    # Each chat costs $0.0035: two of today, one of yesterday; the one of October is in neither.
    group = {"provider": "openai", "model": "gpt-4o-2024-08-06", "feature": 'say "hi"\\\n'}
    assert of(read, "outlay_spend_usd", **group, period="day") == 0.007
    assert of(read, "outlay_spend_usd", **group, period="month") == 0.0105
    assert of(read, "outlay_calls", **group, period="month") == 3
    zeta = {"provider": "openai", "model": "zeta-9", "feature": 'say "hi"\\\n', "period": "day"}
    assert of(read, "outlay_unpriced_calls", **zeta) == 1
    assert ("outlay_spend_usd", frozenset(zeta.items())) not in read
    assert of(read, "outlay_database_bytes") > 0
    assert of(read, "outlay_ledger_measured_timestamp_seconds") == NOW_NS / 1e9


async def test_requests_turned_away_for_their_key_are_counted(engine: Engine, collector: httpx2.AsyncClient) -> None:
    key, row = make_key("test", "read", NOW_NS)
    with engine.begin() as connection:
        add_key(connection, row)
    await collector.post("/v1/traces", headers=PROTOBUF)
    await collector.post("/v1/traces", headers={**PROTOBUF, "authorization": f"Bearer {key}"})
    read = await scraped(collector, authorization=f"Bearer {key}")
    for answer in ("unauthorized", "forbidden"):
        assert of(read, "outlay_requests_total", transport="http", signal="traces", answer=answer) == 1


async def test_a_path_nobody_has_adds_no_series(engine: Engine, collector: httpx2.AsyncClient) -> None:
    key, row = make_key("test", "read", NOW_NS)
    with engine.begin() as connection:
        add_key(connection, row)
    await collector.post("/v1/anything")
    read = await scraped(collector, authorization=f"Bearer {key}")
    assert not [labels for name, labels in read if name == "outlay_requests_total"]


def test_commits_fall_into_the_bucket_that_holds_them() -> None:
    metrics = Metrics()
    for seconds in (0.005, 0.006, 0.3, 31.0):
        metrics.observe("outlay_commit_seconds", seconds)
    read = samples(metrics.text())
    assert of(read, "outlay_commit_seconds_bucket", le="0.005") == 1
    assert of(read, "outlay_commit_seconds_bucket", le="0.01") == 2
    assert of(read, "outlay_commit_seconds_bucket", le="0.5") == 3
    assert of(read, "outlay_commit_seconds_bucket", le="30") == 3
    assert of(read, "outlay_commit_seconds_bucket", le="+Inf") == 4
    assert of(read, "outlay_commit_seconds_sum") == pytest.approx(31.311)


def row(feature: str, cost_nano_usd: int | None) -> UsageRow:
    return UsageRow(
        bucket=None, group=("openai", "gpt-4o", feature), calls=1, errors=0, auth_failures=0, rate_limited=0, retries=0,
        input_tokens=None, output_tokens=None, cache_read_tokens=None, cache_write_tokens=None, reasoning_tokens=None,
        cost_nano_usd=cost_nano_usd, avoided_nano_usd=0, unpriced_calls=int(cost_nano_usd is None),
        latency_ms=Percentiles(), ttft_ms=Percentiles(),
    )  # fmt: skip


def test_what_costs_the_least_is_summed_under_other() -> None:
    groups = capped([row(f"f{n}", n) for n in range(MOST_GROUPS + 3)] + [row("unpriced", None)])
    assert len(groups) == MOST_GROUPS + 1
    assert sorted(r.group[2] or "" for r in groups["other", "other", "other"]) == ["f0", "f1", "f2", "unpriced"]
    assert len(groups["openai", "gpt-4o", "f3"]) == 1


def test_the_ledger_is_measured_once_however_often_it_is_scraped(app: FastAPI, engine: Engine) -> None:
    clock, asked = [0.0], []

    class Asked:
        def usage(self, query: object) -> list[UsageRow]:
            asked.append(query)
            return []

    ledger = LedgerMetrics(Metrics(), Asked(), engine, lambda: NOW_NS, lambda: clock[0])  # type: ignore[arg-type]  # asks no more
    ledger.measure()
    clock[0] = FRESH_S - 1
    ledger.measure()
    assert len(asked) == 2  # the day and the month
    clock[0] = FRESH_S
    ledger.measure()
    assert len(asked) == 4


@BOTH_BACKENDS
def test_rollups_that_are_behind_say_by_how_much(engine: Engine) -> None:
    with reading(engine) as connection:
        assert rollup_lag_s(connection, NOW_NS) == 0
    body = body_of(Sent(attributes=chat(), started_at_ns=NOW_NS - 2 * HOUR_NS + 1))
    SqlStore(engine).write(read_batch(body, is_json=False, book=PriceBook.bundled()).reports, NOW_NS)
    with reading(engine) as connection:
        assert rollup_lag_s(connection, NOW_NS) == 105 * 60  # its quarter ended 10:15


async def test_a_database_that_is_away_leaves_the_other_figures(database_url: str) -> None:
    quiet = Settings(store=Store(url=database_url), alerts=Alerts(enabled=False))  # whose look would make the file anew
    app = create_app(quiet, clock=lambda: NOW_NS)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://collector") as client,
    ):
        engine, keys = app.state.running.engine, app.state.running.keys
        assert keys.admit(None, "read")
        database, away, nowhere = (Path(f"{engine.url.database}{name}") for name in ("", ".away", ".nowhere"))
        away.hardlink_to(database)
        nowhere.symlink_to(database.parent / "no folder" / database.name)
        nowhere.replace(database)  # at once: who works beside the requests would make the file anew
        engine.dispose()
        read = await scraped(client)
        assert of(read, "outlay_ready", reason="database_unavailable") == 0
        assert of(read, "outlay_ledger_measured_timestamp_seconds") == 0
        away.replace(database)
