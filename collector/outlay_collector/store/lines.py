"""The lines of a bill as their JSON, for those that come written and go into the database as they came.

Nearly every call arrives with its lines worked out, and nearly none is asked for them: so they are checked, which a
regular expression does in one pass, and made into objects only where someone looks at them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Self, overload

import orjson
from outlay.emit import line_json
from outlay.model import CostLine

from outlay_collector.store.parts import MOST_ITEMS, read_lines

_WHOLE: Final = "(?:0|[1-9][0-9]{0,14})"
_DECIMAL: Final = rf'"-?{_WHOLE}(?:\.[0-9]{{1,40}})?"'
_LINE: Final = (
    rf'\{{"unit":"[a-z0-9_]{{1,64}}","quantity":(?:{_WHOLE}|{_DECIMAL}),"rate":{_DECIMAL},'
    rf'"per":{_WHOLE},"cost_usd":{_DECIMAL}\}}'
)
_LINES: Final = re.compile(rf"\[{_LINE}(?:,{_LINE}){{0,{MOST_ITEMS - 1}}}\]")


class WrittenLines(Sequence[CostLine]):
    """Lines that are known to be well-formed; equal to any lines that say the same."""

    __slots__ = ("_read", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._read: tuple[CostLine, ...] | None = None

    @classmethod
    def of(cls, text: str) -> Self | None:
        """None where the text is not written as `outlay.emit` writes it; it may still be lines."""
        return cls(text) if _LINES.fullmatch(text) else None

    def _lines(self) -> tuple[CostLine, ...]:
        if self._read is None:
            self._read = read_lines(orjson.loads(self.text))
        return self._read

    def __len__(self) -> int:
        return len(self._lines())

    def __iter__(self) -> Iterator[CostLine]:
        return iter(self._lines())

    @overload
    def __getitem__(self, place: int) -> CostLine: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[CostLine]: ...
    def __getitem__(self, place: int | slice) -> CostLine | Sequence[CostLine]:
        return self._lines()[place]

    def __eq__(self, other: object) -> bool:
        return self._lines() == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._lines())


def lines_column(lines: Sequence[CostLine]) -> Any:
    """What the column of lines is given; None for no lines."""
    if isinstance(lines, WrittenLines):
        return orjson.Fragment(lines.text)
    return orjson.Fragment(f"[{','.join(map(line_json, lines))}]") if lines else None
