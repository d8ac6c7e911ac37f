"""What a page shows when there is nothing to show: no collector, no calls yet, no answer for one panel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import streamlit as st

from outlay_dashboard import format as fmt
from outlay_dashboard import queries
from outlay_dashboard.client import API_KEY_VARIABLE, CollectorError, Refused, Unreachable

_FIRST_CALL: Final = """\
import outlay

outlay.instrument(service="my-service", endpoint="{endpoint}"{key})

# Your own code stays as it is: every call of an SDK Outlay knows is now counted.
from openai import OpenAI

with outlay.context(feature="hello", user="me"):
    OpenAI().responses.create(model="gpt-4.1-mini", input="Say hello.")
"""

_FIRST_BUDGET: Final = """\
[[budget]]
name = "chat-daily"
limit = { usd = 5.00 }
period = "day"
match = { feature = "chat" }
per = ["user"]
on_limit = "block"
"""

_FIRST_RULE: Final = """\
[[rule]]
name = "provider-errors"
kind = "error_rate"
above = 0.05
window = "5m"
for = "5m"
severity = "critical"
channels = ["oncall"]

[[channel]]
name = "oncall"
url = "${ONCALL_URL}"
"""


@contextmanager
def instead_of_errors(*, refreshing: bool = True) -> Iterator[None]:
    """The body as a page; where the collector gives no answer, a notice in its place and no traceback.

    `refreshing` says whether the page asks again by itself.
    """
    try:
        yield
    except CollectorError as error:
        _collector_error(error, refreshing)


@contextmanager
def panel(title: str, help_text: str | None = None) -> Iterator[None]:
    """A bordered part of a page with a heading, with a notice inside where the collector cannot answer for it."""
    with st.container(border=True):
        st.markdown(f"##### {title}", help=help_text)
        with part():
            yield


@contextmanager
def part() -> Iterator[None]:
    """A part that may fail alone. What no part could survive, no collector or no permission, reaches the page."""
    try:
        yield
    except (Unreachable, Refused):
        raise
    except CollectorError as error:
        st.warning(f"{fmt.plain(str(error))}\n\n{error.advice}", icon=":material/cloud_off:")


def no_calls_yet() -> None:
    """What to do with an empty database: the very lines to paste."""
    client = queries.collector()
    st.subheader("No calls yet")
    st.markdown(
        f"The collector at `{client.endpoint}` is running and has not received a call. Add Outlay to an application "
        "that uses an SDK it knows (OpenAI, Anthropic, Google, Mistral, Cohere, Bedrock, LiteLLM):"
    )
    st.markdown("**1. Install**")
    st.code("pip install outlay", language="bash")
    st.markdown("**2. Paste this where the application starts, and run it**")
    key = f', api_key=os.environ["{API_KEY_VARIABLE}"]' if client.has_key else ""
    imports = "import os\n\n" if key else ""
    st.code(imports + _FIRST_CALL.format(endpoint=client.endpoint, key=key), language="python")
    st.markdown(
        "**3. Look here again**  \nThe call appears within seconds of being made; this page refreshes by itself."
    )
    st.caption("No API key at hand? `outlay demo` fills a database from a fake provider, without one.")


def no_budgets() -> None:
    st.markdown("No budget yet. Put one into `outlay.toml`; it holds before the money is spent:")
    st.code(_FIRST_BUDGET, language="toml")


def no_rules() -> None:
    st.markdown("No alert rule has been evaluated yet. Put one into `outlay.toml`, with a channel to hear of it:")
    st.code(_FIRST_RULE, language="toml")


def _collector_error(error: CollectorError, refreshing: bool) -> None:
    title = {Unreachable: "The collector is away", Refused: "The collector wants another key"}.get(
        type(error), "The collector could not answer"
    )
    with st.container(border=True):
        st.subheader(f":material/cloud_off: {title}", anchor=False)
        st.markdown(fmt.plain(f"{error}."))
        st.markdown(error.advice)
        if refreshing:
            st.caption(f"This page tries again every {queries.REFRESH_S} seconds.")
        else:
            st.button("Try again", icon=":material/refresh:")
