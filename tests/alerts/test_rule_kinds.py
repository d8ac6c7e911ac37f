"""Each kind of rule on figures worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from outlay_alerts.measurements import LimitState, Measurement, Percentiles, Window
from outlay_alerts.rules import Rule
from outlay_alerts.verdict import Outcome, Severity, Verdict

from tests.alerts.judging import NOON, Plain, rule

OPENAI = (("provider", "openai"),)
ALL = ()


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
