"""What the pages of the dashboard ask of the collector, request by request, and what others ask of its API.

Kept beside the pages: `views/overview.py`, `views/calls.py`, `views/budgets.py`; windows are the dashboard's own. The
names a page asks for because an answer before named them (the eight that spend most) are looked up first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from outlay_dashboard.answers.usage import SPEND
from outlay_dashboard.window import WINDOWS, window

Ask = Callable[[str, Mapping[str, Any]], Any]
"""A GET: path and parameters to the answer's JSON."""

DIMENSIONS: Final = ("model", "feature", "user", "tenant", "service", "environment", "provider", "operation", "status")
"""What the overview can be grouped by: `controls.DIMENSIONS`."""
SHOWN_NAMES: Final = 8
"""As many of them as `figures` gives a colour."""
_LISTED: Final = 200
_OF_EACH_KIND: Final = ("model", "tenant", "user")
"""Dimensions of 22, 300 and 60,000 values: those the shorter windows are asked by."""
_FILTERED: Final = ("model", "provider", "feature", "user", "tenant", "status")
_SPEND: Final = {"measures": ",".join(SPEND)}
"""What `queries.spend` asks for: the others ask for all."""
_ZONES: Final = ("America/New_York", "Asia/Kolkata", "Asia/Kathmandu")


@dataclass(frozen=True, slots=True)
class Question:
    """One request. `page`: where it is asked."""

    page: str
    name: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)


def questions(now: datetime, ask: Ask) -> Iterator[Question]:
    yield from _overview(now, ask)
    yield from _calls(now, ask)
    yield Question("budgets", "budgets", "/api/v1/budgets")
    yield from _beyond(now)


def _overview(now: datetime, ask: Ask) -> Iterator[Question]:
    yield Question("overview", "last calls", "/api/v1/calls", {"limit": 12})
    for zone in ("UTC", *_ZONES):
        yield Question("overview", f"summary, {zone}", "/api/v1/summary", {"timezone": zone})
        today, month = window("Month", now, zone).to_at, window("Month", now, zone).from_at
        today = today.replace(day=today.day - 1)
        yield _usage("overview", f"today by hour, {zone}", today, interval="hour", timezone=zone)
        yield _usage("overview", f"this month by day, {zone}", month, interval="day", timezone=zone, **_SPEND)
    for name in WINDOWS:
        for dimension in DIMENSIONS if name == "30d" else _OF_EACH_KIND:
            yield from _spend(now, ask, name, "UTC", dimension)
    for zone in _ZONES:
        for name in ("7d", "30d"):
            for dimension in _OF_EACH_KIND:
                yield from _spend(now, ask, name, zone, dimension)


def _spend(now: datetime, ask: Ask, name: str, zone: str, dimension: str) -> Iterator[Question]:
    """The panels of spend: the names that spend most, these over time, and everything over time."""
    shown, where = window(name, now, zone), f"{name}, {zone}"
    whole = _usage("overview", f"{where}: most spend by {dimension}", shown.from_at, **_most(dimension, "cost_usd"))
    yield whole
    first = [row[dimension] or "" for row in ask(whole.path, whole.params)["rows"][:SHOWN_NAMES]]
    over_time = {"interval": shown.interval, "timezone": zone}
    yield _usage(
        "overview", f"{where}: eight of {dimension}, by {shown.interval}", shown.from_at,
        **over_time, group_by=dimension, **{dimension: first}, **_SPEND,
    )  # fmt: skip
    if dimension == _OF_EACH_KIND[0]:
        yield _usage("overview", f"{where}: all by {shown.interval}", shown.from_at, **over_time)
        yield _usage("overview", f"{where}: all", shown.from_at, timezone=zone, **_SPEND)


def _calls(now: datetime, ask: Ask) -> Iterator[Question]:
    since = window("30d", now, "UTC").from_at
    named: dict[str, Sequence[str]] = {}
    for dimension in _FILTERED:
        names = _usage("calls", f"30d: names of {dimension}", since, **_most(dimension, "calls"), **_SPEND)
        yield names
        named[dimension] = [row[dimension] or "" for row in ask(names.path, names.params)["rows"]]
    yield _listed("newest", since)
    for dimension in _FILTERED:
        yield _listed(f"of the commonest {dimension}", since, **{dimension: named[dimension][0]})
        yield _listed(f"of the {len(named[dimension])}th {dimension}", since, **{dimension: named[dimension][-1]})
    yield _listed("of a seldom user", since, user="user-59999")
    yield _listed("of nobody", since, user="nobody")
    yield _listed("failed, of a user", since, user=named["user"][0], status="error")
    yield _listed("failed, of a tenant", since, tenant=named["tenant"][-1], status="error")
    yield _listed("of a tenant and a model", since, tenant=named["tenant"][-1], model=named["model"][-1])
    yield _listed("without a price", since, cost_status="unpriced")
    page = ask("/api/v1/calls", {"limit": 50, "from": since.isoformat()})
    yield _listed("the page after", since, cursor=page["next_cursor"])
    call = ask(f"/api/v1/calls/{page['calls'][0]['id']}", {})
    yield Question("calls", "one call", f"/api/v1/calls/{call['id']}")
    yield Question("calls", "one trace", f"/api/v1/traces/{call['trace_id']}")


def _beyond(now: datetime) -> Iterator[Question]:
    since, day = window("30d", now, "UTC").from_at, window("24h", now, "UTC").from_at
    for by in ("tenant,feature", "provider,model", "tenant,feature,model", "service,environment,operation,status"):
        yield _usage("API", f"30d by {by}", since, group_by=by)
        yield _usage("API", f"30d by {by}: first 50", since, group_by=by, limit=50)
    yield _usage("API", "30d by day and tenant", since, group_by="tenant", interval="day")
    yield _usage("API", "30d by day, model and environment", since, group_by="model,environment", interval="day")
    yield _usage("API", "30d by day, tenant and feature", since, group_by="tenant,feature", interval="day")
    yield _usage("API", "24h by hour, tenant and model", day, group_by="tenant,model", interval="hour")
    yield _usage(
        "API", "30d by model, of a tenant in prod", since, group_by="model", tenant="tenant-3", environment="prod"
    )
    yield _usage("API", "30d by user: first 50", since, group_by="user", limit=50)
    yield _usage("API", "24h by user and feature: first 50", day, group_by="user,feature", limit=50)
    yield _usage("API", "24h by session: first 50", day, group_by="session", limit=50)
    yield _usage("API", "24h by tag.tier", day, group_by="tag.tier")


def _usage(page: str, name: str, from_at: datetime, **params: Any) -> Question:
    return Question(page, name, "/api/v1/usage", {"from": from_at.isoformat(), **params})


def _listed(name: str, from_at: datetime, **params: Any) -> Question:
    return Question("calls", f"list: {name}", "/api/v1/calls", {"limit": 50, "from": from_at.isoformat(), **params})


def _most(dimension: str, of: str) -> dict[str, Any]:
    return {"group_by": dimension, "order": of, "limit": _LISTED}
