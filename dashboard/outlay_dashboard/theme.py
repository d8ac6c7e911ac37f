"""Every colour of the dashboard, for Streamlit, Plotly and style.css, in light and in dark.

Colours of names (models, features, users, ...) are stable: a name asks for the place its checksum points at, takes the
next free one where another name sits there, and keeps it for as long as the process runs, whatever is shown beside it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from threading import Lock
from typing import Final

PRIMARY: Final = "#0E9F7E"
ERROR: Final = "#E5484D"
WARNING: Final = "#E8950C"
WARNING_TEXT: Final = "#C97A00"
NEUTRAL: Final = "#8A94A6"
MEDIAN: Final = "#5B8DEF"
TAIL: Final = "#B06CF0"

PALETTE: Final = (
    "#5B8DEF",
    "#F2994A",
    "#17A589",
    "#B06CF0",
    "#EC6EAD",
    "#86BC42",
    "#3BAFDA",
    "#D4AC0D",
    "#7A6FF0",
    "#C0785A",
    "#4CB5AE",
    "#A3A948",
)
"""Of middling lightness, to be told apart from each other and from white and near-black behind them."""

CSS_VARIABLES: Final = (
    f":root {{ --outlay-good: {PRIMARY}; --outlay-warning: {WARNING}; --outlay-warning-text: {WARNING_TEXT}; "
    f"--outlay-bad: {ERROR}; }}"
)
"""For style.css, which names no colour itself."""

STREAMLIT: Final[dict[str, str]] = {
    "theme.paddingTop": "1rem",
    "theme.paddingBottom": "3rem",
    "theme.baseRadius": "10px",
    "theme.buttonRadius": "8px",
    "theme.showWidgetBorder": "true",
    "theme.headingFontWeights": "[650, 620, 600, 600, 600, 600]",
    "theme.headingFontSizes": '["1.75rem", "1.35rem", "1.1rem", "1rem", "0.95rem", "0.9rem"]',
    "theme.light.primaryColor": PRIMARY,
    "theme.light.backgroundColor": "#FFFFFF",
    "theme.light.secondaryBackgroundColor": "#F5F7F9",
    "theme.light.textColor": "#17202B",
    "theme.light.borderColor": "#E3E8EE",
    "theme.dark.primaryColor": "#2CC7A2",
    "theme.dark.backgroundColor": "#0F141B",
    "theme.dark.secondaryBackgroundColor": "#182029",
    "theme.dark.textColor": "#E6EBF1",
    "theme.dark.borderColor": "#27313D",
}
"""Streamlit's own options: what a config.toml would say, passed when the process starts."""


class Colours:
    """Names to colours, for one dimension. Safe to share between sessions."""

    def __init__(self) -> None:
        self._place_of: dict[str | None, int] = {}
        self._lock = Lock()

    def of(self, names: Iterable[str | None]) -> dict[str | None, str]:
        with self._lock:
            return {name: self._colour(name) for name in names}

    def _colour(self, name: str | None) -> str:
        if name is None:
            return NEUTRAL
        if name not in self._place_of:
            wanted = zlib.crc32(name.encode()) % len(PALETTE)
            taken = set(self._place_of.values())
            nearest = ((wanted + step) % len(PALETTE) for step in range(len(PALETTE)))
            self._place_of[name] = next((place for place in nearest if place not in taken), wanted)
        return PALETTE[self._place_of[name]]
