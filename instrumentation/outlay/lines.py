"""The lines of a bill, as objects and as the JSON they are written as.

Nearly every bill is written down and nearly none is asked for its lines: so they are written at once, and made into
objects only where someone looks at them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, overload

from outlay.model import CostLine, Quantity


class Line(NamedTuple):
    """A line as it is written but for its quantity and its cost, which come after these."""

    to_quantity: str
    to_cost: str

    @classmethod
    def of(cls, unit: str, rate_usd: Decimal, per: int) -> Line:
        named = json.dumps(unit, ensure_ascii=False)
        return cls(f'{{"unit":{named},"quantity":', f',"rate":"{decimal_text(rate_usd)}","per":{per},"cost_usd":"')

    def written(self, quantity: Quantity, cost_usd: Decimal) -> str:
        said = quantity if isinstance(quantity, int) else f'"{decimal_text(quantity)}"'
        return f'{self.to_quantity}{said}{self.to_cost}{decimal_text(cost_usd)}"}}'


class WrittenLines(Sequence[CostLine]):
    """One line or more, by their JSON, which must be well-formed. Equal to any lines that say the same."""

    __slots__ = ("_read", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._read: tuple[CostLine, ...] | None = None

    def _lines(self) -> tuple[CostLine, ...]:
        if self._read is None:
            self._read = tuple(map(_line_of, json.loads(self.text)))
        return self._read

    def __bool__(self) -> bool:
        return True

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

    def __repr__(self) -> str:
        return f"WrittenLines({self.text!r})"


def lines_json(lines: Sequence[CostLine]) -> str:
    """What stands in `outlay.cost.lines`."""
    if isinstance(lines, WrittenLines):
        return lines.text
    written = (Line.of(each.unit, each.rate_usd, each.per).written(each.quantity, each.cost_usd) for each in lines)
    return f"[{','.join(written)}]"


def line_documents(lines: Sequence[CostLine]) -> list[dict[str, Any]]:
    """The same as JSON documents: quantities that are measured, and amounts, are decimal strings."""
    documents: list[dict[str, Any]] = json.loads(lines_json(lines))
    return documents


def _line_of(document: Mapping[str, Any]) -> CostLine:
    quantity = document["quantity"]
    return CostLine(
        unit=document["unit"],
        quantity=quantity if isinstance(quantity, int) else Decimal(quantity),
        rate_usd=Decimal(document["rate"]),
        per=document["per"],
        cost_usd=Decimal(document["cost_usd"]),
    )


def decimal_text(value: Decimal) -> str:
    """Plain digits: no exponent, no trailing zeros."""
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    return text.rstrip("0").rstrip(".") if text[-1] == "0" and "." in text else text
