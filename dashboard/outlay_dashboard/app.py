"""The frame around every page: name, navigation, style. The file Streamlit runs; `__main__` says how.

The pages are not in a folder named `pages`: Streamlit would serve that by itself, without this frame, to whoever opens
the address of a page before anyone has opened the first one.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from outlay_dashboard import theme

_HERE = Path(__file__).parent

st.set_page_config(page_title="Outlay", page_icon=str(_HERE / "icon.svg"), layout="wide")
st.logo(str(_HERE / "logo.svg"), size="large")
st.html(f"<style>{theme.CSS_VARIABLES}\n{(_HERE / 'style.css').read_text()}</style>")

st.navigation(
    [
        st.Page("views/overview.py", title="Overview", icon=":material/monitoring:", default=True),
        st.Page("views/calls.py", title="Calls", icon=":material/list_alt:"),
        st.Page("views/budgets.py", title="Budgets", icon=":material/savings:"),
        st.Page("views/alerts.py", title="Alerts", icon=":material/notifications:"),
    ],
    position="top",
).run()
