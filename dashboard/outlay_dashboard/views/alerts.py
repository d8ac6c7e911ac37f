"""Which rules fire now, and every change of state with where it was delivered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import streamlit as st
from outlay_dashboard import cards, controls, notices, queries, tables
from outlay_dashboard import format as fmt
from outlay_dashboard.answers.alerts import Transition


def show() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.title("Alerts", anchor=False, width="stretch")
        timezone = controls.choose_timezone()
    refreshed(timezone)


@st.fragment(run_every=queries.REFRESH_S)
def refreshed(timezone: str) -> None:
    with notices.instead_of_errors():
        alerts = queries.alerts()
        if not alerts:
            notices.no_rules()
            return
        now = datetime.now(UTC)
        st.html(cards.firing(alerts, now) or cards.all_quiet(len(alerts)))
        with notices.panel("Rules"):
            st.dataframe(
                tables.alerts(alerts, ZoneInfo(timezone)), hide_index=True, placeholder=fmt.UNKNOWN, key="rules"
            )
        with notices.panel("History"):
            history(queries.alert_history(), timezone)


def history(entries: Sequence[Transition], timezone: str) -> None:
    if entries:
        st.dataframe(
            tables.transitions(entries, ZoneInfo(timezone)), hide_index=True, placeholder=fmt.UNKNOWN, key="history"
        )
    else:
        st.caption("No rule has changed its state yet.")


show()
