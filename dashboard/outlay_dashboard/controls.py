"""What a viewer chooses: time, zone, grouping, live or not. Kept in the address, so that a link shows the same."""

from __future__ import annotations

from functools import cache
from typing import Final
from zoneinfo import available_timezones

import streamlit as st

from outlay_dashboard import queries
from outlay_dashboard.window import WINDOWS

DIMENSIONS: Final = ("model", "feature", "user", "tenant", "service", "environment", "provider", "operation", "status")


def choose_window() -> str:
    """A name of `WINDOWS`."""
    return st.segmented_control(
        "Time", list(WINDOWS), default="24h", required=True, key="range", bind="query-params", persist_state="session"
    ) or "24h"  # fmt: skip


def choose_timezone() -> str:
    """UTC unless told otherwise: providers bill by it."""
    viewers = st.context.timezone
    first = ["UTC"] + ([viewers] if viewers and viewers != "UTC" and viewers in _zones() else [])
    options = first + [zone for zone in _zones() if zone not in first]
    return (
        st.selectbox("Time zone", options, key="timezone", bind="query-params", persist_state="session", width=175)
        or "UTC"
    )


def choose_refresh() -> float | None:
    """Seconds between two looks at the collector, None for a page that stands still to be read."""
    live = st.toggle(
        "Live",
        value=True,
        key="live",
        help=f"Ask again every {queries.REFRESH_S} seconds. Off: the page stands still.",
        bind="query-params",
        persist_state="session",
    )
    return queries.REFRESH_S if live else None


def choose_dimension() -> str:
    return (
        st.selectbox("Group by", DIMENSIONS, key="by", bind="query-params", persist_state="session", width=130)
        or "model"
    )


@cache
def _zones() -> tuple[str, ...]:
    return tuple(
        sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix")))
    )
