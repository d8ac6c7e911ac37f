"""The calls of a stretch of time as columns, a row a call: what sums are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import BigInteger, Connection, Executable, bindparam, select

from outlay_collector.store.arrays import in_arrays, maybe_known, numbers, values
from outlay_collector.store.blocks import Block, Durations, Figures, Numbers
from outlay_collector.store.names import NOBODY
from outlay_collector.store.rollups import ALWAYS_KNOWN, DIMENSIONS, USER, each_measure_of_calls
from outlay_collector.store.schema import CALLS

_PIECE: Final = 25_000
_NAMED: Final = len(DIMENSIONS) + 1
_FIRST_UNSURE: Final = 1 + _NAMED + ALWAYS_KNOWN


IdsOf = Callable[[Mapping[str, int]], Mapping[str, int]]
"""The ids of names, given how many calls have each."""


class CallIds(NamedTuple):
    """Those above `after`, up to and with `until`."""

    after: int
    until: int


ANY_CALLS: Final = CallIds(0, 2**63 - 1)


@dataclass(slots=True)
class Columns(Block):
    """By `DIMENSIONS` and the user, in the order of time."""

    started_at_ns: Numbers


def read_columns(
    connection: Connection,
    from_ns: int,
    to_ns: int,
    ids_of: IdsOf,
    within: CallIds = ANY_CALLS,
) -> Iterator[Columns]:
    """All calls that started then and have such an id, so many at a time that no number of them fills the memory."""
    statement = _statement(connection.dialect.name == "postgresql", within != ANY_CALLS)
    ids, skip = {} if within == ANY_CALLS else within._asdict(), 0
    while True:
        place = {"from_ns": from_ns, "to_ns": to_ns, "most": _PIECE, "skip": skip, **ids}
        columns = connection.execute(statement, place).one()
        times = numbers(columns[0])
        if len(times):
            yield _columns(times, columns, ids_of)
        if len(times) < _PIECE:
            return
        last = int(times[-1])
        skip = int(np.count_nonzero(times == last)) + (skip if last == from_ns else 0)
        from_ns = last


@cache
def _statement(is_postgres: bool, by_id: bool) -> Executable:
    """Times, `DIMENSIONS`, users, measures and bins of a piece, each an array."""
    at, number = CALLS.c.started_at_ns, CALLS.c.id + 0  # a sum, so that no database looks for it by id
    names = [CALLS.c[name] for name in (*DIMENSIONS, USER)]
    wanted = select(at, *names, *each_measure_of_calls(), CALLS.c.latency_bin, CALLS.c.ttft_bin)
    calls = wanted.where(at >= _whole("from_ns"), at < _whole("to_ns"))
    if by_id:
        calls = calls.where(number > _whole("after"), number <= _whole("until"))
    in_order = calls.order_by(at, CALLS.c.user, CALLS.c.tenant, CALLS.c.status, CALLS.c.id)  # as the index has them
    return in_arrays(in_order.limit(_whole("most")).offset(_whole("skip")), is_postgres=is_postgres)


def _whole(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


def _columns(times: Numbers, columns: Sequence[str], ids_of: IdsOf) -> Columns:
    rows = np.arange(len(times))
    names, places = zip(*map(_ranked, columns[1 : 1 + _NAMED]), strict=True)
    known = ids_of(_called(names, places))
    ids_there = [np.array([NOBODY if name is None else known[name] for name in some], np.int64) for some in names]
    ids = [some[at] for some, at in zip(ids_there, places, strict=True)]
    sure = [numbers(column) for column in columns[1 + _NAMED : _FIRST_UNSURE]]
    unsure, said = zip(*map(maybe_known, columns[_FIRST_UNSURE:-2]), strict=True)
    latency, (ttft, has_ttft) = numbers(columns[-2]), maybe_known(columns[-1])
    streamed = np.flatnonzero(has_ttft)
    return Columns(
        Figures(ids, [*sure, *unsure], list(said)),
        Durations(rows, latency, np.ones(len(rows), np.int64)),
        Durations(streamed, ttft[streamed], np.ones(len(streamed), np.int64)),
        times,
    )


def _called(names: Sequence[Sequence[str | None]], places: Sequence[Numbers]) -> Mapping[str, int]:
    """How many calls have each name, as whatever it is most often."""
    found: dict[str, int] = {}
    for some, at in zip(names, places, strict=True):
        for name, calls in zip(some, np.bincount(at).tolist(), strict=True):
            if name is not None:
                found[name] = max(calls, found.get(name, 0))
    return found


def _ranked(column: str) -> tuple[Sequence[str | None], Numbers]:
    """The values there are, in any order, and for each row the place of its own among them."""
    said = values(column)
    places = {value: place for place, value in enumerate(set(said))}
    if len(places) == 1:
        return list(places), np.zeros(len(said), np.int64)
    return list(places), np.fromiter(map(places.__getitem__, said), np.int64, len(said))
