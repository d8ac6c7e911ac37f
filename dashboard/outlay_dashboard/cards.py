"""Figures, the facts of a call, the meters of budgets and the banner of alerts, as HTML. Pure: answers in, markup out.

Each figure is an element named after what it measures (`aria-label`), shows the readable amount, and carries the exact
one in `title` and `data-value`. Whatever comes from an application is escaped.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from html import escape
from typing import TypeVar

from outlay_dashboard import format as fmt
from outlay_dashboard.answers.alerts import Alert
from outlay_dashboard.answers.budgets import Budget
from outlay_dashboard.answers.calls import Call
from outlay_dashboard.answers.usage import Period, SpendRow, Summary, UsageRow
from outlay_dashboard.answers.values import Pairs

Row = TypeVar("Row", bound=SpendRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One figure. `value` is its plain digits, None for unknown; `tone` is warning, bad or nothing."""

    label: str
    text: str
    exact: str
    value: str | None = None
    note: str = ""
    tone: str = ""
    spark: tuple[float | None, ...] = ()


def headline(summary: Summary, hours: Sequence[UsageRow], days: Sequence[SpendRow]) -> tuple[Card, ...]:
    """The figures at the top. `hours` are today's rows and `days` this month's, neither grouped, for the small bars."""
    today, month = summary.today, summary.month_to_date
    today_by_hour = _slots(hours, today.from_at, timedelta(hours=1), 24)
    month_by_day = _slots(days, month.from_at, timedelta(days=1), monthrange(*month.from_at.timetuple()[:2])[1])
    return (
        _spend_card("Spend today", today, _shape(today_by_hour, lambda row: row.cost_usd)),
        _spend_card("Month to date", month, _shape(month_by_day, lambda row: row.cost_usd)),
        _projection_card(summary),
        Card(
            label="Calls today",
            text=fmt.count(today.calls),
            exact=fmt.plural(today.calls, "call"),
            value=str(today.calls),
            note=f"{fmt.count(month.calls)} this month",
            spark=_shape(today_by_hour, lambda row: row.calls),
        ),
        Card(
            label="Error rate today",
            text=fmt.percent(today.error_rate),
            exact=f"{fmt.plural(today.errors, 'error')} in {fmt.plural(today.calls, 'call')}",
            value=None if today.error_rate is None else str(today.error_rate),
            note=f"{fmt.plural(today.errors, 'failed call')}",
            tone="bad" if (today.error_rate or 0) > 0.05 else "",
            spark=_shape(today_by_hour, lambda row: row.errors),
        ),
        Card(
            label="p95 latency today",
            text=fmt.duration(today.latency_ms.p95),
            exact=fmt.UNKNOWN if today.latency_ms.p95 is None else f"{today.latency_ms.p95} ms",
            value=None if today.latency_ms.p95 is None else str(today.latency_ms.p95),
            note=f"p50 {fmt.duration(today.latency_ms.p50)}",
            spark=_shape(today_by_hour, lambda row: row.latency_ms.p95),
        ),
    )


def grid(cards: Iterable[Card]) -> str:
    return f'<div class="outlay-cards">{"".join(_card(card) for card in cards)}</div>'


def of_call(call: Call) -> tuple[Card, ...]:
    """The figures of one call."""
    return (
        Card(
            label="Cost",
            text=fmt.exact_usd(call.cost_usd),
            exact=fmt.exact_usd(call.cost_usd),
            value=None if call.cost_usd is None else f"{call.cost_usd:f}",
            note=call.cost_status.replace("_", " "),
            tone="warning" if call.cost_status in ("unpriced", "partial", "estimated") else "",
        ),
        Card(label="Input tokens", text=fmt.count(call.input_tokens), exact="", note=_cached(call)),
        Card(label="Output tokens", text=fmt.count(call.output_tokens), exact=""),
        Card(
            label="Duration",
            text=fmt.duration(call.duration_ms),
            exact=fmt.UNKNOWN if call.duration_ms is None else f"{call.duration_ms} ms",
            note=f"first token after {fmt.duration(call.ttft_ms)}" if call.ttft_ms is not None else "",
        ),
        Card(
            label="Status",
            text=call.status,
            exact=call.error_type or call.status,
            note=call.error_type or fmt.plural(call.retries, "retry", "retries"),
            tone="bad" if call.status == "error" else "",
        ),
    )


def facts(values: Mapping[str, str | None]) -> str:
    """Names and values side by side; what is None is left out."""
    entries = "".join(
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(value)}</dd></div>"
        for name, value in values.items()
        if value is not None
    )
    return f'<dl class="outlay-facts">{entries}</dl>'


def budgets(entries: Sequence[Budget], now: datetime) -> str:
    """One meter a budget and scope: what is spent, what is lent to running processes, what is left."""
    return f'<div class="outlay-meters">{"".join(_meter(entry, now) for entry in entries)}</div>'


def firing(alerts: Sequence[Alert], now: datetime, most: int | None = None) -> str:
    """A banner of what is firing, at most so many lines and then how many more; nothing where nothing fires."""
    loud = [alert for alert in alerts if alert.state == "firing"]
    lines = [
        f"<li><strong>{escape(alert.rule)}</strong>{_span('scope', alert.severity)} {escape(alert.reason or '')}"
        f"{_span('faint', fmt.since(alert.since, now)) if alert.since else ''}</li>"
        for alert in loud[:most]
    ]
    if more := len(loud) - len(lines):
        lines.append(f"<li>and {more:,} more, on the page of alerts</li>")
    if not lines:
        return ""
    return f'<div class="outlay-banner bad" role="alert" aria-label="Firing alerts"><ul>{"".join(lines)}</ul></div>'


def all_quiet(rules: int) -> str:
    """The banner of a good day."""
    words = escape(f"Nothing is firing; {fmt.plural(rules, 'series', 'series')} watched.")
    return f'<div class="outlay-banner good" role="status">{words}</div>'


def used(budget: Budget) -> float:
    """The share of the limit that is spent; a limit of nothing is used up."""
    return float(budget.spent / budget.limit) if budget.limit else 1.0


def _cached(call: Call) -> str:
    return f"{call.cache_read_tokens:,} from cache" if call.cache_read_tokens else ""


def _spend_card(label: str, period: Period, shape: tuple[float | None, ...]) -> Card:
    known = fmt.known_spend(period.cost_usd, period.calls)
    return Card(
        label=label,
        text=fmt.usd(known),
        exact=fmt.spend(period.cost_usd, calls=period.calls, unpriced=period.unpriced_calls, exact=True),
        value=None if known is None else f"{known:f}",
        note=" · ".join(_beside(period)),
        tone="warning" if period.unpriced_calls else "",
        spark=shape,
    )


def _slots(rows: Iterable[Row], from_at: datetime, step: timedelta, number: int) -> list[Row | None]:
    """The rows in their places of a whole day or month, None where there was no call or the time is still to come."""
    slots: list[Row | None] = [None] * (number + 1)  # the day on which the clocks go back has an hour more
    for row in rows:
        if row.bucket_at is not None:
            slots[round((row.bucket_at - from_at) / step)] = row
    return slots if slots[number] else slots[:number]


def _shape(slots: Iterable[Row | None], read: Callable[[Row], Decimal | float | None]) -> tuple[float | None, ...]:
    values = (None if row is None else read(row) for row in slots)
    return tuple(None if value is None else float(value) for value in values)


def _beside(period: Period) -> Iterator[str]:
    if period.unpriced_calls:
        yield f"and {fmt.plural(period.unpriced_calls, 'call')} without a price"
    if period.avoided_usd:
        yield f"{fmt.usd(period.avoided_usd)} avoided by your cache"


def _projection_card(summary: Summary) -> Card:
    projected = summary.projected_month_end
    if projected is None:
        return Card(
            label="Projected month end",
            text=fmt.UNKNOWN,
            exact="too little of the month is known to project it",
            note="not enough data yet",
        )
    band = f"{fmt.usd(projected.low_usd)} to {fmt.usd(projected.high_usd)}"
    return Card(
        label="Projected month end",
        text=fmt.usd(projected.cost_usd),
        exact=f"{fmt.exact_usd(projected.cost_usd)}, between {fmt.exact_usd(projected.low_usd)} "
        f"and {fmt.exact_usd(projected.high_usd)}",
        value=f"{projected.cost_usd:f}",
        note=band,
    )


def _card(card: Card) -> str:
    value = "" if card.value is None else f' data-value="{escape(card.value)}"'
    return (
        f'<section class="outlay-card {card.tone}" aria-label="{escape(card.label)}">'
        f'<div class="label">{escape(card.label)}</div>'
        f'<div class="figure" title="{escape(card.exact)}"{value}>{escape(card.text)}</div>'
        f'<div class="note">{escape(card.note)}</div>{_spark(card.spark)}</section>'
    )


def _spark(values: Sequence[float | None]) -> str:
    """Bars without axes: the shape of the figure over its period. Unknown leaves a gap."""
    highest = max((value for value in values if value is not None), default=0)
    if highest <= 0 or len(values) < 2:
        return ""
    bars = "".join(f'<i style="height:{(value or 0) / highest * 100:.1f}%"></i>' for value in values)
    return f'<div class="spark" aria-hidden="true">{bars}</div>'


def _meter(budget: Budget, now: datetime) -> str:
    unit, share = budget.unit, used(budget)
    lent = min(float(budget.leased / budget.limit), max(1 - share, 0)) if budget.limit else 0.0
    exact = (
        f"spent {fmt.exact_amount(budget.spent, unit)}, lent to processes {fmt.exact_amount(budget.leased, unit)}, "
        f"left {fmt.exact_amount(budget.remaining, unit)} of {fmt.exact_amount(budget.limit, unit)}"
    )
    lent_words = f", {fmt.amount(budget.leased, unit)} lent to processes" if budget.leased else ""
    period = budget.period if budget.resets_at is None else f"per {budget.period}"
    resets = "" if budget.resets_at is None else f" · resets {fmt.until(budget.resets_at, now)}"
    return (
        f'<section class="outlay-meter {escape(budget.state)}" aria-label="Budget {escape(budget.name)}" '
        f'title="{escape(exact)}">'
        f'<div class="line"><span><strong>{escape(budget.name)}</strong>{_scope(budget.scope)}</span>'
        f"<span><strong>{fmt.amount(budget.spent, unit)}</strong> of {fmt.amount(budget.limit, unit)}</span></div>"
        '<div class="track" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{share * 100:.0f}">'
        f'<div class="spent" style="width:{min(share, 1) * 100:.2f}%"></div>'
        f'<div class="lent" style="width:{lent * 100:.2f}%"></div></div>'
        f'<div class="line faint"><span>{fmt.percent(share)} spent{lent_words}</span>'
        f"<span>{escape(period)} · {_enforcement(budget)}{resets}</span></div>{_outlook(budget, now)}</section>"
    )


def _enforcement(budget: Budget) -> str:
    if budget.is_paused:
        return "paused"
    if budget.on_limit != "block":
        return "alerts only"
    return "calls are held back" if budget.state == "exhausted" else "blocks"


def _outlook(budget: Budget, now: datetime) -> str:
    """When it will be gone, and what it has held back; nothing where there is nothing to tell."""
    told = []
    if budget.held_back_calls:
        avoided = "" if budget.avoided_usd is None else f", up to {fmt.usd(budget.avoided_usd)} avoided"
        told.append(f"{fmt.plural(budget.held_back_calls, 'call')} held back{avoided}")
    if budget.exhausts_at is not None:
        told.append(f"at this pace gone {fmt.until(budget.exhausts_at, now)}")
    return f'<div class="line faint"><span>{escape(" · ".join(told))}</span></div>' if told else ""


def _scope(pairs: Pairs) -> str:
    return "".join(_span("scope", f"{key} {fmt.name(value)}") for key, value in pairs)


def _span(css: str, text: str) -> str:
    return f'<span class="{css}">{escape(text)}</span>'
