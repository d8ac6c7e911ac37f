"""docs/alerts.md says every kind, every key and every default, and what it shows is what happens."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from outlay_alerts.config import Channel, check_references, read_channels, read_rules
from outlay_alerts.defaults import DEFAULT_RULES
from outlay_alerts.duration import read_duration
from outlay_alerts.lifecycle import Health, State
from outlay_alerts.rules import KINDS, Rule
from outlay_alerts.rules.base import TrafficRule
from outlay_alerts.rules.budget import BudgetRule
from outlay_collector.settings import Alerts
from pydantic import BaseModel

PAGE: Final = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()


def section(heading: str) -> str:
    """What stands below a heading, down to the next of its level or above."""
    level = heading.split(" ")[0]
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{2,{len(level)}}} |\Z)", PAGE, re.M | re.S)
    assert found, f"no section {heading}"
    return found[1]


def table(text: str) -> dict[str, str]:
    """Keys of the tables in a text, with what their second column says."""
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|", text, re.M))


def keys(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


COMMON = table(section("## Kinds of rules").split("\n### ")[0])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_key_of_every_kind_is_documented(kind: str) -> None:
    of_kind = table(section(f"### `{kind}`"))
    assert of_kind.keys() <= keys(KINDS[kind]).keys()
    assert keys(KINDS[kind]).keys() <= of_kind.keys() | COMMON.keys()


def test_the_common_keys_are_exactly_the_common_keys() -> None:
    assert COMMON.keys() == {"kind"} | keys(Rule).keys() | (keys(TrafficRule).keys())


def shown(text: str) -> object:
    """A default as the page writes it, as the value it means."""
    value = tomllib.loads(f"value = {text.strip('`')}")["value"]
    return read_duration(value) if isinstance(value, str) and value[0].isdigit() else value


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_documented_default_is_the_default(kind: str) -> None:
    for key, text in table(section(f"### `{kind}`")).items():
        default = keys(KINDS[kind])[key].default
        if not text or key in ("budgets", "soft"):
            assert default is None or keys(KINDS[kind])[key].is_required()
        elif key == "severity":
            assert text.strip("`") == default.value
        else:
            value = shown(text)
            assert default == (value if isinstance(value, timedelta | str) else Decimal(str(value))), key


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_a_kind_does_not_say_is_the_common_default(kind: str) -> None:
    said = table(section(f"### `{kind}`"))
    for key in (
        keys(KINDS[kind]).keys() - said.keys() - {"severity", "name", "runbook", "channels", "group_by", "match"}
    ):
        base: type[BaseModel] = Rule if key in keys(Rule) else TrafficRule
        assert keys(KINDS[kind])[key].default == keys(base)[key].default, key
    if "severity" not in said:
        assert keys(KINDS[kind])["severity"].default == keys(Rule)["severity"].default


def test_channels_and_the_alerts_section_are_documented() -> None:
    assert table(section("## Channels")).keys() == keys(Channel).keys()
    alerts = table(section("## `[alerts]`"))
    assert alerts.keys() == Alerts.model_fields.keys()
    assert shown(alerts["every"]) == Alerts().every


def test_the_default_rules_are_documented() -> None:
    named = re.findall(r"^\| `([\w-]+)` \|", section("## Without any rule"), re.M)
    assert named == [rule["name"] for rule in DEFAULT_RULES]


def test_states_and_healths_are_documented() -> None:
    life = section("## The life of an alert")
    assert all(state.value in life for state in State)
    assert table(life).keys() == {health.value for health in Health}


def test_the_example_is_a_configuration() -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.S)
    assert example
    document = tomllib.loads(example[1].replace("${ONCALL_URL}", "https://chat.example.org/hooks/abc"))
    rules, channels = read_rules(document["rule"], "docs"), read_channels(document["channel"], "docs")
    check_references(rules, channels, "docs")


def test_budget_shares_are_the_documented_ones() -> None:
    assert BudgetRule(name="b").hard == 1
    assert table(section("### `budget`"))["soft"] == "the budget's `thresholds`, else `[0.8]`"
