"""Says of periods that their sums are not those of their calls any more, in the transaction that writes the calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Final

from sqlalchemy import Connection, text

from outlay_collector.store.grains import LENGTHS_NS, QUARTER_NS

_LIST: Final = text(
    "INSERT INTO rollup_periods (length_ns, start_ns, stale) VALUES (:length, :start, true) ON CONFLICT DO NOTHING"
)
"""Another collector may list it at the same moment."""
_LOCK: Final = 0x6F75746C6101


def mark_stale(connection: Connection, times_ns: Iterable[int], first_changed: int | None = 0) -> None:
    """Say that calls of these times are written or changed in this transaction. Whoever touches `calls` must, and
    before it gives ids to new ones.

    `first_changed`: the lowest id of those that were there before; None: all are new.
    """
    share_periods(connection)
    quarters = {at // QUARTER_NS for at in times_ns}  # every length is some of them
    touched = {(length, at - at % length) for at in (n * QUARTER_NS for n in quarters) for length in LENGTHS_NS}
    for some in _chunks(sorted(touched)):
        if not _are_marked(connection, some, first_changed):
            _mark(connection, some, first_changed)


def _are_marked(connection: Connection, periods: Sequence[tuple[int, int]], first_changed: int | None) -> bool:
    """Whether all are listed, and as they have to be already."""
    values = list(chain.from_iterable(periods))
    if first_changed is not None:
        values.append(max(first_changed, 1))
    counted = _marked(connection.dialect.name == "postgresql", len(periods), first_changed is None)
    return connection.exec_driver_sql(counted, tuple(values)).scalar() == len(periods)


@cache
def _marked(is_postgres: bool, periods: int, all_new: bool) -> str:
    """How many of so many periods are: straight to the driver, as every transaction asks."""
    mark = "%s" if is_postgres else "?"
    these = _among(is_postgres, [f"({mark}, {mark})"] * periods)
    return f"SELECT count(*) FROM rollup_periods WHERE {these} AND {_is_marked(None if all_new else mark)}"


def _mark(connection: Connection, periods: Sequence[tuple[int, int]], first_changed: int | None) -> None:
    """Those that are not. Of what a quarter holds, calls that are changed are let go, and all after them."""
    let_go = "" if first_changed is None else f", held_id = CASE WHEN held_id < {first_changed} THEN held_id END"
    marked = _is_marked(None if first_changed is None else str(max(first_changed, 1)))
    fresh = f"{_among(connection.dialect.name == 'postgresql', map(str, periods))} AND NOT {marked}"
    connection.exec_driver_sql(f"UPDATE rollup_periods SET stale = true, claim = NULL{let_go} WHERE {fresh}")
    connection.execute(_LIST, [{"length": length, "start": start} for length, start in periods])


def _among(is_postgres: bool, periods: Iterable[str]) -> str:
    return f"(length_ns, start_ns) IN ({'' if is_postgres else 'VALUES '}{', '.join(periods)})"


def _is_marked(first_changed: str | None) -> str:
    """Whether a period is as it has to be already; `first_changed` as it stands in the statement."""
    claimed = "(claim IS NULL OR claim < 0)"
    if first_changed is not None:
        claimed = f"claim IS NULL AND coalesce(held_id, 0) < {first_changed}"
    return f"(closed OR stale AND {claimed})"


def share_periods(connection: Connection) -> None:
    """Until the end of this transaction no period is summed up or closed. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")


def hold_periods(connection: Connection) -> None:
    """Until the end of this transaction no other writer is between its calls and its mark."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def _chunks(periods: list[tuple[int, int]]) -> Iterable[list[tuple[int, int]]]:
    return (periods[place : place + 200] for place in range(0, len(periods), 200))
