"""Sums a period up: by how much, and when what was found is kept.

Quarters are summed up from their calls, all else from shorter periods where these have what is wanted. By how much
grows with the number of calls, so that sums stay fewer than calls: a period with few of them is cheaper to read than to
sum up. Summing reads what was committed and holds no lock meanwhile; what it found is kept if no call of the period was
written in between, which the writer says by taking the claim away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from secrets import randbits
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, TextClause, and_, select, text, update

from outlay_collector.store.claiming import Claim, Period, last_id
from outlay_collector.store.engine import reading
from outlay_collector.store.foremost import most_of
from outlay_collector.store.grains import (
    DAY_NS,
    GRAINS,
    HOUR_NS,
    MINUTE_NS,
    MINUTES,
    QUARTER_NS,
    SIX_HOURS_NS,
    WEEK_NS,
    Grain,
    whole,
)
from outlay_collector.store.inserting import insert_rows
from outlay_collector.store.marking import hold_periods
from outlay_collector.store.pieces import Row
from outlay_collector.store.rollups import GROUPINGS, OF_A_DAY, PERIODS, Kept, Section, is_of_many, kind_of
from outlay_collector.store.sums import NOTHING_HELD, Names, Summed, held_by, of_calls, of_day, of_parts, this

DETAILS_FOR_NS: Final = 3 * DAY_NS
"""How long quarters have their minutes, and their sums by all dimensions together."""
_MADE_OF_PARTS: Final = (SIX_HOURS_NS, WEEK_NS)


def _removal(groupings: Iterable[int]) -> TextClause:
    """Of the rollups of a grain that begin then; groupings and sections are named so that the key is of use."""
    places, sections = (", ".join(map(str, map(int, some))) for some in (groupings, Section))
    return text(
        f"DELETE FROM rollups WHERE grouping IN ({places}) AND section IN ({sections}) "
        "AND length_ns = :length AND of_ns = :of AND start_ns >= :start AND start_ns < :end"
    )


REMOVE: Final = _removal(range(len(GROUPINGS)))
_DETAILS: Final = Kept.MINUTES | Kept.MINUTES_ONE | Kept.ALL
_REMOVE_LARGE: Final = _removal(place for place in range(len(GROUPINGS)) if kind_of(place) & _DETAILS)
_CLAIMED: Final = text(
    "SELECT start_ns FROM rollup_periods "
    "WHERE length_ns = :length AND start_ns BETWEEN :start AND :end AND claim = :claim"
)
_SETTLE: Final = text(
    "UPDATE rollup_periods SET stale = :stale, claim = NULL, kept = :kept, edition = :edition, held_id = :held_id, "
    "held_until_ns = :held_until_ns WHERE length_ns = :length AND start_ns = :start"
)
_COUNT: Final = text("SELECT count(*) FROM calls WHERE started_at_ns >= :start AND started_at_ns < :end")
_COLUMNS: Final = ("grouping", "section", "length_ns", "of_ns", "start_ns", "part", "groups", "packed")


@dataclass(frozen=True, slots=True)
class Fewest:
    """From how many calls on a period is summed up, so that sums are fewer than calls and reading the rest is quick.

    `alone`: by each dimension alone; `together`: by all of them; `users`: by user, if there are `a_user` times as many
    calls as users. A quarter with `a_minute` calls a minute has these by each dimension too.
    """

    alone: Mapping[int, int]
    together: Mapping[int, int]
    users: Mapping[int, int]
    a_minute: int
    a_user: float


FEWEST: Final = Fewest(
    alone={QUARTER_NS: 250, HOUR_NS: 40, DAY_NS: 1},
    together={QUARTER_NS: 250, HOUR_NS: 250, DAY_NS: 250},
    users={QUARTER_NS: 250, HOUR_NS: 250, DAY_NS: 250},
    a_minute=150,
    a_user=1.1,
)


class Found(NamedTuple):
    """What a period has now. `held_id`, `held_until_ns`: what a quarter goes on holding when more calls come."""

    period: Period
    kept: Kept
    summed: Summed
    held_id: int | None
    held_until_ns: int | None
    stale: bool = False


def sum_up(
    engine: Engine,
    periods: Sequence[Period],
    claim: Claim,
    now_ns: int,
    *,
    final: bool = False,
    fewest: Fewest = FEWEST,
) -> int:
    """Sum periods of one length up and take them off the stale ones. Returns how many: not those a call came into in
    between, nor those of which a part is stale.

    All are kept in one transaction, so there should be no more than writers may wait for. `final`: by everything, and
    for good, whatever number of calls there are.
    """
    with reading(engine) as connection:
        names = Names(connection, engine)
        sums = [(period, _sums(connection, names, period, now_ns, final, fewest)) for period in periods]
    found = [_found(period, *each, claim.until_id) for period, each in sums if each is not None]
    return keep_ours(engine, found, claim) if found else 0


def sum_up_within(connection: Connection, period: Period) -> None:
    """The same, for good, in a transaction that holds the periods already."""
    kept, summed = _sums(connection, Names(connection), period, 0, True, FEWEST) or (Kept(0), [])
    _keep(connection, [_found(period, kept, summed, last_id(connection))])


def keep_ours(engine: Engine, found: Sequence[Found], claim: Claim) -> int:
    """Say what periods of one length have, and give up the claim, as far as it still stands. Returns of how many."""
    starts = [each.period[1] for each in found]
    where = {"length": found[0].period[0], "start": min(starts), "end": max(starts), "claim": claim.token}
    with engine.begin() as connection:
        hold_periods(connection)
        ours = set(connection.execute(_CLAIMED, where).scalars())
        if mine := [each for each in found if each.period[1] in ours]:
            _keep(connection, mine)
    return len(mine)


def _keep(connection: Connection, found: Sequence[Found]) -> None:
    """In place of what was kept of them."""
    connection.execute(_SETTLE, [_settled(each) for each in found])
    connection.execute(REMOVE, [begun(grain, each.period[1]) for each in found for grain in _grains(each.period[0])])
    insert_rows(connection, "rollups", _COLUMNS, _sections([row for each in found for row in each.summed]))


def _sections(rows: Sequence[Row]) -> Iterator[tuple[Any, ...]]:
    """As they stand in the table, where those that are read together are neighbours."""
    ordered = sorted(rows, key=lambda row: row[:4])
    for section in (Section.RANKED, Section.REST, Section.DURATIONS):
        for grouping, grain, start_ns, part, (groups, *packed) in ordered:
            yield grouping, int(section), *grain, start_ns, part, groups, packed[section]
    for (grouping, grain, start_ns), parts in groupby(ordered, key=lambda row: row[:3]):
        if is_of_many(grouping) and not grain.is_series:
            most = most_of((row.part, row.packed.groups, row.packed.ranked) for row in parts)
            yield grouping, int(Section.MOST), *grain, start_ns, 0, *most


def _found(period: Period, kept: Kept, summed: Summed, until_id: int) -> Found:
    length_ns, start_ns = period
    held = (until_id, start_ns + length_ns) if length_ns == QUARTER_NS else (None, None)
    return Found(period, kept, summed, *held)


def _settled(found: Found) -> dict[str, Any]:
    held = {"held_id": found.held_id, "held_until_ns": found.held_until_ns}
    said = {"stale": found.stale, "kept": int(found.kept), "edition": randbits(62), **held}
    return {"length": found.period[0], "start": found.period[1], **said}


def _grains(length_ns: int) -> Iterator[Grain]:
    """Of the rows of a period: its own and its series."""
    return (grain for grain in GRAINS if grain.of_ns == length_ns)


def begun(grain: Grain, start_ns: int, end_ns: int | None = None) -> dict[str, int]:
    """To be removed: what begins from then on and before the end, or just then."""
    end = start_ns + 1 if end_ns is None else end_ns
    return {"length": grain.length_ns, "of": grain.of_ns, "start": start_ns, "end": end}


def forget_details(engine: Engine, now_ns: int) -> int:
    """Remove what quarters have only while they are young: the others' is read from hours. Returns of how many."""
    old = PERIODS.c.start_ns < now_ns - DETAILS_FOR_NS
    bits = int(_DETAILS)
    final = PERIODS.c.kept.op("&")(int(Kept.FINAL)) != 0
    have = and_(PERIODS.c.length_ns == QUARTER_NS, old, PERIODS.c.kept.op("&")(bits) != 0, ~final)
    with reading(engine) as connection:
        quarters = connection.execute(select(PERIODS.c.start_ns, PERIODS.c.kept).where(have)).all()
    for start_ns, kept in quarters:
        with engine.begin() as connection:
            hold_periods(connection)
            left = update(PERIODS).where(this((QUARTER_NS, start_ns)), PERIODS.c.kept == kept)
            if connection.execute(left.values(kept=kept & ~bits)).rowcount:
                connection.execute(REMOVE, begun(MINUTES, start_ns))
                connection.execute(_REMOVE_LARGE, begun(whole(QUARTER_NS), start_ns))
    return len(quarters)


def _sums(
    connection: Connection, names: Names, period: Period, now_ns: int, final: bool, fewest: Fewest
) -> tuple[Kept, Summed] | None:
    """What to keep of a period; None where its parts are not ready."""
    length_ns, start_ns = period
    if length_ns in _MADE_OF_PARTS:
        return of_parts(connection, period)
    calls = number_of_calls(connection, start_ns, length_ns)
    kept = wanted(period, calls, now_ns, final, fewest)
    if not kept:
        return kept, []
    found = _of_period(connection, names, period, kept, final, fewest)
    if found is None or length_ns != DAY_NS:
        return found
    return _with_series(connection, names, start_ns, calls, found, fewest)


def _with_series(
    connection: Connection, names: Names, day_ns: int, calls: int, found: tuple[Kept, Summed], fewest: Fewest
) -> tuple[Kept, Summed] | None:
    """Of a day: its hours and quarters too, where these have enough calls each."""
    kept, summed = found[0], list(found[1])
    for grain, kind in OF_A_DAY.items():
        if calls >= fewest.alone[grain.length_ns] * (DAY_NS // grain.length_ns):
            kept |= kind
            series = of_day(connection, names, day_ns, grain, kept)
            if series is None:
                return None
            summed += series
    return kept, summed


def _of_period(
    connection: Connection, names: Names, period: Period, kept: Kept, final: bool, fewest: Fewest
) -> tuple[Kept, Summed] | None:
    """By what is wanted, from its parts if these have it."""
    length_ns, _ = period
    if length_ns != QUARTER_NS:
        parts = of_parts(connection, period)
        if parts is None or parts[0] & kept == kept:
            return parts  # a part that is stale is summed up first
    held = held_by(connection, period) if length_ns == QUARTER_NS else NOTHING_HELD
    if kept & ~Kept.FINAL & ~held.kept:
        held = NOTHING_HELD  # it has less than is wanted
    return of_calls(connection, names, period, kept, 0 if final else fewest.a_user, held)[:2]


def number_of_calls(connection: Connection, start_ns: int, length_ns: int) -> int:
    return int(connection.scalar(_COUNT, {"start": start_ns, "end": start_ns + length_ns}) or 0)


def wanted(period: Period, calls: int, now_ns: int, final: bool, fewest: Fewest) -> Kept:
    """What a period of so many calls is summed up by."""
    length_ns, start_ns = period
    if final:
        return Kept.ONE | Kept.ALL | Kept.USERS | Kept.FINAL
    if calls < fewest.alone[length_ns]:
        return Kept(0)
    kept = Kept.ONE
    if calls >= fewest.together[length_ns]:
        kept |= Kept.ALL
    if calls >= fewest.users[length_ns]:
        kept |= Kept.USERS
    if length_ns == QUARTER_NS and start_ns >= now_ns - DETAILS_FOR_NS:
        kept |= Kept.MINUTES
        if calls >= fewest.a_minute * (QUARTER_NS // MINUTE_NS):
            kept |= Kept.MINUTES_ONE
    return kept
