"""What commands print: tables for people, JSON for programs, money and counts the same way everywhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

import orjson
import typer
from rich import box
from rich.console import Console
from rich.table import Table

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else.")]

_CENTS: Final = 2


def write_json(document: Any) -> None:
    """One JSON document and a newline. Money is already text in it."""
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")


def console() -> Console:
    """Where people read: what is printed there stands as it is, brackets too. Wide where nobody looks, so that a pipe
    never gets folded cells."""
    found = Console(highlight=False, markup=False, emoji=False)
    return found if found.is_terminal else Console(highlight=False, markup=False, emoji=False, width=160)


def table(
    columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]], footer: Sequence[str] | None = None
) -> Table:
    """A table of `(heading, is it a number)` columns; `footer` is the line of totals."""
    made = Table(box=box.SIMPLE_HEAD, show_footer=footer is not None, pad_edge=False)
    for index, (heading, numeric) in enumerate(columns):
        made.add_column(
            heading, footer[index] if footer else "", justify="right" if numeric else "left", overflow="fold"
        )
    for row in rows:
        made.add_row(*row)
    return made


def money(cost_usd: str | Decimal | None, places: int = _CENTS) -> str:
    """An amount with every digit it has, and at least `places` decimals; a dash where it is unknown."""
    if cost_usd is None:
        return "-"
    amount = Decimal(cost_usd)
    return f"{'-' if amount < 0 else ''}${abs(amount):,.{max(places, decimals(amount))}f}"


def decimals(cost_usd: str | Decimal | None) -> int:
    """How many decimals it takes to write an amount to the last digit: as many for a column keep it in line."""
    if cost_usd is None:
        return 0
    exponent = Decimal(cost_usd).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
