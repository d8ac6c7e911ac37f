"""Rules tested along a time line, by what their users write."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from outlay.errors import ConfigError
from outlay_alerts import timeline as timelines
from outlay_alerts.config import read_rules
from outlay_alerts.lifecycle import State
from outlay_alerts.timeline import Failure, read_timelines, run

RULES = read_rules(
    [
        {"name": "errors", "kind": "error_rate", "for": "5m", "group_by": ["provider"]},
        {"name": "slow", "kind": "latency", "for": "0s"},
        {"name": "spend", "kind": "spend", "above_usd": 5, "window": "1h", "match": {"feature": "chat"}},
    ],
    "outlay.toml",
)


def failures(calls: list[dict[str, Any]], *expect: dict[str, Any]) -> list[Failure]:
    (timeline,) = read_timelines([{"name": "t", "calls": calls, "expect": list(expect)}], RULES, "test.toml")
    return run(timeline, RULES)


def test_an_outage_is_pending_then_fires_and_is_resolved() -> None:
    openai = {"provider": "openai"}
    found = failures(
        [
            {"to": "10m", "per_minute": 30, "labels": openai},
            {"from": "10m", "to": "20m", "per_minute": 30, "labels": openai, "errors": 0.5},
            {"from": "20m", "to": "60m", "per_minute": 30, "labels": openai},
        ],
        {"at": "10m", "rule": "errors", "group": openai, "state": "inactive"},
        {"at": "12m", "rule": "errors", "group": openai, "state": "pending"},
        {"at": "17m", "rule": "errors", "group": openai, "state": "firing"},
        {"at": "27m", "rule": "errors", "group": openai, "state": "resolved"},
        {"at": "50m", "rule": "errors", "group": openai, "state": "inactive"},
    )
    assert found == []


def test_what_did_not_come_says_what_was_there_instead() -> None:
    (failure,) = failures(
        [{"to": "10m", "per_minute": 30, "labels": {"provider": "openai"}, "errors": 0.01}],
        {"at": "9m", "rule": "errors", "group": {"provider": "openai"}, "state": "firing"},
    )
    assert (failure.timeline, failure.found) == ("t", State.INACTIVE)
    assert failure.reason == "error rate 0.67% within 5% in the last 5 min for provider=openai (150 calls)"


def test_percentiles_and_spend_follow_the_mix_of_the_traffic() -> None:
    # 90 of 100 calls take 1 s: the p95 is the slow ones'. 60 calls of $0.01 a minute are $5.40 after 9 minutes.
    found = failures(
        [
            {"to": "9m", "per_minute": 90, "labels": {"feature": "search"}},
            {"to": "9m", "per_minute": 10, "latency": "12s", "labels": {"feature": "search"}},
            {"to": "9m", "per_minute": 60, "cost_usd": 0.01, "labels": {"feature": "chat"}, "latency": "12s"},
        ],
        {"at": "1m", "rule": "slow", "state": "firing"},
        {"at": "8m", "rule": "spend", "state": "inactive"},
        {"at": "9m", "rule": "spend", "state": "firing"},
    )
    assert found == []


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"expect": [{"at": "1m", "rule": "eror", "state": "firing"}]}, "timeline[0].expect[0].rule"),
        ({"expect": [{"at": "1m", "rule": "errors", "state": "burning"}]}, "timeline[0].expect[0].state"),
        ({"expect": []}, "timeline[0].expect"),
        ({"calls": [{"to": "1m", "per_minute": -1}]}, "timeline[0].calls[0].per_minute"),
        ({"every": "0s"}, "timeline[0].every"),
        ({"evry": "1m"}, "timeline[0].evry"),
    ],
)
def test_a_wrong_key_of_a_timeline_is_named(change: dict[str, Any], key: str) -> None:
    entry = {"name": "t", "calls": [], "expect": [{"at": "1m", "rule": "errors", "state": "firing"}], **change}
    with pytest.raises(ConfigError) as raised:
        read_timelines([entry], RULES, "test.toml")
    assert raised.value.key == key


def test_the_example_in_the_documentation_holds() -> None:
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
    rule, timeline = (tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", page, re.S)[:2])
    rules = read_rules(rule["rule"], "docs")
    (read,) = read_timelines(timeline["timeline"], rules, "docs")
    assert run(read, rules) == []
    assert timelines.__doc__ is not None
