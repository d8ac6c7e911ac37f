"""Lengths of time as people write them: `800ms`, `90s`, `5m`, `1h30m`, `7d`, `2w`, `3y`.

The one grammar of every setting that is a length of time, and the way back for messages.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator

DURATION_FORM: Final = 'a length of time such as "800ms", "30s", "5m", "1h30m", "7d", "3y"'

_MILLISECONDS: Final = {
    "y": 31_557_600_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
"""A year is 365.25 days."""
_PART: Final = re.compile(r"([0-9]+)(ms|[ywdhms])")
_PARTS: Final = re.compile(rf"(?:{_PART.pattern})+")


def read_duration(text: object) -> timedelta:
    """Raises ValueError, saying what is expected, for anything but such a text; a bare number has no unit."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not _PARTS.fullmatch(text):
        raise ValueError(DURATION_FORM)
    try:
        return timedelta(milliseconds=sum(int(count) * _MILLISECONDS[unit] for count, unit in _PART.findall(text)))
    except OverflowError:
        raise ValueError(DURATION_FORM) from None


def format_duration(length: timedelta) -> str:
    """`1 h 30 min`, `45 s`, `7 d`: at most the two largest units, the rest cut off."""
    left = int(length.total_seconds())
    parts: list[str] = []
    for seconds, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


Duration = Annotated[timedelta, BeforeValidator(read_duration)]
