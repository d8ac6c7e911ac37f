"""The state of spend at a glance: today, the month so far, and where the month is going."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from outlay_collector.api.asking import TIMEZONE_PARAMETER, read_timezone, refuse_unknown
from outlay_collector.api.budgets import states_json
from outlay_collector.api.dependencies import EngineOf, NowNs, StoreOf
from outlay_collector.api.usage import percentiles_json
from outlay_collector.api.written import written
from outlay_collector.budget_states import budget_states
from outlay_collector.money import usd_text
from outlay_collector.periods import edges, rfc3339, start_of
from outlay_collector.reports.projection import DAYS_SEEN, Projection, project
from outlay_collector.store.base import CallStore
from outlay_collector.store.engine import reading_at_once
from outlay_collector.store.losses import lost_calls
from outlay_collector.store.query import Percentiles, UsageQuery, UsageRow

router = APIRouter(prefix="/api/v1", tags=["usage"])

_DAY_NS: Final = 24 * 3600 * 1_000_000_000
_QUARTER_NS: Final = _DAY_NS // 96


@router.get("/summary", response_model=dict[str, Any], openapi_extra={"parameters": [TIMEZONE_PARAMETER]})
def get_summary(request: Request, store: StoreOf, engine: EngineOf, now_ns: NowNs) -> Response:
    """Today, the month to date, and the month's projected end: null while there is too little to go by."""
    refuse_unknown(request.query_params, ("timezone",))
    zone = read_timezone(request.query_params)
    with reading_at_once(engine) as connection:
        said = _summary(connection, store, now_ns, zone)
        said["budgets"] = states_json(budget_states(engine, now_ns))
    return written(said)


def _summary(connection: Connection, store: CallStore, now_ns: int, zone: ZoneInfo) -> dict[str, Any]:
    day, month = start_of("day", now_ns, zone), start_of("month", now_ns, zone)
    this_month = _since(month, store, now_ns)
    lost_today, lost_this_month = (_lost_json(lost_calls(connection, begin)) for begin in (day, month))
    projection = _projection(store, now_ns, zone, (this_month and this_month.cost_nano_usd) or 0)
    return {
        "now": rfc3339(now_ns, zone),
        "timezone": zone.key,
        "today": _json(_since(day, store, now_ns), day, now_ns, zone) | lost_today,
        "month_to_date": _json(this_month, month, now_ns, zone) | lost_this_month,
        "projected_month_end": projection
        and {
            "cost_usd": usd_text(projection.expected),
            "low_usd": usd_text(projection.low),
            "high_usd": usd_text(projection.high),
        },
    }


def _since(begin: int, store: CallStore, now_ns: int) -> UsageRow | None:
    rows = store.usage(UsageQuery(from_ns=begin, to_ns=now_ns + 1))
    return rows[0] if rows else None


def _json(row: UsageRow | None, begin: int, now_ns: int, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "from": rfc3339(begin, zone),
        "to": rfc3339(now_ns, zone),
        "calls": row.calls if row else 0,
        "errors": row.errors if row else 0,
        "unpriced_calls": row.unpriced_calls if row else 0,
        "cost_usd": usd_text(row.cost_nano_usd if row else 0),
        "avoided_usd": usd_text(row.avoided_nano_usd if row else 0),
        "error_rate": row.errors / row.calls if row else None,
        "latency_ms": percentiles_json(row.latency_ms if row else Percentiles()),
    }


def _lost_json(by_reason: Mapping[str, int]) -> dict[str, Any]:
    """Calls that clients could not deliver: they are in no figure beside these."""
    return {"lost_calls": sum(by_reason.values()), "lost_by_reason": dict(by_reason)}


def _projection(store: CallStore, now_ns: int, zone: ZoneInfo, spent: int) -> Projection | None:
    """From days that end with the last quarter of an hour: so much of them as is over is summed up."""
    first, until = store.first_call_at_ns(), now_ns - now_ns % _QUARTER_NS
    days = 0 if first is None else max(0, min(DAYS_SEEN, (until - first) // _DAY_NS))
    ends = [until - n * _DAY_NS for n in range(days, -1, -1)]
    of_days = UsageQuery(from_ns=ends[0], to_ns=until, edges=ends, measures=("cost_nano_usd",))
    rows = store.usage(of_days) if days > 0 else []
    by_day = {row.bucket: row.cost_nano_usd or 0 for row in rows}
    *_, month_end = edges("month", now_ns, now_ns + 1, zone)
    return project(spent, [by_day.get(n, 0) for n in range(days)], (month_end - now_ns) / _DAY_NS)
