"""Reading budgets as people write them, and what a misspelt one is told."""

from __future__ import annotations

from typing import Any

import pytest
from outlay.budgets.budget import Budget, dimensions_of, read_scope_key, scope_key
from outlay.budgets.definition import read_budget, read_budgets
from outlay.errors import ConfigError
from outlay.model import Attribution

FULL: dict[str, Any] = {
    "name": "chat-daily",
    "limit": {"usd": 5.00},
    "period": "day",
    "timezone": "Europe/Berlin",
    "match": {"feature": "chat", "tag.tier": ["free", "trial"]},
    "per": ["user"],
    "thresholds": [0.8, 0.5],
    "on_limit": "alert",
    "when_unreachable": "last_known",
    "unpriced": "block",
}


def budget(**changes: Any) -> Budget:
    return read_budget({"name": "b", "limit": {"usd": 1}} | changes, "outlay.toml")


def call(user: str | None = "u1", feature: str | None = "chat", **tags: str) -> dict[str, str | None]:
    return dimensions_of("openai", "chat", "gpt-4o", Attribution(user=user, feature=feature, tags=tags))


def test_every_key_is_read() -> None:
    (found,) = read_budgets([FULL], "outlay.toml")
    assert (found.limit.unit, found.limit.amount) == ("usd", 5_000_000_000)
    assert (found.period.name, found.period.timezone) == ("day", "Europe/Berlin")
    assert found.match == {"feature": frozenset({"chat"}), "tag.tier": frozenset({"free", "trial"})}
    assert (found.per, found.thresholds) == (("user",), (0.5, 0.8))
    assert (found.on_limit, found.when_unreachable, found.unpriced) == ("alert", "last_known", "block")


def test_what_is_not_said_has_a_default() -> None:
    found = budget()
    assert (found.period.name, found.period.timezone, found.per, found.thresholds) == ("day", "UTC", (), (0.8,))
    assert (found.on_limit, found.when_unreachable, found.unpriced) == ("block", "open", "pass")


def test_an_entry_written_out_reads_back_as_the_same_budget() -> None:
    for found in (read_budget(FULL, "x"), budget(limit={"tokens": 1_000}), budget(limit={"usd": "0.000000001"})):
        assert read_budget(found.entry(), "x") == found


def test_an_amount_of_usd_is_exact() -> None:
    assert budget(limit={"usd": 0.1}).limit.amount == 100_000_000
    assert budget(limit={"usd": "1234.000000001"}).limit.amount == 1_234_000_000_001


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"limit": None}, "budget[0].limit", "one of { usd = 5.00 }"),
        ({"limit": {"usd": -1}}, "budget[0].limit.usd", "zero or more"),
        ({"limit": {"usd": "nan"}}, "budget[0].limit.usd", "zero or more"),
        ({"limit": {"usd": True}}, "budget[0].limit.usd", "zero or more"),
        ({"limit": {"usd": 1e30}}, "budget[0].limit.usd", "zero or more"),
        ({"limit": {"calls": 1.5}}, "budget[0].limit.calls", "a whole number"),
        ({"limit": {"token": 5}}, "budget[0].limit.token", "did you mean tokens?"),
        ({"period": "weekk"}, "budget[0].period", "did you mean week?"),
        ({"period": 24}, "budget[0].period", "rolling 24h"),
        ({"timezone": "Europe/Berln"}, "budget[0].timezone", "did you mean Europe/Berlin?"),
        ({"timezone": "../etc/passwd"}, "budget[0].timezone", "IANA"),
        ({"match": {"featur": "x"}}, "budget[0].match.featur", "did you mean feature?"),
        ({"match": {"feature": []}}, "budget[0].match.feature", "a list of texts"),
        ({"per": ["usr"]}, "budget[0].per[0]", "did you mean user?"),
        ({"per": ["user", "user"]}, "budget[0].per", "each once"),
        ({"thresholds": [80]}, "budget[0].thresholds[0]", "up to 1"),
        ({"on_limit": "blok"}, "budget[0].on_limit", "did you mean block?"),
        ({"when_unreachable": "close"}, "budget[0].when_unreachable", "did you mean closed?"),
        ({"tresholds": [0.8]}, "budget[0].tresholds", "did you mean thresholds?"),
        ({"name": ""}, "budget[0].name", "1 to 200"),
        ({"name": "a/b"}, "budget[0].name", "without a slash"),
    ],
)
def test_a_mistake_names_file_key_value_and_the_way_out(changes: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_budgets([FULL | changes], "outlay.toml")
    assert caught.value.source == "outlay.toml"
    assert caught.value.key == key
    assert says in str(caught.value)


def test_two_budgets_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"budget\[1\]\.name"):
        read_budgets([FULL, FULL], "outlay.toml")


def test_every_dimension_must_match_and_any_of_its_values() -> None:
    found = budget(match={"feature": ["chat", "search"], "tag.tier": "free"})
    assert found.scope_of(call(tier="free")) == ()
    assert found.scope_of(call(feature="search", tier="free")) == ()
    assert found.scope_of(call(feature="other", tier="free")) is None
    assert found.scope_of(call(feature=None, tier="free")) is None
    assert found.scope_of(call()) is None


def test_a_budget_per_user_draws_on_each_users_own_limit() -> None:
    found = budget(per=["user", "tag.team"])
    assert found.scope_of(call(team="a")) == ("u1", "a")
    assert found.named(("u1", "a")) == {"user": "u1", "tag.team": "a"}


def test_a_call_that_does_not_say_its_user_is_not_covered_by_a_budget_per_user() -> None:
    assert budget(per=["user"]).scope_of(call(user=None)) is None
    assert budget(per=["user"]).scope_of(call(user="")) is None


def test_a_scope_survives_its_key() -> None:
    for scope in ((), ("u1",), ('q"uo,te', "ü", "[]")):
        assert read_scope_key(scope_key(scope)) == scope


def test_amounts_read_well() -> None:
    limit = budget().limit
    assert [limit.text(n) for n in (5_020_000_000, 1_500_000_000_000, 0, 40_000, 10_000_000)] == [
        "$5.02", "$1,500.00", "$0.00", "$0.00004", "$0.01",
    ]  # fmt: skip
    tokens = budget(limit={"tokens": 1_000_000}).limit
    assert [tokens.text(n) for n in (1_200, 1, 0)] == ["1,200 tokens", "1 token", "0 tokens"]
