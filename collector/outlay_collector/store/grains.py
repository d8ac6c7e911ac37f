"""How long the periods are that calls are summed up by, and whose sums stand in a row. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

MINUTE_NS: Final = 60 * 1_000_000_000
QUARTER_NS: Final = 15 * MINUTE_NS
HOUR_NS: Final = 4 * QUARTER_NS
SIX_HOURS_NS: Final = 6 * HOUR_NS
DAY_NS: Final = 24 * HOUR_NS
WEEK_NS: Final = 7 * DAY_NS
LENGTHS_NS: Final = (QUARTER_NS, HOUR_NS, SIX_HOURS_NS, DAY_NS, WEEK_NS)
"""Of the periods that are listed. Minutes belong to their quarter."""


class Grain(NamedTuple):
    """Whose sums a row has: a period's, both lengths being its own, or a series, those of all periods of `length_ns`
    within one of `of_ns`. Of a series the last dimension says which, counted from 0."""

    length_ns: int
    of_ns: int

    @property
    def is_series(self) -> bool:
        return self.length_ns != self.of_ns


def whole(length_ns: int) -> Grain:
    """Of periods by themselves."""
    return Grain(length_ns, length_ns)


MINUTES: Final = Grain(MINUTE_NS, QUARTER_NS)
HOURS: Final = Grain(HOUR_NS, DAY_NS)
QUARTERS: Final = Grain(QUARTER_NS, DAY_NS)
GRAINS: Final = (MINUTES, HOURS, QUARTERS, *map(whole, LENGTHS_NS))
