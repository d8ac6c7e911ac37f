"""What the pages ask the collector, asked once: every viewer and every panel shares an answer for a few seconds.

The cache is keyed by the question. A page that refreshes every five seconds in ten browsers costs the collector what it
costs in one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import streamlit as st

from outlay_dashboard.answers.alerts import Alert, Transition
from outlay_dashboard.answers.budgets import Budget
from outlay_dashboard.answers.calls import Call, CallPage, Node
from outlay_dashboard.answers.usage import SpendRow, Summary, UsageRow
from outlay_dashboard.client import Client
from outlay_dashboard.theme import Colours

REFRESH_S: Final = 5
_FRESH_S: Final = REFRESH_S - 1
_SETTLED_S: Final = 60
_MOST_NAMES: Final = 200

Chosen = tuple[tuple[str, tuple[str, ...]], ...]
"""Filters in a form that can be a key: dimension and the values wanted, "" for calls that do not say."""


@st.cache_resource(show_spinner=False, on_release=Client.close)
def collector() -> Client:
    """The one client of this process, for the collector its environment names."""
    return Client.from_environment()


@st.cache_resource(show_spinner=False)
def colours(dimension: str) -> Colours:
    """The colours of a dimension's names, the same for every viewer until the process ends."""
    del dimension  # it is the key of the cache
    return Colours()


@st.cache_data(ttl=_FRESH_S, show_spinner=False, max_entries=100)
def summary(timezone: str) -> Summary:
    return collector().summary(timezone)


@st.cache_data(ttl=_FRESH_S, show_spinner=False, max_entries=200)
def usage(from_at: datetime, interval: str, timezone: str) -> tuple[UsageRow, ...]:
    return collector().usage(from_at=from_at, interval=interval, timezone=timezone)


@st.cache_data(ttl=_FRESH_S, show_spinner=False, max_entries=100)
def spend(
    from_at: datetime, interval: str, timezone: str, group_by: tuple[str, ...] = (), filters: Chosen = ()
) -> tuple[SpendRow, ...]:
    return collector().spend(
        from_at=from_at, interval=interval, timezone=timezone, group_by=group_by, filters=dict(filters)
    )


@st.cache_data(ttl=_FRESH_S, show_spinner=False, max_entries=100)
def most_spend(from_at: datetime, dimension: str, limit: int) -> tuple[UsageRow, ...]:
    """Only those values of a dimension that spend most: there may be as many as users."""
    return collector().usage(from_at=from_at, group_by=(dimension,), order="cost_usd", limit=limit)


@st.cache_data(ttl=_SETTLED_S, show_spinner=False, max_entries=100)
def names(dimension: str, from_at: datetime) -> tuple[str, ...]:
    """The values of a dimension that occur since then, the commonest first; "" for calls that do not say."""
    rows = collector().spend(from_at=from_at, group_by=(dimension,), order="calls", limit=_MOST_NAMES)
    return tuple(row.group[0] or "" for row in rows)


@st.cache_data(ttl=_FRESH_S, show_spinner=False, max_entries=100)
def calls(limit: int, cursor: str | None = None, from_at: datetime | None = None, filters: Chosen = ()) -> CallPage:
    return collector().calls(limit=limit, cursor=cursor, from_at=from_at, filters=dict(filters))


@st.cache_data(ttl=_FRESH_S, show_spinner=False, max_entries=100)
def call(call_id: str) -> Call:
    return collector().call(call_id)


@st.cache_data(ttl=_FRESH_S, show_spinner=False)
def trace(trace_id: str) -> tuple[Node, ...]:
    return collector().trace(trace_id)


@st.cache_data(ttl=_FRESH_S, show_spinner=False)
def budgets() -> tuple[Budget, ...]:
    return collector().budgets()


@st.cache_data(ttl=_FRESH_S, show_spinner=False)
def alerts() -> tuple[Alert, ...]:
    return collector().alerts()


@st.cache_data(ttl=_FRESH_S, show_spinner=False)
def alert_history() -> tuple[Transition, ...]:
    return collector().alert_history()
