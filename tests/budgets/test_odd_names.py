"""A name that cannot be stored as it is given has a budget like any other, and keeps nobody else from theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import outlay
import pytest
from outlay_collector.app import create_app
from outlay_collector.serving import Server
from outlay_collector.settings import Settings, Store

ODD = {
    "NUL": ("a\0b", "ab"),
    "half a pair": ("a\ud800", "a?"),
    "long": ("a" * 300, "a" * 256),
}
SETTLED: dict[str, Any] = {"settlements": [{"id": "s", "lease": "l", "amount": 1, "at_ns": 1}]}
LEASED: dict[str, Any] = {"asks": [{"lease": "l", "budget": "each", "scope": ["a"], "known": 0, "need": 1, "want": 1}]}


@pytest.fixture(params=["sqlite", "postgres"])
def collector(request: pytest.FixtureRequest, tmp_path: Any, patient: None) -> Iterator[str]:
    is_postgres = request.param == "postgres"
    url = request.getfixturevalue("postgres_url") if is_postgres else f"sqlite:///{tmp_path}/outlay.db"
    with Server(create_app(Settings(store=Store(url=url))), log_level="critical") as server:
        budget = {"limit": {"calls": 1}, "per": ["user"]}
        httpx2.put(f"{server.url}/api/v1/budgets/each", json=budget, timeout=60).raise_for_status()
        yield server.url


@pytest.mark.parametrize(("given", "stored"), ODD.values(), ids=ODD)
def test_its_calls_are_counted_and_held_back_under_the_name_that_is_stored(
    given: str, stored: str, collector: str, fake_provider: Any
) -> None:
    outlay.instrument("openai", endpoint=collector)
    with openai.OpenAI(base_url=fake_provider.openai, api_key="sk-test", max_retries=0) as client:
        for user in (given, "bob"):
            with outlay.context(user=user, feature=given):
                ask(client)
                with pytest.raises(outlay.BudgetExceeded):
                    ask(client)
    assert outlay.flush(60)
    outlay.uninstrument()
    listed = httpx2.get(f"{collector}/api/v1/budgets", timeout=60).json()["budgets"]
    assert {each["scope"]["user"]: (each["spent"], each["held_back_calls"]) for each in listed} == {
        stored: (1, 1),
        "bob": (1, 1),
    }
    told = httpx2.get(f"{collector}/api/v1/refusals", timeout=60).json()["refusals"]
    assert {(each["user"], each["feature"]) for each in told} == {(stored, stored), ("bob", stored)}
    rows = httpx2.get(f"{collector}/api/v1/usage?group_by=user", timeout=60).json()["rows"]
    assert {row["user"]: row["calls"] for row in rows} == {stored: 1, "bob": 1}


def ask(client: openai.OpenAI) -> None:
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])


@pytest.mark.parametrize("text", [r"\u0000", r"\ud800"], ids=["NUL", "half a pair"])
@pytest.mark.parametrize(("path", "body"), [("leases", LEASED), ("settle", SETTLED)], ids=["lease", "settlement"])
def test_what_the_database_cannot_hold_is_refused_and_not_the_databases_failure(
    path: str, body: dict[str, Any], text: str, collector: str
) -> None:
    written = httpx2.Request("POST", collector, json={**body, "holder": "h"}).content.decode()
    answer = httpx2.post(
        f"{collector}/api/v1/budgets/{path}",
        content=written.replace('"l"', f'"{text}"'),
        headers={"content-type": "application/json"},
        timeout=60,
    )
    assert answer.status_code < 500
    if answer.status_code != 200:  # SQLite holds a NUL
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
