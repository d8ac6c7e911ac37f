"""Pausing a budget, and giving it another limit for a while: what processes are told, what is shown, how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from outlay.budgets.definition import read_budget
from outlay.budgets.lease import Ask, LeaseRequest
from outlay_collector.app import create_app
from outlay_collector.budget_states import budget_states
from outlay_collector.budgets import lend
from outlay_collector.cli import app as command
from outlay_collector.serving import Server
from outlay_collector.settings import Settings, Store
from outlay_collector.store.definitions import follow_file
from outlay_collector.store.easings import Easing, ease, end_easing
from sqlalchemy import Engine
from typer.testing import CliRunner

NANO = 10**9
NOON = 1_795_608_000 * NANO
DAILY = read_budget({"name": "daily", "limit": {"calls": 2}}, "outlay.toml")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    settings = Settings(store=Store(url=f"sqlite:///{tmp_path}/outlay.db"), budgets=(DAILY,))
    with Server(create_app(settings), log_level="critical") as server:
        yield server.url


def outlay(url: str, *arguments: str) -> str:
    place = ("--endpoint", url)
    result = CliRunner().invoke(command, ["budgets", *arguments, *place], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def shown(url: str) -> dict[str, Any]:
    (budget,) = httpx2.get(f"{url}/api/v1/budgets", timeout=60).json()["budgets"]
    return dict(budget)


def granted(engine: Engine, lease: str, need: int, now_ns: int) -> int:
    ask = Ask(lease=lease, budget="daily", scope=[], known=0, need=need, want=need)
    (grant,) = lend(engine, LeaseRequest(holder="h", asks=[ask]), now_ns).grants
    return grant.granted


def test_a_paused_budget_is_kept_by_no_process_until_the_pause_is_over(engine: Engine) -> None:
    follow_file(engine, [DAILY], NOON)
    told = lend(engine, LeaseRequest(holder="h"), NOON)
    assert [entry["name"] for entry in told.budgets or ()] == ["daily"]
    with engine.begin() as connection:
        ease(connection, "daily", Easing(limit_amount=None, since_ns=NOON, until_ns=NOON + 60 * NANO))
    paused = lend(engine, LeaseRequest(holder="h", version=told.version), NOON + 59 * NANO)
    assert paused.budgets == []
    resumed = lend(engine, LeaseRequest(holder="h", version=paused.version), NOON + 60 * NANO)
    assert (resumed.version, len(resumed.budgets or ())) == (told.version, 1)


def test_a_raised_limit_is_lent_until_its_time_is_over_and_outlives_a_restart(engine: Engine) -> None:
    follow_file(engine, [DAILY], NOON)
    assert granted(engine, "a", 2, NOON) == 2
    assert granted(engine, "b", 1, NOON) == 0
    with engine.begin() as connection:
        ease(connection, "daily", Easing(limit_amount=3, since_ns=NOON, until_ns=NOON + 60 * NANO))
    follow_file(engine, [DAILY], NOON)
    assert granted(engine, "b", 1, NOON) == 1
    (state,) = budget_states(engine, NOON)
    assert (state.budget.limit.amount, state.definition.budget.limit.amount, state.remaining) == (3, 2, 0)
    assert granted(engine, "c", 1, NOON + 60 * NANO) == 0
    with engine.begin() as connection:
        end_easing(connection, "daily")
    (state,) = budget_states(engine, NOON)
    assert state.budget.limit.amount == 2


def test_a_budget_of_outlay_toml_is_paused_raised_and_resumed_by_command(url: str) -> None:
    assert "is paused until" in outlay(url, "pause", "daily", "--for", "2h")
    assert (shown(url)["paused"], shown(url)["on_limit"]) == (True, "alert")
    assert "paused until" in outlay(url, "list")
    outlay(url, "pause", "daily")
    assert (shown(url)["paused"], shown(url)["eased_until"]) == (True, None)
    assert "has a limit of 9 calls until" in outlay(url, "raise", "daily", "--calls", "9")
    now = shown(url)
    assert (now["limit"], now["paused"], now["on_limit"]) == (9, False, "block")
    assert now["eased_until"] == now["resets_at"]
    assert "has 9 calls in place of 2 calls" in outlay(url, "list")
    assert json.loads(outlay(url, "resume", "daily", "--json"))["easing"] is None
    assert (shown(url)["limit"], shown(url)["paused"]) == (2, False)


def test_a_definition_set_anew_ends_what_eased_it(url: str) -> None:
    outlay(url, "set", "chat", "--usd", "5")
    outlay(url, "raise", "chat", "--usd", "7.5")
    assert json.loads(outlay(url, "set", "chat", "--usd", "6", "--json"))["easing"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"limit": {"usd": 5}}, "limit"),
        ({"limit": {"calls": -1}}, "limit.calls"),
        ({"for_s": 0}, "for_s"),
    ],
)
def test_an_easing_that_cannot_be_names_the_field(url: str, body: dict[str, Any], field: str) -> None:
    answer = httpx2.put(f"{url}/api/v1/budgets/daily/easing", json=body, timeout=60)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field


def test_what_is_not_there_cannot_be_eased(url: str) -> None:
    assert httpx2.put(f"{url}/api/v1/budgets/no/easing", json={}, timeout=60).status_code == 404
    result = CliRunner().invoke(command, ["budgets", "raise", "daily", "--endpoint", url])
    assert result.exit_code != 0
    assert "--usd, --tokens or --calls" in str(result.exception)
