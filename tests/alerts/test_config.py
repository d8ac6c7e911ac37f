"""Entries of outlay.toml become rules and channels, or an error that says which key is wrong and what is right."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from outlay.errors import ConfigError
from outlay_alerts.config import check_references, read_channels, read_rules
from outlay_alerts.defaults import default_rules
from outlay_alerts.duration import format_duration, read_duration
from outlay_alerts.rules import KINDS
from outlay_alerts.rules.error_rate import ErrorRate
from outlay_alerts.verdict import Severity

SECRET = "https://hooks.slack.com/services/T00000000/B00000000/abcdefghijklmnopqrstuvwx"


def test_the_rule_of_the_documentation_is_read() -> None:
    document = tomllib.loads("""
        [[rule]]
        name = "provider-errors"
        kind = "error_rate"
        above = 0.05
        window = "5m"
        for = "5m"
        group_by = ["provider"]
        match = { environment = "prod", "tag.tier" = ["free", "paid"] }
        severity = "critical"
        channels = ["oncall"]
    """)
    (rule,) = read_rules(document["rule"], "outlay.toml")
    assert isinstance(rule, ErrorRate)
    assert rule.above == Decimal("0.05")
    assert rule.window == rule.for_ == timedelta(minutes=5)
    assert rule.match == {"environment": ("prod",), "tag.tier": ("free", "paid")}
    assert (rule.severity, rule.channels) == (Severity.CRITICAL, ("oncall",))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_stands_on_its_defaults(kind: str) -> None:
    needs = {"above_usd": 10} if kind == "spend" else {}
    (rule,) = read_rules([{"name": "r", "kind": kind, **needs}], "outlay.toml")
    assert rule.kind == kind
    assert rule.advice


@pytest.mark.parametrize(
    ("wrong", "key", "hint"),
    [
        ({"kind": "eror_rate"}, "rule[0].kind", "did you mean error_rate?"),
        ({"kind": None}, "rule[0].kind", "one of budget, spend"),
        ({"abov": 0.1}, "rule[0].abov", "did you mean above?"),
        ({"for_": "5m"}, "rule[0].for_", "did you mean for?"),
        ({"above": 5}, "rule[0].above", "less than or equal to 1"),
        ({"above": -1}, "rule[0].above", "greater than or equal to 0"),
        ({"above": "5%"}, "rule[0].above", "a number"),
        ({"above": True}, "rule[0].above", "a number"),
        ({"above": float("nan")}, "rule[0].above", "finite"),
        ({"for": 5}, "rule[0].for", 'such as "800ms", "30s", "5m"'),
        ({"window": "5 minutes"}, "rule[0].window", 'such as "800ms", "30s", "5m"'),
        ({"window": "0s"}, "rule[0].window", "above zero"),
        ({"window": "99999999999w"}, "rule[0].window", "a length of time"),
        ({"severity": "fatal"}, "rule[0].severity", "'info', 'warning' or 'critical'"),
        ({"group_by": ["providr"]}, "rule[0].group_by[0]", "did you mean provider?"),
        ({"group_by": ["tag."]}, "rule[0].group_by[0]", "tag.NAME"),
        ({"group_by": "provider"}, "rule[0].group_by", "a list"),
        ({"match": {"featur": "x"}}, "rule[0].match.featur", "did you mean feature?"),
        ({"match": {"feature": 3}}, "rule[0].match.feature", "a text"),
        ({"min_calls": 0}, "rule[0].min_calls", "greater than or equal to 1"),
        ({"name": ""}, "rule[0].name", "at least 1 character"),
    ],
)
def test_a_wrong_key_is_named_with_its_value_and_what_is_expected(wrong: dict[str, Any], key: str, hint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_rules([{"name": "r", "kind": "error_rate", **wrong}], "outlay.toml")
    assert raised.value.source == "outlay.toml"
    assert raised.value.key == key
    assert hint in raised.value.expected


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"kind": "spend"}, "rule[0].above_usd"),
        ({"kind": "spend", "above_usd": 1, "window": "1h", "period": "day"}, "rule[0]"),
        ({"kind": "spend", "above_usd": 1, "timezone": "Mars/Olympus"}, "rule[0].timezone"),
        ({"kind": "latency", "above": 10}, "rule[0].above"),
        ({"kind": "latency", "percentile": 90}, "rule[0].percentile"),
        ({"kind": "traffic_spike", "baseline": "1m"}, "rule[0]"),
        ({"kind": "budget", "soft": 0.8}, "rule[0].soft"),
        ({"kind": "budget", "window": "5m"}, "rule[0].window"),
    ],
)
def test_what_only_some_kinds_have_is_checked_too(entry: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_rules([{"name": "r", **entry}], "outlay.toml")
    assert raised.value.key == key


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        read_rules([{"name": "r", "kind": "budget"}, {"name": "r", "kind": "unpriced"}], "outlay.toml")
    assert raised.value.key == "rule[1].name"


def test_a_channel_that_is_not_there_is_named_with_the_nearest() -> None:
    rules = read_rules([{"name": "r", "kind": "budget", "channels": ["oncal"]}], "outlay.toml")
    channels = read_channels([{"name": "oncall", "url": SECRET}], "outlay.toml")
    with pytest.raises(ConfigError, match=r"rule\[0\]\.channels\[0\] = 'oncal'.*did you mean oncall\?"):
        check_references(rules, channels, "outlay.toml")


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        "slack://T00000000/B00000000/abcdefghijklmnopqrstuvwx",
        "https://mattermost.example.org/hooks/abcdefgh",
        "mmost://127.0.0.1:8065/abcdefgh",
        "mailtos://user:pass@smtp.example.org?to=a@example.org",
        "json://127.0.0.1:8080/alerts",
        "http://127.0.0.1:8080/anything",
    ],
)
def test_urls_people_have_are_channels(url: str) -> None:
    assert read_channels([{"name": "c", "url": url}], "outlay.toml")[0].url.get_secret_value() == url


@pytest.mark.parametrize("url", ["nonsense", "file:///etc/passwd", "http://", "http://host:99999999/", "", 7, None])
def test_what_cannot_be_sent_to_is_refused_without_being_shown(url: Any) -> None:
    with pytest.raises(ConfigError) as raised:
        read_channels([{"name": "c", "url": url}], "outlay.toml")
    assert raised.value.key == "channel[0].url"
    assert raised.value.value == "..."


def test_the_url_of_a_channel_is_in_no_repr_dump_or_error() -> None:
    (channel,) = read_channels([{"name": "c", "url": SECRET}], "outlay.toml")
    assert "abcdefgh" not in f"{channel!r} {channel} {channel.model_dump_json()}"
    for mistyped in ({"name": "c", "ulr": SECRET}, {"name": "c", "url": SECRET + " x y", "extra": SECRET}, SECRET):
        with pytest.raises(ConfigError) as raised:
            read_channels([mistyped], "outlay.toml")  # type: ignore[list-item]  # what a file may hold
        assert "abcdefgh" not in str(raised.value)


def test_the_default_rules_are_the_ones_of_the_field() -> None:
    rules = {rule.name: rule for rule in default_rules()}
    errors = rules["errors"]
    assert isinstance(errors, ErrorRate)
    assert (errors.above, errors.for_, errors.severity) == (Decimal("0.05"), timedelta(minutes=5), Severity.CRITICAL)
    assert {rule.kind for rule in rules.values()} == set(KINDS) - {"headroom", "no_data", "spend", "ttft"}
    assert all(rule.channels is None for rule in rules.values())


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("800ms", 0.8, "0 s"),
        ("90s", 90, "1 min 30 s"),
        ("5m", 300, "5 min"),
        ("1h30m", 5_400, "1 h 30 min"),
        ("7d", 604_800, "7 d"),
        ("2w", 1_209_600, "14 d"),
        ("3y", 94_672_800, "1095 d 18 h"),
    ],
)
def test_lengths_of_time_are_read_and_shown(text: str, seconds: float, shown: str) -> None:
    assert read_duration(text) == timedelta(seconds=seconds)
    assert format_duration(timedelta(seconds=seconds)) == shown


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "5M", "5m ", "1.5h", 5, None, "\u0665m"])
def test_what_is_no_length_of_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a length of time"):
        read_duration(text)
