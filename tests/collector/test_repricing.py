"""History priced again: what changes, what does not, and what is kept of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from outlay.model import Call, Cost, CostStatus, ResponseCache, Usage
from outlay.prices import nano_usd
from outlay_collector.billing import Report, Source
from outlay_collector.cli import app as cli
from outlay_collector.periods import rfc3339
from outlay_collector.store.engine import reading
from outlay_collector.store.repricings import read_first_cost
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.verifying import verify
from sqlalchemy import Engine
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tests.collector.sending import BOTH_BACKENDS, NOW_NS

NOON = int(datetime(2026, 6, 15, 12, tzinfo=UTC).timestamp()) * 10**9
WINDOW = {"from": "2026-06-15T00:00:00Z", "to": "2026-06-16T00:00:00Z"}
TWO_DOLLARS = Cost(nano_usd=2_000_000_000, status=CostStatus.EXACT, price_id="openai/gpt-4o#old")
ENTRY = {"provider": "openai", "model": "gpt-4o", "input": 3}


def report(number: int, cost: Cost = TWO_DOLLARS, **changes: Any) -> Report:
    """A call with a million tokens in, at noon and `number` seconds."""
    said: dict[str, Any] = {
        "provider": "openai",
        "operation": "chat",
        "model_requested": "gpt-4o",
        "model_served": "gpt-4o",
        "started_at_ns": NOON + number * 10**9,
        "ended_at_ns": NOON + number * 10**9 + 1,
        "response_id": f"r{number}",
        "usage": Usage({"input": 1_000_000}),
        "cost": cost,
    }
    return Report(
        call=Call(**{**said, **changes}),
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        parent_span_id=None,
        dialect="outlay",
        scope="outlay@1",
        source=Source.OUTLAY,
    )


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


def store(engine: Engine, *reports: Report) -> None:
    SqlStore(engine).write(reports, max(report.call.ended_at_ns for report in reports))


def spend(client: TestClient) -> tuple[str | None, int]:
    (row,) = client.get("/api/v1/usage", params=WINDOW).json()["rows"]
    return row["cost_usd"], row["unpriced_calls"]


def spent(client: TestClient) -> str:
    (budget,) = client.get("/api/v1/budgets").json()["budgets"]
    return str(budget["spent_usd"])


def calls(client: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/v1/calls", params=WINDOW).json()["calls"]
    return found


@BOTH_BACKENDS
def test_calls_get_the_price_that_held_when_they_were_made(engine: Engine, client: TestClient) -> None:
    store(engine, report(1), report(2, Cost.unpriced("no price for openai/gpt-4o")))

    done = client.post("/api/v1/repricings", json=WINDOW).json()

    assert (done["calls"], done["changed"]) == (2, 2)
    assert (done["before_usd"], done["unpriced_before"]) == ("2", 1)
    assert (done["after_usd"], done["unpriced_after"]) == ("5", 0)
    assert done["rows"] == [
        {
            "day": "2026-06-15",
            "provider": "openai",
            "model": "gpt-4o",
            "calls": 2,
            "changed": 2,
            "before_usd": "2",
            "after_usd": "5",
            "unpriced_before": 1,
            "unpriced_after": 0,
        }
    ]
    assert spend(client) == ("5", 0)
    assert {call["cost_usd"] for call in calls(client)} == {"2.5"}


@BOTH_BACKENDS
def test_budgets_and_rollups_follow_the_calls(engine: Engine, client: TestClient) -> None:
    store(engine, report(1, started_at_ns=NOW_NS - 10**9, ended_at_ns=NOW_NS))
    client.put("/api/v1/budgets/daily", json={"limit": {"usd": 100}, "period": "day"})
    assert spent(client) == "2"

    client.post("/api/v1/repricings", json={"from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z"})

    assert spent(client) == "2.5"
    assert verify(engine) == []


@BOTH_BACKENDS
def test_every_amount_survives_the_database_and_json(engine: Engine, client: TestClient) -> None:
    amounts = (0, 1, 10**9 - 1, 2**53 + 1, 9 * 10**18)
    costs = [Cost(nano_usd=amount, status=CostStatus.EXACT) for amount in amounts]
    store(engine, *(report(number, cost, usage=None) for number, cost in enumerate(costs)))

    texts = [call["cost_usd"] for call in reversed(calls(client))]

    assert texts == ["0", "0.000000001", "0.999999999", "9007199.254740993", "9000000000"]
    assert [nano_usd(Decimal(text)) for text in texts] == list(amounts)
    assert spend(client) == ("9009007200.254740993", 0)


def test_a_dry_run_says_the_same_and_changes_nothing(engine: Engine, client: TestClient) -> None:
    store(engine, report(1))

    dry = client.post("/api/v1/repricings", json={**WINDOW, "dry_run": True}).json()

    assert spend(client) == ("2", 0)
    assert client.get("/api/v1/repricings").json() == {"repricings": []}
    wet = client.post("/api/v1/repricings", json=WINDOW).json()
    assert {**wet, "id": None, "dry_run": True} == dry


@BOTH_BACKENDS
def test_repricing_twice_is_repricing_once(engine: Engine, client: TestClient) -> None:
    store(engine, *(report(number) for number in range(1, 20)))

    client.post("/api/v1/repricings", json=WINDOW)
    once = calls(client)
    again = client.post("/api/v1/repricings", json=WINDOW).json()

    assert again["changed"] == 0
    assert calls(client) == once


def test_the_first_cost_of_a_call_is_kept_beside_every_later_one(engine: Engine, client: TestClient) -> None:
    store(engine, report(1))

    client.post("/api/v1/repricings", json=WINDOW)
    client.post("/api/v1/repricings", json={**WINDOW, "prices": [ENTRY]})

    with reading(engine) as connection:
        first = read_first_cost(connection, 1)
    assert first is not None
    assert (first.before_nano_usd, first.before_status, first.before_price_id) == (
        2_000_000_000,
        "exact",
        "openai/gpt-4o#old",
    )
    assert spend(client) == ("3", 0)


def test_every_run_leaves_a_row_of_what_it_did(engine: Engine, client: TestClient) -> None:
    store(engine, report(1), report(2))

    client.post("/api/v1/repricings", json={**WINDOW, "model": "gpt-4o"})

    (run,) = client.get("/api/v1/repricings").json()["repricings"]
    assert (run["at"], run["from"], run["to"]) == (rfc3339(NOW_NS), WINDOW["from"], WINDOW["to"])
    assert (run["model"], run["calls"], run["changed"]) == ("gpt-4o", 2, 2)
    assert (run["changed_before_usd"], run["changed_after_usd"]) == ("4", "5")
    assert re.match(r"checked \d{4}-\d\d-\d\d, ", run["book"])


@pytest.mark.parametrize(
    "left",
    [
        report(1, model_served="gpt-4.1", model_requested="gpt-4.1"),
        report(-86_400),
        report(86_400),
        report(1, usage=None),
        report(1, Cost(nano_usd=2_000_000_000, status=CostStatus.PROVIDER_REPORTED)),
        report(1, response_cache=ResponseCache.HIT),
    ],
    ids=["another model", "the day before", "the day after", "no counts", "the provider's own cost", "a cache hit"],
)
def test_calls_that_were_not_asked_for_or_have_nothing_to_price_stay_as_they_are(
    engine: Engine, client: TestClient, left: Report
) -> None:
    store(engine, left)

    done = client.post("/api/v1/repricings", json={**WINDOW, "model": "gpt-4o"}).json()

    assert done["changed"] == 0
    everything = client.get("/api/v1/calls", params={"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"})
    assert [call["cost_usd"] for call in everything.json()["calls"]] == ["2"]


@BOTH_BACKENDS
def test_a_late_report_does_not_bring_the_old_cost_back(engine: Engine, client: TestClient) -> None:
    def also(number: int, source: Source) -> Report:
        one = report(1)
        return Report(
            call=one.call,
            trace_id=f"{number:032x}",
            span_id=f"{number:016x}",
            parent_span_id=None,
            dialect="genai",
            scope=f"scope-{number}",
            source=source,
        )

    store(engine, report(1), also(2, Source.OFFICIAL))
    client.post("/api/v1/repricings", json=WINDOW)

    store(engine, also(3, Source.OTHER))

    assert spend(client) == ("2.5", 0)


def test_entries_of_ones_own_can_be_given(engine: Engine, client: TestClient) -> None:
    store(engine, report(1))

    assert client.post("/api/v1/repricings", json={**WINDOW, "prices": [ENTRY]}).json()["after_usd"] == "3"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**WINDOW, "prices": [{**ENTRY, "input": "x"}]}, "price[0].input"),
        ({"from": WINDOW["to"], "to": WINDOW["from"]}, "from"),
        ({"from": "0001-01-01T00:00:00Z", "to": WINDOW["to"]}, "from"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_field(client: TestClient, body: dict[str, Any], field: str) -> None:
    answer = client.post("/api/v1/repricings", json=body)

    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field


def test_the_command_reprices_a_database_with_the_entries_of_a_file(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    store(engine, report(1))
    config = tmp_path / "outlay.toml"
    config.write_text('[[price]]\nprovider = "openai"\nmodel = "gpt-4o"\nfrom = 2026-06-01\ninput = 4\n')

    arguments = ["reprice", "--db", database_url, "--from", "2026-06-15", "--to", "2026-06-16"]
    dry = CliRunner().invoke(cli, [*arguments, "--dry-run", "--config", str(config)])
    wet = CliRunner().invoke(cli, [*arguments, "--config", str(config), "--json"])

    assert dry.exit_code == 0, dry.output
    assert "1 of 1 calls from 2026-06-15 00:00 to 2026-06-16 00:00 (UTC) would change." in dry.stdout
    assert wet.exit_code == 0, wet.output
    assert '"after_usd": "4"' in wet.stdout


def test_the_models_without_a_price_are_listed_with_the_reason(engine: Engine, database_url: str) -> None:
    house = report(1, Cost.unpriced("no price"), model_requested="house-7b", model_served="house-7b")
    store(engine, house, report(2, Cost.unpriced("no counts"), usage=None), report(3))

    arguments = ["prices", "missing", "--db", database_url, "--from", "2026-06-15", "--to", "2026-06-16", "--json"]
    result = CliRunner().invoke(cli, arguments)

    assert result.exit_code == 0, result.output
    rows = {row["model"]: (row["unpriced_calls"], row["reason"]) for row in json.loads(result.stdout)["missing"]}
    assert rows == {
        "house-7b": (1, "no price for openai/house-7b: give it a [[price]] entry"),
        "gpt-4o": (1, "the book has a price: the usage could not be read or priced"),
    }
