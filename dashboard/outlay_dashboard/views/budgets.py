"""Every budget: what is spent, what is lent to running processes, what is left and until when."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st
from outlay_dashboard import cards, notices, queries


def show() -> None:
    st.title("Budgets", anchor=False)
    refreshed()


@st.fragment(run_every=queries.REFRESH_S)
def refreshed() -> None:
    with notices.instead_of_errors():
        entries = queries.budgets()
        if not entries:
            notices.no_budgets()
            return
        fullest_first = sorted(entries, key=lambda budget: -cards.used(budget))
        st.html(cards.budgets(fullest_first, datetime.now(UTC)))
        st.caption(
            "The solid part of a bar is spent; the hatched part is lent to running processes, which spend it without "
            "asking and give back what they leave. Both together never pass the limit of a budget that blocks."
        )


show()
