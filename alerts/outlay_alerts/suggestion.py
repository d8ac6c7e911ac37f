"""What a mistyped name was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: object, known: Iterable[str]) -> str:
    """` (did you mean above?)`, ready to be appended; empty where nothing is near."""
    found = get_close_matches(name, list(known), n=1) if isinstance(name, str) else []
    return f" (did you mean {found[0]}?)" if found else ""
