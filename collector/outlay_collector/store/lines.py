"""The lines of a bill as their JSON, for those that come written and go into the database as they came.

Nearly every call arrives with its lines worked out, and nearly none is asked for them: so they are checked, which a
regular expression does in one pass, and made into objects only where someone looks at them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import orjson
from outlay.lines import WrittenLines, lines_json
from outlay.model import CostLine

from outlay_collector.store.parts import MOST_ITEMS

_WHOLE: Final = "(?:0|[1-9][0-9]{0,14})"
_DECIMAL: Final = rf'"-?{_WHOLE}(?:\.[0-9]{{1,40}})?"'
_LINE: Final = (
    rf'\{{"unit":"[a-z0-9_]{{1,64}}","quantity":(?:{_WHOLE}|{_DECIMAL}),"rate":{_DECIMAL},'
    rf'"per":{_WHOLE},"cost_usd":{_DECIMAL}\}}'
)
_LINES: Final = re.compile(rf"\[{_LINE}(?:,{_LINE}){{0,{MOST_ITEMS - 1}}}\]")


def written_lines(text: str) -> WrittenLines | None:
    """None where the text is not written as Outlay writes it; it may still be lines."""
    return WrittenLines(text) if _LINES.fullmatch(text) else None


def lines_column(lines: Sequence[CostLine]) -> Any:
    """What the column of lines is given; None for no lines."""
    return orjson.Fragment(lines_json(lines)) if lines else None
