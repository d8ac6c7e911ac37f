"""`outlay demo` and what it leaves: the figures of the commands against the fake provider's own log."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DEAD_PROXY

Bill = Callable[[Iterable[Mapping[str, Any]]], dict[str, Decimal]]
OUTLAY = str(Path(sys.executable).with_name("outlay"))
DAYS = 6
PATIENT = """
from outlay.budgets import keeper
from outlay_collector.cli import demo, main

keeper.FIRST_WAIT_S = keeper.ASK_TIMEOUT_S = keeper.LOOP_ASK_TIMEOUT_S = 60.0
demo.ALERT_TIMEOUT_S = 300.0
main()
"""
"""`outlay` that waits for its collector and its alert, however slow this machine is just now."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A finished `outlay demo --once`."""

    folder: Path
    shown: str
    log: list[dict[str, Any]]

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [OUTLAY, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=600, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """On a machine that is told to ask a proxy for everything."""
    folder = tmp_path_factory.mktemp("demo")
    options = ["--once", "--calls", "80", "--days", str(DAYS), "--seed", "3", "--usage-log", "usage.jsonl"]
    done = subprocess.run(
        [sys.executable, "-c", PATIENT, "demo", *options, "--db", "sqlite:///x.db"],
        cwd=folder,
        env={**os.environ, **DEAD_PROXY},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    log = [json.loads(line) for line in (folder / "usage.jsonl").read_text().splitlines()]
    return Demo(folder, done.stdout, log)


def test_spend_is_the_providers_own_usage_times_the_price_to_the_nano_dollar(demo: Demo, bill_by_hand: Bill) -> None:
    document = json.loads(demo.run("spend", "--by", "model", "--db", "sqlite:///x.db", "--json"))
    expected = bill_by_hand(demo.log)
    found = {row["model"]: Decimal(row["cost_usd"]) for row in document["rows"] if row["cost_usd"] is not None}
    assert {model: cost for model, cost in found.items() if cost} == expected
    assert Decimal(document["total"]["cost_usd"]) == sum(expected.values())
    assert len(expected) == 5, sorted(expected)

    answered = [entry for entry in demo.log if entry["status"] == 200]
    unpriced = [entry for entry in answered if entry["model"] == "labels-7b"]
    assert unpriced
    assert document["total"]["unpriced_calls"] == len(unpriced)
    assert document["total"]["calls"] - document["total"]["errors"] == len(answered)
    assert document["total"]["retries"] > 0


def test_its_own_table_is_the_table_of_spend(demo: Demo) -> None:
    table = demo.run("spend", "--db", "sqlite:///x.db").splitlines()[1:]
    assert [line.split() for line in table] == [
        line.split() for line in demo.shown.partition("Alert")[0].splitlines()[-len(table) :]
    ]
    assert "without a price" in demo.shown


def test_the_past_is_spread_over_its_days_and_every_call_has_its_owner(demo: Demo) -> None:
    dimensions = ["feature", "tenant", "user", "service", "environment"]
    since = (datetime.now(UTC) - timedelta(days=DAYS)).isoformat()
    options = ["--interval", "day", "--from", since, "--db", "sqlite:///x.db"]
    rows = list(csv.DictReader(io.StringIO(demo.run("export", "--by", ",".join(dimensions), *options))))
    assert len({row["bucket"] for row in rows}) >= DAYS - 1
    assert all(row[dimension] for row in rows for dimension in dimensions)
    # What moved a call into the past is no tag that anybody sees.
    (untagged,) = json.loads(demo.run("spend", "--by", "tag.demo.ago_ns", "--db", "sqlite:///x.db", "--json"))["rows"]
    assert untagged["tag.demo.ago_ns"] is None


def test_a_budget_runs_out_before_anything_is_sent_and_an_alert_arrives(demo: Demo) -> None:
    assert "stopped before anything was sent" in demo.shown
    alerts = [line for line in demo.shown.splitlines() if line.startswith("Alert") and "agent-budget" in line]
    # Half of it spent warns alone where the rules are asked between the two, else the one message tells of both.
    assert all(line.startswith("Alert      [FIRING") for line in alerts)
    assert [line.endswith("agent-budget (critical)") for line in alerts] in ([True], [False, True])
    assert 'budget "agent-daily" for tenant=globex' in demo.shown
