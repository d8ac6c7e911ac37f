"""What budgets would have stopped of calls that were made."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from outlay.budgets.definition import read_budgets
from outlay_collector.cli import app as command
from outlay_collector.simulation import PastCall, simulate
from outlay_collector.store.budgets import past_calls
from outlay_collector.store.engine import reading
from sqlalchemy import Engine
from typer.testing import CliRunner

NANO = 10**9
NOON = 1_795_608_000 * NANO
HOUR = 3_600 * NANO
USD = 1_000_000_000


def call(hours: float, cost: int | None, user: str = "ann", tokens: int | None = None) -> PastCall:
    return PastCall(NOON + int(hours * HOUR), {"user": user, "provider": "openai"}, cost, tokens)


def stopped(entry: dict[str, Any], calls: list[PastCall]) -> list[tuple[Any, ...]]:
    found = simulate(read_budgets([{"name": "b"} | entry], "test"), calls)
    return [(each.scope, each.calls, each.cost_nano_usd, (each.first_at_ns - NOON) / HOUR) for each in found]


def test_what_fits_passes_and_a_stopped_call_takes_nothing() -> None:
    calls = [call(0, 6 * USD), call(1, 5 * USD), call(2, 4 * USD), call(3, 1)]
    assert stopped({"limit": {"usd": 10}}, calls) == [((), 2, 5 * USD + 1, 1)]


def test_a_new_day_starts_anew_and_a_rolling_window_slides() -> None:
    calls = [call(0, 6 * USD), call(13, 6 * USD), call(25, 6 * USD)]
    assert stopped({"limit": {"usd": 10}}, calls) == [((), 1, 6 * USD, 25)]
    assert stopped({"limit": {"usd": 10}, "period": "rolling 24h"}, calls) == [((), 1, 6 * USD, 13)]


def test_each_user_has_the_limit_and_budgets_that_only_tell_stop_nothing() -> None:
    calls = [call(0, USD), call(1, USD), call(2, USD, "bob"), call(3, None)]
    assert stopped({"limit": {"calls": 1}, "per": ["user"]}, calls) == [(("ann",), 2, USD, 1)]
    assert stopped({"limit": {"calls": 1}, "on_limit": "alert"}, calls) == []


def test_calls_are_read_back_in_the_words_of_budgets(engine: Engine, arrive: Callable[..., None]) -> None:
    arrive(NOON + 5, None, user="bob")
    arrive(NOON, USD, user="ann", tags={"tier": "free"}, usage={"input": 3, "output": 4})
    with reading(engine) as connection:
        first, second = past_calls(connection, NOON, NOON + HOUR)
    assert (first.at_ns, first.cost_nano_usd, first.tokens) == (NOON, USD, 7)
    assert (first.dimensions["user"], first.dimensions["tag.tier"], first.dimensions["model"]) == (
        "ann",
        "free",
        "gpt-4o",
    )
    assert (second.dimensions["user"], second.cost_nano_usd, second.tokens) == ("bob", None, None)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_command_reads_a_file_of_budgets(
    engine: Engine, database: str, arrive: Callable[..., None], tmp_path: Path
) -> None:
    arrive(time.time_ns() - HOUR, 3 * USD, user="ann")
    (tmp_path / "new.toml").write_text('[[budget]]\nname = "tight"\nlimit = { usd = 2 }\nper = ["user"]\n')
    arguments = ["budgets", "simulate", "--config", str(tmp_path / "new.toml"), "--since", "30d", "--db", database]
    shown = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert "user=ann" in shown.output
    assert "$3.00" in shown.output
    said = json.loads(CliRunner().invoke(command, [*arguments, "--json"], catch_exceptions=False).output)
    assert [(each["name"], each["calls"], each["cost_usd"]) for each in said["stopped"]] == [("tight", 1, "3")]
