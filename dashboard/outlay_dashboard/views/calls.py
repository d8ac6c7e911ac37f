"""Every call, newest first, and everything known of one.

A page of the list stands still until its reader turns it: rows are chosen by their place, and calls that come in
meanwhile would put another one there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import streamlit as st
from outlay_dashboard import cards, controls, notices, queries, tables
from outlay_dashboard import format as fmt
from outlay_dashboard.answers.calls import CallPage
from outlay_dashboard.answers.values import Json
from outlay_dashboard.window import window

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

_PAGE = 50
_SAID_HEIGHT = 420
_FILTERS = ("model", "provider", "feature", "user", "tenant", "status")
_FACTS = (
    "provider", "model", "model_requested", "operation", "http_status", "error_type", "request_id", "response_id",
    "service", "environment", "feature", "user", "tenant", "session", "streamed", "stream_end", "finish_reasons",
    "response_cache", "prompt_cache", "server_address", "trace_id", "span_id", "tags", "terms",
)  # fmt: skip


def show() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.title("Calls", anchor=False, width="stretch")
        chosen = controls.choose_window()
        timezone = controls.choose_timezone()
    with notices.instead_of_errors(refreshing=False):
        since = window(chosen, datetime.now(UTC), timezone).from_at
        filters = choose_filters(since)
        question = (chosen, timezone, filters)
        if st.session_state.get("question") != question:
            st.session_state["question"] = question
            turn_to_newest()
        selected = listing(since, filters, timezone)
        if selected:
            detail(selected, timezone)


def choose_filters(since: datetime) -> queries.Chosen:
    """The values on offer are those that occur in the window."""
    columns = st.columns(len(_FILTERS))
    chosen = []
    for dimension, column in zip(_FILTERS, columns, strict=True):
        wanted = column.multiselect(
            dimension.capitalize(),
            queries.names(dimension, since),
            format_func=lambda name: fmt.name(name or None),
            placeholder="any",
            accept_new_options=True,
            key=f"only-{dimension}",
        )
        if wanted:
            chosen.append((dimension, tuple(wanted)))
    return tuple(chosen)


def listing(since: datetime, filters: queries.Chosen, timezone: str) -> str | None:
    """One page of calls; the id of the selected one."""
    state = st.session_state
    if state["page"] is None:
        state["page"] = queries.calls(_PAGE, state["cursors"][-1], since, filters)
        state["turns"] = state.get("turns", 0) + 1
    page: CallPage = state["page"]
    if not page.calls:
        st.info("No call fits. Take a longer time or fewer filters.", icon=":material/search_off:")
        st.button("Look again", icon=":material/refresh:", on_click=turn_to_newest)
        return None
    picked = st.dataframe(
        tables.calls(page.calls, ZoneInfo(timezone)),
        hide_index=True,
        placeholder=fmt.UNKNOWN,
        on_select="rerun",
        selection_mode="single-row",
        key=f"calls-{state['turns']}",
        height=440,
    )
    pager(page, len(state["cursors"]))
    rows = picked["selection"]["rows"]
    return page.calls[rows[0]].id if rows else None


def pager(page: CallPage, number: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Select a row to see its bill.", width="stretch")
        st.button("Newest", key="newest", icon=":material/refresh:", on_click=turn_to_newest)
        st.button("Newer", key="newer", icon=":material/chevron_left:", disabled=number == 1, on_click=turn_back)
        st.caption(f"Page {number}", width="content")
        st.button(
            "Older",
            key="older",
            icon=":material/chevron_right:",
            disabled=page.next_cursor is None,
            on_click=turn_to,
            args=(page.next_cursor,),
        )


def turn_to_newest() -> None:
    st.session_state.update(cursors=[None], page=None)


def turn_back() -> None:
    st.session_state.update(cursors=st.session_state["cursors"][:-1], page=None)


def turn_to(cursor: str) -> None:
    st.session_state.update(cursors=[*st.session_state["cursors"], cursor], page=None)


def detail(call_id: str, timezone: str) -> None:
    call = queries.call(call_id)
    at = fmt.moment(call.started_at.astimezone(ZoneInfo(timezone)))
    with notices.panel(fmt.plain(f"{fmt.name(call.model)} at {at}")):
        st.html(cards.grid(cards.of_call(call)))
        if call.cost_reason:
            st.markdown(fmt.plain(f"{call.cost_status.replace('_', ' ').capitalize()}: {call.cost_reason}"))
        left, right = st.container(key="outlay-bill").columns([0.6, 0.4])
        with left:
            table("Bill", tables.lines(call.raw), "No line: nothing of this call has a price.")
            table("Attempts", tables.attempts(call.raw), "The attempts were not reported.")
        with right:
            table("Usage", tables.quantities(call.raw), "The provider's usage was not reported.")
        trace = tables.nodes(queries.trace(call.raw["trace_id"]), call.id)
        if trace is not None:
            table("Trace", trace, "")
        st.html(cards.facts({name: _words(call.raw.get(name)) for name in _FACTS}))
        if call.raw.get("content"):
            said(call.raw["content"])
        with st.expander("Everything the collector holds of this call"):
            st.json(dict(call.raw), expanded=1)


def said(content: Json) -> None:
    """Prompt and answer, as plain text: whatever they hold is shown and nothing of it is followed."""
    with st.expander(f"What was said ({content['mode']})"), st.container(height=_SAID_HEIGHT, border=False):
        system = [{"role": "system", "parts": content["system"]}] if content["system"] else []
        for message in (*system, *content["input"], *content["output"]):
            st.caption(fmt.plain(str(message.get("role"))))
            for part in message.get("parts", ()):
                text = next((part[name] for name in ("content", "arguments", "response") if part.get(name)), None)
                st.text(str(text) if text else f"({part.get('modality') or part.get('type')})")


def table(title: str, content: Styler | None, when_empty: str) -> None:
    st.markdown(f"**{title}**")
    if content is None:
        st.caption(when_empty)
    else:
        st.dataframe(content, hide_index=True, placeholder=fmt.UNKNOWN)


def _words(value: Any) -> str | None:
    """None for what is not known, so that it is left out."""
    if value is None or value == [] or value == {}:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={inner}" for key, inner in value.items() if inner not in (None, False))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


show()
