"""The calls of a stretch of time as columns, a row a call: what sums are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, select

from outlay_collector.store.blocks import Block, Durations, Figures, Mask, Numbers
from outlay_collector.store.names import NOBODY
from outlay_collector.store.rollups import ALWAYS_KNOWN, DIMENSIONS, MEASURES, USER, each_measure_of_calls
from outlay_collector.store.schema import CALLS

_PAGE: Final = 5_000
_PAGES: Final = 5
_NAMED: Final = len(DIMENSIONS) + 1
_MEASURED: Final = slice(1 + _NAMED, 1 + _NAMED + len(MEASURES))


class CallIds(NamedTuple):
    """Those above `after`, up to and with `until`."""

    after: int
    until: int


ANY_CALLS: Final = CallIds(0, 2**63 - 1)


@dataclass(slots=True)
class Columns(Block):
    """By `DIMENSIONS` and the user, in the order of time."""

    started_at_ns: Numbers


class _Numbering(dict[str | None, int]):
    """Numbers values as they come; None is 0."""

    def __missing__(self, name: str | None) -> int:
        self[name] = number = len(self)
        return number


def read_columns(
    connection: Connection,
    from_ns: int,
    to_ns: int,
    ids_of: Callable[[Collection[str]], Mapping[str, int]],
    within: CallIds = ANY_CALLS,
) -> Iterator[Columns]:
    """All calls that started then and have such an id, so many at a time that no number of them fills the memory."""
    wanted = select(
        CALLS.c.started_at_ns,
        *(CALLS.c[name] for name in (*DIMENSIONS, USER)),
        *each_measure_of_calls(),
        CALLS.c.latency_bin,
        CALLS.c.ttft_bin,
    ).where(CALLS.c.started_at_ns >= from_ns, CALLS.c.started_at_ns < to_ns)
    if within != ANY_CALLS:
        number = CALLS.c.id + 0  # a sum, so that no database looks for it by id
        wanted = wanted.where(number > within.after, number <= within.until)
    rows = connection.execute(wanted, execution_options={"yield_per": _PAGE}).partitions()
    while True:
        numbers = _Numbering({None: 0})
        pages = [_page(tuple(zip(*page, strict=True)), numbers) for page in islice(rows, _PAGES)]
        if not pages:
            return
        columns = [np.concatenate(parts) for parts in zip(*pages, strict=True)]
        del pages
        known = ids_of([name for name in numbers if name is not None])
        ids = np.array([NOBODY if name is None else known[name] for name in numbers], np.int64)
        yield _columns(columns, ids)


def _page(values: Sequence[Sequence[Any]], numbers: _Numbering) -> list[Numbers]:
    """Times, a number for each name, measures and bins, then what of the unsure ones is known."""
    rows = len(values[0])
    named = [np.fromiter(map(numbers.__getitem__, column), np.int64, rows) for column in values[1 : 1 + _NAMED]]
    measures = [_numbers(column) for column in values[_MEASURED]]
    latency, ttft = _numbers(values[-2]), _numbers(values[-1])
    unsure = [_known(column) for column in (*values[_MEASURED][ALWAYS_KNOWN:], values[-1])]
    return [np.array(values[0], np.int64), *named, *measures, latency, ttft, *unsure]


def _columns(columns: list[Numbers], ids: Numbers) -> Columns:
    times, *columns = columns
    named, columns = columns[:_NAMED], columns[_NAMED:]
    measures, (latency, ttft, *known) = columns[: len(MEASURES)], columns[len(MEASURES) :]
    rows = np.arange(len(times))
    streamed = np.flatnonzero(known.pop())
    return Columns(
        Figures([ids[column] for column in named], measures, known),
        Durations(rows, latency, np.ones(len(rows), np.int64)),
        Durations(streamed, ttft[streamed], np.ones(len(streamed), np.int64)),
        times,
    )


def _numbers(column: Sequence[int | None]) -> Numbers:
    """Zero where unknown."""
    if None in column:
        return np.array([value or 0 for value in column], np.int64)
    return np.array(column, np.int64)


def _known(column: Sequence[int | None]) -> Mask:
    if None in column:
        return np.array([value is not None for value in column], np.bool_)
    return np.ones(len(column), np.bool_)
