"""The rule about budgets, on figures worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from outlay.budgets.budget import Limit
from outlay_alerts.evaluate import replay
from outlay_alerts.lifecycle import State
from outlay_alerts.measurements import BudgetState
from outlay_alerts.rules import Rule
from outlay_alerts.verdict import Outcome, Severity

from tests.alerts.judging import NOON, Plain, rule

ALL = ()


def _budget(spent: int, **keys: Any) -> BudgetState:
    return BudgetState(name="chat", scope=(("user", "u1"),), limit=Limit("usd", 5_000_000_000), spent=spent, **keys)


def _fired(judge: Rule, state: BudgetState) -> list[tuple[str | None, Severity]]:
    verdicts = judge.judge(Plain(budget_states=[state]), NOON)
    return [(dict(v.group)["threshold"], v.severity) for v in verdicts if v.outcome is Outcome.BREACHED]


def test_a_budget_warns_at_80_percent_and_is_critical_at_100() -> None:
    judge = rule("budget")
    assert _fired(judge, _budget(3_999_999_999)) == []
    assert _fired(judge, _budget(4_000_000_000)) == [("80%", Severity.WARNING)]
    assert _fired(judge, _budget(5_000_000_000)) == [("80%", Severity.WARNING), ("100%", Severity.CRITICAL)]


def test_a_budgets_own_thresholds_are_used_unless_the_rule_has_some() -> None:
    state = _budget(3_000_000_000, thresholds=(0.5, 0.7))
    assert _fired(rule("budget"), state) == [("50%", Severity.WARNING)]
    assert _fired(rule("budget", soft=[0.6]), state) == [("60%", Severity.WARNING)]
    assert _fired(rule("budget", soft=[]), state) == []


def test_a_budget_overrun_is_a_soft_and_a_hard_share_above_one() -> None:
    judge = rule("budget", soft=[1.2], hard=1.5)
    assert _fired(judge, _budget(5_900_000_000)) == []
    assert _fired(judge, _budget(6_000_000_000)) == [("120%", Severity.WARNING)]
    assert _fired(judge, _budget(7_500_000_000)) == [("120%", Severity.WARNING), ("150%", Severity.CRITICAL)]


def test_a_budgets_reason_has_the_amounts_the_share_and_the_reset() -> None:
    state = _budget(4_100_000_000, resets_at=datetime(2026, 11, 21, tzinfo=UTC))
    found = rule("budget").judge(Plain(budget_states=[state]), NOON)[0]
    assert found.reason == (
        'budget "chat" for user=u1: $4.10 of $5.00 spent (82%, at or over 80%); resets 2026-11-21 00:00 UTC'
    )
    assert found.group == (("budget", "chat"), ("user", "u1"), ("threshold", "80%"))


def test_a_budget_that_holds_calls_back_is_breached_before_it_is_spent() -> None:
    assert _fired(rule("budget"), _budget(4_900_000_000, refused=True)) == [
        ("80%", Severity.WARNING),
        ("100%", Severity.CRITICAL),
    ]
    found = rule("budget", soft=[]).judge(Plain(budget_states=[_budget(4_900_000_000, refused=True)]), NOON)[0]
    assert found.reason == 'budget "chat" for user=u1: $4.90 of $5.00 spent (98%, under 100%); calls are held back'


class NowAndThen(Plain):
    """Whether the next call fits changes with what calls under way have reserved: in every other second it does not.
    From noon and six seconds on it always does."""

    def budgets(self, now: datetime) -> Sequence[BudgetState]:
        return [_budget(3_000_000_000, refused=now.second % 2 == 0 and now < NOON + timedelta(seconds=6))]


def test_calls_held_back_now_and_then_are_one_alert() -> None:
    instants = [NOON + timedelta(seconds=second) for second in range(600)]
    found = [
        (t.after, t.at - NOON, dict(t.group)["threshold"])
        for t in replay([rule("budget", soft=[])], NowAndThen(), instants)
    ]
    last_held_back = timedelta(seconds=4)
    assert found == [
        (State.FIRING, timedelta(0), "100%"),
        (State.RESOLVED, last_held_back + timedelta(minutes=5), "100%"),
    ]


def test_a_budget_rule_can_be_about_some_budgets_only() -> None:
    assert list(rule("budget", budgets=["other"]).judge(Plain(budget_states=[_budget(9_000_000_000)]), NOON)) == []


def test_a_budget_scope_with_nothing_spent_any_more_is_well() -> None:
    assert rule("budget").absent((("budget", "chat"), ("threshold", "80%"))).outcome is Outcome.OK
    assert rule("budget").absent(ALL).outcome is Outcome.UNKNOWN
