"""What is spent, by whom, and whether anything is wrong, at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import streamlit as st
from outlay_dashboard import cards, controls, figures, notices, queries, tables
from outlay_dashboard import format as fmt
from outlay_dashboard.answers.calls import Call
from outlay_dashboard.answers.usage import SpendRow, Summary, UsageRow
from outlay_dashboard.window import Window, window

_LAST_CALLS = 12
_MOST_ALERTS = 3
_MOST_NAMES = 200


def show() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.title("Overview", anchor=False, width="stretch")
        refresh = controls.choose_refresh()
        chosen = controls.choose_window()
        dimension = controls.choose_dimension()
        timezone = controls.choose_timezone()
    st.fragment(body, run_every=refresh)(chosen, dimension, timezone)


def body(chosen: str, dimension: str, timezone: str) -> None:
    with notices.instead_of_errors():
        last = queries.calls(_LAST_CALLS)
        if not last.calls:
            notices.no_calls_yet()
            return
        summary = queries.summary(timezone)
        shown = window(chosen, summary.now, timezone)
        firing(summary.now)
        headline(summary, timezone)
        spend(dimension, shown, timezone)
        health(shown, timezone)
        budgets(summary.now)
        breakdown(dimension, shown, timezone)
        last_calls(last.calls, summary.now, timezone)


def firing(now: datetime) -> None:
    with notices.part():
        if banner := cards.firing(queries.alerts(), now, _MOST_ALERTS):
            st.html(banner)


def headline(summary: Summary, timezone: str) -> None:
    hours = queries.usage(summary.today.from_at, "hour", timezone)
    days = queries.spend(summary.month_to_date.from_at, "day", timezone)
    st.html(cards.grid(cards.headline(summary, hours, days)))
    unpriced(summary)
    lost(summary)


def unpriced(summary: Summary) -> None:
    """Always there: a reader must know whether the figures above are the whole truth."""
    today, month = summary.today.unpriced_calls, summary.month_to_date.unpriced_calls
    if not month:
        st.markdown(
            ":green[:material/check_circle:] Calls without a price: **0** today, **0** this month. "
            "Every amount is whole."
        )
        return
    st.warning(
        f"Calls without a price: **{today:,}** today, **{month:,}** this month. Every amount leaves them out. "
        "`outlay prices missing` names their models; give each a `[[price]]` in outlay.toml, then "
        "run `outlay reprice`.",
        icon=":material/warning:",
    )


def lost(summary: Summary) -> None:
    """Only where there are some: they are missing from every figure of the page."""
    if words := fmt.lost(summary.month_to_date.lost_by_reason):
        st.warning(words, icon=":material/warning:")


def spend(dimension: str, shown: Window, timezone: str) -> None:
    totals = _totals(dimension, shown)
    whole = queries.spend(shown.from_at, "none", timezone)
    names = [row.group[0] for row in totals[: figures.SHOWN_NAMES]]
    filters = ((dimension, tuple(name or "" for name in names)),) if names else ()
    leaders = queries.spend(shown.from_at, shown.interval, timezone, (dimension,), filters)
    everything = queries.usage(shown.from_at, shown.interval, timezone)
    colours = queries.colours(dimension).of(names)
    left, right = st.container(key="outlay-spend").columns([0.66, 0.34])
    with left:
        over_time = figures.spend_over_time(leaders, everything, colours, shown)
        chart(f"Spend by {dimension} {shown.words}", over_time, "spend")
    with right:
        chart(f"{_sum_words(whole)} {shown.words}", figures.ranking(totals, whole, colours), "ranking")


def health(shown: Window, timezone: str) -> None:
    rows = queries.usage(shown.from_at, shown.interval, timezone)
    left, middle, right = st.container(key="outlay-health").columns(3)
    with left:
        chart("Latency", figures.latency(rows, shown), "latency", "Of whole calls, retries included.")
    with middle:
        retried = "A rate-limited attempt that a retry made good is no failed call."
        chart("Errors and rate limits", figures.failures(rows, shown), "failures", retried)
    with right:
        billed = "What the models read, by how it is billed: out of their prompt cache, into it, or neither."
        chart(_cache_words(rows), figures.input_tokens(rows, shown), "input", billed)


def chart(title: str, figure: figures.Figure, key: str, help_text: str | None = None) -> None:
    """`title` is Markdown."""
    with notices.panel(title, help_text):
        st.plotly_chart(figure, key=key, alt=title.replace("\\", ""), config={"displayModeBar": False})


def budgets(now: datetime) -> None:
    with notices.panel("Budgets"):
        if entries := queries.budgets():
            st.html(cards.budgets(entries, now))
        else:
            notices.no_budgets()


def breakdown(dimension: str, shown: Window, timezone: str) -> None:
    totals, whole = _totals(dimension, shown), queries.spend(shown.from_at, "none", timezone)
    with notices.panel(f"Every {dimension} {shown.words}"):
        st.dataframe(
            tables.breakdown(dimension, totals, whole),
            column_config={"Share": st.column_config.ProgressColumn(format="percent", max_value=1)},
            hide_index=True,
            placeholder=fmt.UNKNOWN,
            key="breakdown",
        )
        if len(totals) == _MOST_NAMES:
            st.caption(f"The {_MOST_NAMES} that spend most. `outlay export` writes all there are.")


def last_calls(entries: Sequence[Call], now: datetime, timezone: str) -> None:
    zone = ZoneInfo(timezone)
    with notices.panel(fmt.plain(f"Last calls, as of {fmt.moment(now.astimezone(zone))} {timezone}")):
        st.dataframe(
            tables.calls(entries, zone),
            hide_index=True,
            height="content",
            placeholder=fmt.UNKNOWN,
            key="last",
        )
        st.page_link("views/calls.py", label="All calls", icon=":material/arrow_forward:")


def _totals(dimension: str, shown: Window) -> list[UsageRow]:
    return figures.ranked(queries.most_spend(shown.from_at, dimension, _MOST_NAMES))


def _sum_words(rows: Sequence[SpendRow]) -> str:
    """As a heading: Markdown."""
    return fmt.plain(figures.spend_words(rows, exact=False))


def _cache_words(rows: Sequence[UsageRow]) -> str:
    given = sum(row.input_tokens or 0 for row in rows)
    read = [row.cache_read_tokens for row in rows if row.cache_read_tokens is not None]
    return f"Input tokens, {fmt.percent(sum(read) / given)} from cache" if given and read else "Input tokens"


show()
