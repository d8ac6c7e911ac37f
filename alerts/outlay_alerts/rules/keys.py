"""What the keys of rules may hold. What they may not is said in the words of an error: "expected ..."."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final

from outlay.budgets.budget import DIMENSIONS as CALL_DIMENSIONS
from outlay.errors import nearest
from pydantic import AfterValidator, BeforeValidator, Field

from outlay_alerts.duration import Duration

DIMENSIONS: Final = (*CALL_DIMENSIONS, "status")


def _dimension(name: object) -> str:
    if isinstance(name, str) and (name in DIMENSIONS or (name.startswith("tag.") and len(name) > len("tag."))):
        return name
    raise ValueError(f"one of {', '.join(DIMENSIONS)} or tag.NAME{nearest(name, DIMENSIONS)}")


def _values(value: object) -> tuple[str, ...]:
    """One value or a list of them, any of which will do."""
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(v, str) for v in values):
        raise ValueError("a text, or a list of texts any of which will do")
    return tuple(values)


def _positive(length: timedelta) -> timedelta:
    if length <= timedelta(0):
        raise ValueError("a length of time above zero")
    return length


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("a number")
    return Decimal(str(value))


Dimension = Annotated[str, BeforeValidator(_dimension)]
Values = Annotated[tuple[str, ...], BeforeValidator(_values)]
Number = Annotated[Decimal, BeforeValidator(_number), Field(ge=0)]
Share = Annotated[Number, Field(le=1)]
Length = Annotated[Duration, AfterValidator(_positive)]
AtLeastOne = Annotated[int, Field(ge=1, strict=True)]
For = Annotated[
    Duration, Field(alias="for", description="How long it must be breached, without a break, before it fires.")
]
