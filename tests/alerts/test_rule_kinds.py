"""Each kind of rule on figures worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from outlay.budgets.budget import Limit
from outlay_alerts.config import read_rules
from outlay_alerts.evaluate import replay
from outlay_alerts.lifecycle import State
from outlay_alerts.measurements import BudgetState, LimitState, Match, Measurement, Percentiles, Window
from outlay_alerts.rules import Rule
from outlay_alerts.verdict import Outcome, Severity, Verdict

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OPENAI = (("provider", "openai"),)
ALL = ()


@dataclass
class Plain:
    """A reader that answers a window with the measurements listed for its start."""

    by_start: dict[datetime, Sequence[Measurement]] = field(default_factory=dict)
    anywhere: Sequence[Measurement] = ()
    budget_states: Sequence[BudgetState] = ()
    limit_states: Sequence[LimitState] = ()
    asked: list[tuple[Window, tuple[str, ...], Match]] = field(default_factory=list)

    def measure(self, window: Window, group_by: Sequence[str], match: Match) -> Sequence[Measurement]:
        self.asked.append((window, tuple(group_by), dict(match)))
        return self.by_start.get(window.start, self.anywhere)

    def budgets(self, now: datetime) -> Sequence[BudgetState]:
        return self.budget_states

    def limits(self, now: datetime) -> Sequence[LimitState]:
        return self.limit_states


def rule(kind: str, **keys: Any) -> Rule:
    return read_rules([{"name": "r", "kind": kind, **keys}], "outlay.toml")[0]


def only(verdicts: Sequence[Verdict]) -> Verdict:
    (verdict,) = verdicts
    return verdict


def judged(judge: Rule, measured: Measurement) -> Verdict:
    return only(judge.judge(Plain(anywhere=[measured]), NOON))


def test_error_rate_over_its_threshold_is_breached_and_says_by_how_much() -> None:
    found = judged(rule("error_rate", group_by=["provider"]), Measurement(group=OPENAI, calls=80, errors=5))
    assert found.outcome is Outcome.BREACHED
    assert (found.value, found.threshold, found.unit) == (Decimal("0.0625"), Decimal("0.05"), "ratio")
    assert found.reason == "error rate 6.25% over 5% in the last 5 min for provider=openai (80 calls)"
    assert found.severity is Severity.CRITICAL


def test_exactly_at_the_threshold_is_well() -> None:
    found = judged(rule("error_rate"), Measurement(group=ALL, calls=100, errors=5))
    assert (found.outcome, found.value) == (Outcome.OK, Decimal("0.05"))
    assert found.reason == "error rate 5% within 5% in the last 5 min (100 calls)"


def test_too_few_calls_are_unknown_not_well_and_not_bad() -> None:
    found = judged(rule("error_rate"), Measurement(group=ALL, calls=9, errors=9))
    assert (found.outcome, found.value) == (Outcome.UNKNOWN, None)
    assert found.reason == "error rate unknown: 9 calls in the last 5 min, 10 are needed"
    assert (
        judged(rule("error_rate", min_calls=9), Measurement(group=ALL, calls=9, errors=9)).outcome is Outcome.BREACHED
    )


def test_a_rule_reads_the_window_groups_and_matches_it_was_given() -> None:
    readers = Plain()
    asked = rule("error_rate", window="15m", group_by=["feature", "tag.tier"], match={"provider": ["openai", "groq"]})
    assert list(asked.judge(readers, NOON)) == []
    assert readers.asked == [
        (Window(NOON - timedelta(minutes=15), NOON), ("feature", "tag.tier"), {"provider": ("openai", "groq")})
    ]


@pytest.mark.parametrize(
    ("percentile", "outcome", "shown"),
    [(50, Outcome.OK, "p50 latency 800 ms within 10 s"), (95, Outcome.BREACHED, "p95 latency 12.4 s over 10 s")],
)
def test_latency_judges_the_percentile_it_was_given(percentile: int, outcome: Outcome, shown: str) -> None:
    times = Percentiles(p50=800.0, p95=12_400.0, p99=30_000.0)
    found = judged(rule("latency", percentile=percentile), Measurement(group=OPENAI, calls=212, latency_ms=times))
    assert found.outcome is outcome
    assert found.reason == f"{shown} in the last 5 min for provider=openai (212 calls)"


def test_time_to_first_token_without_streams_is_unknown() -> None:
    found = judged(rule("ttft"), Measurement(group=ALL, calls=50, latency_ms=Percentiles(p95=1.0)))
    assert found.outcome is Outcome.UNKNOWN
    assert found.reason == "p95 time to first token unknown: none was reported in the last 5 min"


def test_time_to_first_token_is_held_against_its_own_times() -> None:
    found = judged(rule("ttft", above="1500ms"), Measurement(group=ALL, calls=50, ttft_ms=Percentiles(p95=1_501.0)))
    assert (found.outcome, found.threshold) == (Outcome.BREACHED, Decimal("1500.0"))


def test_spend_is_compared_to_the_nano_dollar() -> None:
    at_limit, over = 5_000_000_000, 5_000_000_001
    spend = rule("spend", above_usd=5)
    assert judged(spend, Measurement(group=ALL, calls=3, cost_nano_usd=at_limit)).outcome is Outcome.OK
    found = judged(spend, Measurement(group=ALL, calls=3, cost_nano_usd=over))
    assert (found.outcome, found.value) == (Outcome.BREACHED, Decimal("5.000000001"))


def test_spend_that_leaves_something_out_says_so() -> None:
    found = judged(
        rule("spend", above_usd=5), Measurement(group=ALL, calls=9, unpriced_calls=3, cost_nano_usd=4_990_000_000)
    )
    assert found.reason == "spend $4.99 within $5.00 in the last 1 d (9 calls); 3 calls without a price not counted"


def test_spend_of_calls_none_of_which_has_a_price_is_unknown() -> None:
    found = judged(rule("spend", above_usd=5), Measurement(group=ALL, calls=3, unpriced_calls=3))
    assert (found.outcome, found.value) == (Outcome.UNKNOWN, None)


def test_spend_without_calls_is_zero_which_is_known() -> None:
    assert rule("spend", above_usd=5).absent(ALL).outcome is Outcome.OK


def test_spend_of_a_calendar_day_begins_at_midnight_of_its_zone() -> None:
    readers = Plain()
    day = rule("spend", above_usd=5, period="day", timezone="Asia/Kolkata")
    day.judge(readers, NOON)  # 17:30 in Kolkata, whose day began at 18:30 UTC of the day before
    assert readers.asked[0][0] == Window(datetime(2026, 11, 19, 18, 30, tzinfo=UTC), NOON)
    verdict = judged(day, Measurement(group=ALL, calls=1, cost_nano_usd=7_250_000_000))
    assert verdict.reason == "spend $7.25 over $5.00 this day (Asia/Kolkata) (1 call)"


@pytest.mark.parametrize(
    ("kind", "at_limit", "over", "threshold"),
    [
        ("rate_limited", {"rate_limited": 10}, {"rate_limited": 11}, 10),
        ("auth_failures", {"auth_failures": 0}, {"auth_failures": 1}, 0),
        ("unpriced", {"unpriced_calls": 0}, {"unpriced_calls": 1}, 0),
    ],
)
def test_counting_kinds_fire_strictly_above_their_count(
    kind: str, at_limit: dict[str, int], over: dict[str, int], threshold: int
) -> None:
    assert judged(rule(kind), Measurement(group=ALL, calls=50, **at_limit)).outcome is Outcome.OK
    found = judged(rule(kind), Measurement(group=ALL, calls=50, **over))
    assert (found.outcome, found.threshold) == (Outcome.BREACHED, Decimal(threshold))


def test_cache_hit_rate_is_the_cached_share_of_the_input() -> None:
    found = judged(rule("cache_hit_rate"), Measurement(group=ALL, calls=100, input_tokens=1_000, cache_read_tokens=299))
    assert (found.outcome, found.value) == (Outcome.BREACHED, Decimal("0.299"))
    assert found.reason == "cache hit rate 29.9% under 30% in the last 1 h (100 calls)"
    at_limit = Measurement(group=ALL, calls=100, input_tokens=1_000, cache_read_tokens=300)
    assert judged(rule("cache_hit_rate"), at_limit).outcome is Outcome.OK


def test_a_cache_nobody_reported_on_is_unknown() -> None:
    found = judged(rule("cache_hit_rate"), Measurement(group=ALL, calls=100, input_tokens=1_000))
    assert found.outcome is Outcome.UNKNOWN


def _spiking(kind: str, before: Measurement | None, now: Measurement, hours: int) -> Verdict:
    start = NOON - timedelta(hours=hours)
    readers = Plain({start - timedelta(days=7): [before] if before else [], start: [now]})
    return only(rule(kind).judge(readers, NOON))


def test_a_traffic_spike_is_a_multiple_of_the_normal_hour() -> None:
    normal = Measurement(group=ALL, calls=16_800)  # 168 hours in 7 days: 100 calls an hour
    found = _spiking("traffic_spike", normal, Measurement(group=ALL, calls=301), hours=1)
    assert (found.outcome, found.value) == (Outcome.BREACHED, Decimal("3.01"))
    assert found.reason == "traffic 3.01x over 3x in the last 1 h (301 calls)"
    assert _spiking("traffic_spike", normal, Measurement(group=ALL, calls=300), hours=1).outcome is Outcome.OK


def test_a_spike_with_nothing_to_compare_with_is_unknown() -> None:
    found = _spiking("traffic_spike", None, Measurement(group=ALL, calls=9_000), hours=1)
    assert found.outcome is Outcome.UNKNOWN
    assert found.reason == "traffic unknown: the 7 d before had too little to compare with"


def test_a_cost_spike_is_a_multiple_of_the_normal_day() -> None:
    normal = Measurement(group=ALL, calls=700, cost_nano_usd=70_000_000_000)  # $10 a day
    found = _spiking("cost_spike", normal, Measurement(group=ALL, calls=100, cost_nano_usd=15_000_000_001), hours=24)
    assert found.outcome is Outcome.BREACHED
    assert (
        _spiking("cost_spike", normal, Measurement(group=ALL, calls=100, cost_nano_usd=15_000_000_000), 24).outcome
        is Outcome.OK
    )


def test_no_data_without_groups_fires_when_nothing_comes() -> None:
    found = only(rule("no_data").judge(Plain(), NOON))
    assert (found.outcome, found.group) == (Outcome.BREACHED, ALL)
    assert found.reason == "no calls in the last 1 h, at least 1 expected"


def test_no_data_by_group_misses_those_it_has_seen() -> None:
    chat, batch = (("feature", "chat"),), (("feature", "batch"),)
    seen = [Measurement(group=chat, calls=50), Measurement(group=batch, calls=2)]
    readers = Plain({NOON - timedelta(hours=1): seen[:1], NOON - timedelta(days=7): seen})
    found = {v.group: v.outcome for v in rule("no_data", group_by=["feature"]).judge(readers, NOON)}
    assert found == {chat: Outcome.OK, batch: Outcome.BREACHED}


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


def test_values_an_application_said_cannot_break_the_line() -> None:
    hostile = (("user", "eve\r\nBcc: all@example.org" + "x" * 200),)
    found = judged(rule("error_rate"), Measurement(group=hostile, calls=80, errors=80))
    assert "\n" not in found.reason
    assert "\r" not in found.reason
    assert len(found.reason) < 200


def _limit(remaining: int, name: str = "requests") -> LimitState:
    return LimitState(provider="openai", model="gpt-4o", service=None, name=name, limit=500, remaining=remaining)


def test_headroom_fires_strictly_below_its_share_for_each_limit_by_itself() -> None:
    tight, roomy = rule("headroom").judge(Plain(limit_states=[_limit(49), _limit(50, "tokens")]), NOON)
    assert (tight.outcome, roomy.outcome) == (Outcome.BREACHED, Outcome.OK)
    assert (tight.value, tight.threshold) == (Decimal("0.098"), Decimal("0.1"))
    assert ("limit", "requests") in tight.group
    assert "49 of 500 requests" in tight.reason


def test_headroom_is_well_again_once_the_limit_was_reset_and_unknown_where_none_was_seen() -> None:
    judge = rule("headroom", providers=["anthropic"])
    assert judge.judge(Plain(limit_states=[_limit(0)]), NOON) == []
    assert judge.absent((("provider", "openai"), ("limit", "requests"))).outcome is Outcome.OK
    assert judge.absent(()).outcome is Outcome.UNKNOWN
