"""What a command is to look at alone, as people write it: `feature=chat`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from outlay_collector.cli import CommandError

WhereOption = Annotated[
    list[str] | None, typer.Option("--where", help="Only these: feature=chat. The same dimension twice means either.")
]


def conditions(texts: Sequence[str] | None, option: str = "--where") -> dict[str, list[str]]:
    """`["feature=chat", "feature=agent"]` as dimensions and their values. `CommandError` where there is no `=`."""
    found: dict[str, list[str]] = {}
    for text in texts or ():
        dimension, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"{option} {text!r}: expected a dimension and its value: feature=chat, tag.tier=free")
        found.setdefault(dimension.strip(), []).append(value)
    return found
