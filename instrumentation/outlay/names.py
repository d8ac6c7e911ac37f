"""What a name given by an application is where it is stored: spend, budgets and what they held back go by that."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 256
"""In characters."""


def as_stored(name: str | None) -> str | None:
    """Cut at `LONGEST`; without NUL, which Postgres cannot hold, nor halves of surrogate pairs, which nothing can."""
    if name is None or (len(name) <= LONGEST and name.isascii() and "\0" not in name):
        return name
    return name[:LONGEST].replace("\0", "").encode("utf-8", "replace").decode()
