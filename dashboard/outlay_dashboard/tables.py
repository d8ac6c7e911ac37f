"""Rows of the API to tables. Pure: answers in, a pandas Styler out.

The value itself stays in the cell, so that a click on a header sorts by it; what is read is written by `format`.
Amounts stay `Decimal`: a float could not hold every digit of a large one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from outlay_dashboard import format as fmt
from outlay_dashboard import theme
from outlay_dashboard.answers.alerts import Alert, Delivery, Transition
from outlay_dashboard.answers.calls import Call, Node
from outlay_dashboard.answers.usage import SpendRow, UsageRow, cost_of
from outlay_dashboard.answers.values import Json, Pairs

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

_INDENT: Final = "\u2003"
"""A space that tables do not take away."""
_COLOUR_OF: Final = {
    "estimated": theme.WARNING,
    "partial": theme.WARNING,
    "unpriced": theme.ERROR,
    "error": theme.ERROR,
    "failed": theme.ERROR,
    "firing": theme.ERROR,
    "pending": theme.WARNING,
    "resolved": theme.PRIMARY,
}


def breakdown(dimension: str, totals: Sequence[UsageRow], everything: Sequence[SpendRow]) -> Styler:
    """Everything known of each value of a dimension, `totals`; shares are of `everything`. No row has a bucket."""
    whole = cost_of(everything)
    rows = [
        {
            dimension.capitalize(): fmt.name(row.group[0]),
            "Spend": row.cost_usd,
            "Share": float(row.cost_usd / whole) if whole and row.cost_usd is not None else None,
            "No price": row.unpriced_calls,
            "Calls": row.calls,
            "Errors": _share(row.errors, row.calls),
            "Rate-limited": row.rate_limited,
            "p50": row.latency_ms.p50,
            "p95": row.latency_ms.p95,
            "First token p50": row.ttft_ms.p50,
            "Input tokens": row.input_tokens,
            "From cache": _share(row.cache_read_tokens, row.input_tokens),
            "Output tokens": row.output_tokens,
        }
        for row in totals
    ]
    return _written(
        rows,
        {
            "Spend": fmt.exact_usd,
            "No price": _whole,
            "Calls": _whole,
            "Errors": fmt.percent,
            "Rate-limited": _whole,
            "p50": fmt.duration,
            "p95": fmt.duration,
            "First token p50": fmt.duration,
            "Input tokens": _whole,
            "From cache": fmt.percent,
            "Output tokens": _whole,
        },
    )


def calls(entries: Sequence[Call], zone: tzinfo) -> Styler:
    """The list of calls, times by the clock of `zone`."""
    rows = [
        {
            "Time": _by_clock(call.started_at, zone),
            "Status": call.status if call.error_type is None else f"{call.status}: {call.error_type}",
            "Model": fmt.name(call.model),
            "Cost": call.cost_usd,
            "Price": call.cost_status.replace("_", " "),
            "Duration": call.duration_ms,
            "Input": call.input_tokens,
            "Cached": call.cache_read_tokens,
            "Output": call.output_tokens,
            "Retries": call.retries,
            "Feature": call.feature or "",
            "User": call.user or "",
            "Tenant": call.tenant or "",
            "Why this price": call.cost_reason or "",
        }
        for call in entries
    ]
    styler = _written(
        rows,
        {
            "Time": fmt.moment,
            "Cost": fmt.exact_usd,
            "Duration": fmt.duration,
            "Input": _whole,
            "Cached": _whole,
            "Output": _whole,
            "Retries": _whole,
        },
    )
    return styler.map(_coloured, subset=["Status", "Price"]) if rows else styler


def lines(call: Json) -> Styler | None:
    """The bill of one call, line by line, exactly as it was added up."""
    return _written_or_none(
        [
            {
                "Unit": line["unit"],
                "Quantity": Decimal(str(line["quantity"])),
                "Rate": f"{fmt.exact_usd(Decimal(line['rate']))} for {int(line.get('per') or 1):,}",
                "Cost": Decimal(line["cost_usd"]),
            }
            for line in call["lines"]
        ],
        {"Quantity": lambda quantity: f"{quantity:,f}", "Cost": fmt.exact_usd},
    )


def quantities(call: Json) -> Styler | None:
    """What one call used, by unit, in the order of the API; `reasoning` is a part of `output`."""
    usage = {unit: quantity for unit, quantity in (call["usage"] or {}).items() if not unit.startswith("~")}
    return _written_or_none(
        [{"Unit": unit, "Quantity": Decimal(str(quantity))} for unit, quantity in usage.items()],
        {"Quantity": lambda quantity: f"{quantity:,f}"},
    )


def nodes(trace: Sequence[Node], call_id: str) -> Styler | None:
    """The trace of a call, that call marked; None where the trace is nothing but the call."""
    if len(trace) < 2:
        return None
    return _written_or_none(
        [
            {
                "Step": f"{_INDENT * node.depth}{'▸ ' if node.call_id == call_id else ''}{node.name}",
                "Kind": node.kind,
                "Calls": node.calls,
                "Cost": node.cost_usd,
                "No price": node.unpriced_calls,
                "Duration": node.duration_ms,
                "Ended": "failed" if node.failed else "",
            }
            for node in trace
        ],
        {"Calls": _whole, "Cost": fmt.exact_usd, "No price": _whole, "Duration": fmt.duration},
    )


def attempts(call: Json) -> Styler | None:
    """Each HTTP try. No status: no answer came."""
    return _written_or_none(
        [
            {
                "Attempt": place,
                "Status": str(attempt.get("status") or attempt.get("error") or fmt.UNKNOWN),
                "Duration": attempt.get("ms"),
                "Asked to wait": "" if attempt.get("retry_after_s") is None else f"{attempt['retry_after_s']:g} s",
            }
            for place, attempt in enumerate(call["attempts"] or [], start=1)
        ],
        {"Duration": fmt.duration},
    )


def alerts(entries: Sequence[Alert], zone: tzinfo) -> Styler:
    """Every rule and group that is watched, in the order of the API: the loudest first."""
    rows = [
        {
            "State": alert.state,
            "Rule": alert.rule,
            "For": _named(alert.group),
            "Severity": alert.severity,
            "Value": fmt.measure(alert.value, alert.unit),
            "Threshold": fmt.measure(alert.threshold, alert.unit),
            "Since": _by_clock(alert.since, zone),
            "Health": alert.health.replace("_", " "),
            "Reason": alert.reason or "",
        }
        for alert in entries
    ]
    styler = _written(rows, {"Since": fmt.moment})
    return styler.map(_coloured, subset=["State"]) if rows else styler


def transitions(entries: Sequence[Transition], zone: tzinfo) -> Styler:
    rows = [
        {
            "Time": _by_clock(entry.at, zone),
            "Rule": entry.rule,
            "For": _named(entry.group),
            "From": entry.from_state,
            "To": entry.to_state,
            "Severity": entry.severity,
            "Value": fmt.measure(entry.value, entry.unit),
            "Told": "; ".join(_told(delivery) for delivery in entry.deliveries),
            "Reason": entry.reason or "",
        }
        for entry in entries
    ]
    styler = _written(rows, {"Time": fmt.moment})
    return styler.map(_coloured, subset=["To"]) if rows else styler


def _written(rows: Sequence[Json], words: dict[str, Callable[[Any], str]]) -> Styler:
    frame = pd.DataFrame(rows)
    return frame.style.format({name: write for name, write in words.items() if name in frame}, na_rep=fmt.UNKNOWN)


def _written_or_none(rows: Sequence[Json], words: dict[str, Callable[[Any], str]]) -> Styler | None:
    return _written(rows, words) if rows else None


def _by_clock(at: datetime | None, zone: tzinfo) -> datetime | None:
    """The time a clock of that zone shows: a column of times is in one zone, which it does not name."""
    return None if at is None else at.astimezone(zone).replace(tzinfo=None)


def _whole(number: float) -> str:
    return f"{number:,.0f}"


def _share(part: int | None, whole: int | None) -> float | None:
    return part / whole if part is not None and whole else None


def _told(delivery: Delivery) -> str:
    tries = f" after {delivery.attempts} attempts" if delivery.attempts > 1 else ""
    cause = f" ({delivery.error})" if delivery.error else ""
    return f"{delivery.channel}: {delivery.status}{tries}{cause}"


def _named(group: Pairs) -> str:
    return ", ".join(f"{dimension} {fmt.name(value)}" for dimension, value in group)


def _coloured(cell: object) -> str:
    colour = _COLOUR_OF.get(str(cell).partition(":")[0])
    return f"color: {colour}; font-weight: 600" if colour else ""
