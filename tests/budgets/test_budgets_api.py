"""The API and the command of budgets: definitions in, states out, and what a wrong one is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from outlay.budgets.definition import read_budget
from outlay_collector.app import create_app
from outlay_collector.cli import app as command
from outlay_collector.serving import Server
from outlay_collector.settings import Settings, Store
from typer.testing import CliRunner

DAILY = read_budget({"name": "daily", "limit": {"usd": 2}}, "outlay.toml")

ASK = {"lease": "a", "budget": "daily", "scope": [], "known": 0, "need": 1, "want": 1}


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    settings = Settings(store=Store(url=f"sqlite:///{tmp_path}/outlay.db"), budgets=(DAILY,))
    with Server(create_app(settings), log_level="critical") as server:
        yield f"{server.url}/api/v1/budgets"


def outlay(url: str, *arguments: str) -> str:
    place = ("--endpoint", url.removesuffix("/api/v1/budgets"))
    result = CliRunner().invoke(command, ["budgets", *arguments, *place], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def error(answer: httpx2.Response) -> tuple[int, str, str | None]:
    said = answer.json()["error"]
    return answer.status_code, said["code"], said.get("field")


def test_a_budget_is_set_shown_changed_and_removed(url: str) -> None:
    entry = {"limit": {"usd": "5.50"}, "period": "month", "match": {"feature": "chat"}}
    assert httpx2.put(f"{url}/chat", json=entry, timeout=60).json()["limit"] == {"usd": "5.5"}
    (shown,) = [each for each in httpx2.get(url, timeout=60).json()["budgets"] if each["name"] == "chat"]
    assert shown["limit_usd"] == shown["remaining_usd"] == shown["limit"] == "5.5"
    assert (shown["spent_usd"], shown["leased_usd"], shown["state"], shown["scope"]) == ("0", "0", "ok", {})
    assert shown["starts_at"].endswith("-01T00:00:00Z")
    httpx2.put(f"{url}/chat", json={"limit": {"calls": 3}}, timeout=60)
    (shown,) = [each for each in httpx2.get(url, timeout=60).json()["budgets"] if each["name"] == "chat"]
    assert (shown["limit_usd"], shown["limit"], shown["unit"]) == (None, 3, "calls")
    assert httpx2.delete(f"{url}/chat", timeout=60).status_code == 204
    assert error(httpx2.get(f"{url}/chat", timeout=60)) == (404, "not_found", None)
    assert error(httpx2.delete(f"{url}/chat", timeout=60)) == (404, "not_found", None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"limit": {"usd": -1}}, "limit.usd"),
        ({"limit": {"usd": 1}, "perod": "day"}, "perod"),
        ({"limit": {"usd": 1}, "name": "other"}, "name"),
        ({}, "limit"),
    ],
)
def test_a_definition_that_cannot_be_used_names_the_field(url: str, body: dict[str, Any], field: str) -> None:
    assert error(httpx2.put(f"{url}/chat", json=body, timeout=60)) == (422, "invalid", field)


def test_a_budget_of_outlay_toml_is_changed_there(url: str) -> None:
    assert httpx2.get(f"{url}/daily", timeout=60).json()["origin"] == "file"
    assert error(httpx2.put(f"{url}/daily", json={"limit": {"usd": 9}}, timeout=60)) == (409, "conflict", "name")
    assert error(httpx2.delete(f"{url}/daily", timeout=60)) == (409, "conflict", "name")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("leases", {"holder": "h", "asks": [{**ASK, "need": -1}]}),
        ("leases", {"holder": "h", "asks": [{**ASK, "scope": "ann"}]}),
        ("leases", {"asks": []}),
        ("settle", {"holder": "h", "settlements": [{"id": "1", "lease": "a", "amount": -5, "at_ns": 0}]}),
        ("settle", {"holder": "h", "settlements": [{"id": "1", "lease": "a", "amount": 2**62, "at_ns": 0}]}),
        ("settle", {"holder": "h", "renewals": [{"lease": "a", "returned": 2**70}]}),
        ("settle", {"holder": "h", "settlements": [{"id": "1", "lease": "a", "amount": "much", "at_ns": 0}]}),
        ("settle", [1]),
    ],
)
def test_a_message_that_makes_no_sense_is_refused(url: str, path: str, body: Any) -> None:
    assert error(httpx2.post(f"{url}/{path}", json=body, timeout=60))[:2] == (422, "invalid")


def test_the_command_sets_raises_lists_and_removes(url: str) -> None:
    outlay(url, "set", "chat", "--usd", "5", "--period", "day", "--match", "feature=chat", "--match", "feature=search")
    outlay(url, "set", "chat", "--usd", "7.50", "--per", "user")
    set_to = json.loads(outlay(url, "set", "chat", "--thresholds", "0.5,0.9", "--json"))
    assert set_to["limit"] == {"usd": "7.5"}
    assert set_to["match"] == {"feature": ["chat", "search"]}
    assert (set_to["per"], set_to["thresholds"], set_to["period"]) == (["user"], [0.5, 0.9], "day")
    shown = outlay(url, "list")
    assert "daily" in shown
    assert "$2.00" in shown
    assert "chat: nothing spent yet by any user" in shown
    assert {each["name"] for each in json.loads(outlay(url, "list", "--json"))["definitions"]} == {"chat", "daily"}
    outlay(url, "remove", "chat")
    assert "chat" not in outlay(url, "list")


def test_budgets_that_left_outlay_toml_are_gone_after_a_restart_and_others_stay(tmp_path: Path) -> None:
    store = Store(url=f"sqlite:///{tmp_path}/outlay.db")
    with Server(create_app(Settings(store=store, budgets=(DAILY,))), log_level="critical") as server:
        httpx2.put(f"{server.url}/api/v1/budgets/chat", json={"limit": {"usd": 1}}, timeout=60)
    with Server(create_app(Settings(store=store)), log_level="critical") as server:
        assert len(httpx2.get(f"{server.url}/api/v1/budgets", timeout=60).json()["definitions"]) == 2
    with Server(create_app(Settings(store=store, budgets=())), log_level="critical") as server:
        (left,) = httpx2.get(f"{server.url}/api/v1/budgets", timeout=60).json()["definitions"]
        assert (left["name"], left["origin"]) == ("chat", "api")
