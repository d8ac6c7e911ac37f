"""The headline figures, the budgets and the banner as a reader, a screen reader and a test meet them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from outlay_dashboard import cards
from outlay_dashboard.answers.alerts import Alert
from outlay_dashboard.answers.budgets import Budget
from outlay_dashboard.answers.usage import Percentiles, Period, Projection, Summary, UsageRow

RowMaker = Callable[..., UsageRow]

NOW = datetime(2026, 11, 21, 13, 45, tzinfo=UTC)
DAY = Period(
    from_at=datetime(2026, 11, 21, tzinfo=UTC),
    calls=1200,
    errors=3,
    unpriced_calls=0,
    cost_usd=Decimal("4.994020001"),
    avoided_usd=None,
    error_rate=0.0025,
    latency_ms=Percentiles(840.0, 1241.387, 3000.0),
)
MONTH = replace(DAY, from_at=datetime(2026, 11, 1, tzinfo=UTC), cost_usd=Decimal("1234.5"), calls=90_000)
SUMMARY = Summary(NOW, DAY, MONTH, Projection(Decimal("1800.25"), Decimal("1700"), Decimal("1900.5")))
BUDGET = Budget(
    name="chat-daily",
    scope=(("user", "u<1>"),),
    period="day",
    unit="usd",
    limit=Decimal("5"),
    spent=Decimal("2.13045"),
    leased=Decimal("0.5"),
    remaining=Decimal("2.36955"),
    resets_at=NOW + timedelta(hours=10, minutes=15),
    on_limit="block",
    state="ok",
)


def by_label(found: tuple[cards.Card, ...]) -> dict[str, cards.Card]:
    return {card.label: card for card in found}


def test_each_headline_shows_a_readable_figure_and_holds_the_exact_one() -> None:
    found = by_label(cards.headline(SUMMARY, [], []))
    assert (found["Spend today"].text, found["Spend today"].value) == ("$4.99", "4.994020001")
    assert found["Spend today"].exact == "$4.994020001"
    assert found["Month to date"].text == "$1,234.50"
    assert (found["Projected month end"].text, found["Projected month end"].note) == (
        "$1,800.25",
        "$1,700.00 to $1,900.50",
    )
    assert found["Calls today"].text == "1,200"
    assert (found["Error rate today"].text, found["Error rate today"].exact) == ("0.25%", "3 errors in 1,200 calls")
    assert (found["p95 latency today"].text, found["p95 latency today"].exact) == ("1.24 s", "1241.387 ms")


def test_spend_that_leaves_calls_out_says_so_beside_the_figure() -> None:
    summary = replace(SUMMARY, today=replace(DAY, unpriced_calls=3))
    card = by_label(cards.headline(summary, [], []))["Spend today"]
    assert (card.text, card.note, card.tone) == ("$4.99", "and 3 calls without a price", "warning")
    assert card.exact == "$4.994020001 and 3 calls without a price"


def test_spend_of_nothing_but_unpriced_calls_is_a_dash() -> None:
    summary = replace(SUMMARY, today=replace(DAY, calls=3, unpriced_calls=3, cost_usd=None))
    card = by_label(cards.headline(summary, [], []))["Spend today"]
    assert (card.text, card.value) == ("\N{EN DASH}", None)


def test_a_day_without_calls_has_spent_nothing_and_has_no_error_rate() -> None:
    nothing = replace(DAY, calls=0, errors=0, cost_usd=None, error_rate=None, latency_ms=Percentiles(None, None, None))
    found = by_label(cards.headline(replace(SUMMARY, today=nothing, projected_month_end=None), [], []))
    assert found["Spend today"].text == "$0.00"
    assert found["Error rate today"].text == "\N{EN DASH}"
    assert found["p95 latency today"].text == "\N{EN DASH}"
    assert found["Projected month end"].text == "\N{EN DASH}"


def test_the_small_bars_leave_a_place_for_every_hour_and_day(usage_row: RowMaker) -> None:
    hours = [usage_row(bucket="2026-11-21T02:00:00Z", calls=4), usage_row(bucket="2026-11-21T05:00:00Z", calls=2)]
    days = [usage_row(bucket="2026-11-03T00:00:00Z", cost_usd="1.5")]
    found = by_label(cards.headline(SUMMARY, hours, days))
    assert found["Calls today"].spark == (None, None, 4.0, None, None, 2.0, *[None] * 18)
    assert found["Month to date"].spark == (None, None, 1.5, *[None] * 27)


def test_a_card_is_named_after_what_it_measures() -> None:
    markup = cards.grid([cards.Card(label="Spend today", text="$4.99", exact="$4.994020001", value="4.994020001")])
    assert 'aria-label="Spend today"' in markup
    assert 'title="$4.994020001" data-value="4.994020001">$4.99<' in markup


def test_a_budget_shows_what_is_spent_lent_and_left() -> None:
    markup = cards.budgets([BUDGET], NOW)
    assert "<strong>$2.13</strong> of $5.00" in markup
    assert 'aria-valuenow="43"' in markup
    assert "width:42.61%" in markup
    assert "width:10.00%" in markup
    assert "per day · blocks · resets in 10 h 15 min" in markup
    assert "spent $2.13045, lent to processes $0.50, left $2.36955 of $5.00" in markup


def test_a_rolling_budget_of_tokens_speaks_of_tokens_and_never_resets() -> None:
    rolling = replace(
        BUDGET, unit="tokens", limit=Decimal(1_000_000), spent=Decimal(1200), leased=Decimal(0), period="rolling 24h",
        resets_at=None,
    )  # fmt: skip
    markup = cards.budgets([rolling], NOW)
    assert "<strong>1,200 tokens</strong> of 1,000,000 tokens" in markup
    assert "<span>rolling 24h · blocks</span>" in markup


def test_names_from_an_application_cannot_become_markup() -> None:
    assert "u&lt;1&gt;" in cards.budgets([BUDGET], NOW)
    assert "u<1>" not in cards.budgets([BUDGET], NOW)


def test_a_budget_tells_what_it_held_back_and_when_it_will_be_gone() -> None:
    assert "held back" not in cards.budgets([BUDGET], NOW)
    held = replace(BUDGET, held_back_calls=3, avoided_usd=Decimal("0.25"), exhausts_at=NOW + timedelta(hours=2))
    told = cards.budgets([held], NOW)
    assert "3 calls held back, up to $0.25 avoided · at this pace gone in 2 h" in told
    assert "per day · paused · resets" in cards.budgets([replace(BUDGET, is_paused=True)], NOW)


def test_a_budget_that_is_overspent_fills_its_bar_and_no_more() -> None:
    over = replace(BUDGET, spent=Decimal("7.5"), leased=Decimal("1"), state="exhausted")
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", cards.budgets([over], NOW))]
    assert widths == [100.0, 0.0]
    assert "150% spent" in cards.budgets([over], NOW)
    assert "per day · calls are held back · resets" in cards.budgets([over], NOW)
    assert "per day · alerts only · resets" in cards.budgets([replace(over, on_limit="alert")], NOW)


def test_the_banner_names_what_fires_and_only_that() -> None:
    quiet = Alert(
        rule="slow", group=(), state="inactive", health="ok", value=Decimal("3.2"), threshold=Decimal(10), unit="ms",
        severity="warning", since=None, reason=None,
    )  # fmt: skip
    loud = replace(
        quiet, rule="errors", group=(("provider", "openai"),), state="firing", since=NOW - timedelta(minutes=7),
        reason="8.1% is above 5%",
    )  # fmt: skip
    assert cards.firing([quiet], NOW) == ""
    markup = cards.firing([quiet, loud], NOW)
    assert re.sub(r"<[^>]+>", "|", markup).replace("||", "|").strip("|") == "errors|warning| 8.1% is above 5%|7 min ago"
    assert 'role="alert"' in markup


def test_a_banner_with_no_room_for_all_says_how_many_more_there_are() -> None:
    alert = Alert(
        rule="errors", group=(), state="firing", health="ok", value=None, threshold=None, unit="ratio",
        severity="critical", since=None, reason="too many",
    )  # fmt: skip
    assert cards.firing([alert] * 5, NOW, 3).count("too many") == 3
    assert "and 2 more, on the page of alerts" in cards.firing([alert] * 5, NOW, 3)
    assert "more" not in cards.firing([alert] * 3, NOW, 3)
