"""An answer of the database as columns: one row, and each column of it one array of JSON.

To make Python's values row by row takes longer: SQLite's driver 4.5 us for those of a call, which all together are
written and read as JSON in 2.9, and Postgres's sums are decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Executable, Select, Text, cast, func, select

from outlay_collector.store.blocks import Mask, Numbers


def in_arrays(wanted: Select[Any], *, is_postgres: bool) -> Executable:
    """The same rows, all columns in the order of the rows."""
    array = func.json_agg if is_postgres else func.json_group_array
    return select(*(cast(array(column), Text) for column in wanted.subquery().columns))


def values(column: str | None) -> list[Any]:
    """Postgres makes NULL of an array of nothing."""
    return orjson.loads(column) if column is not None else []


def numbers(column: str | None) -> Numbers:
    return _numbers(values(column))


def maybe_known(column: str | None) -> tuple[Numbers, Mask]:
    """Zero where unknown, and where it is known."""
    said = values(column)
    unknown = said.count(None)
    if not unknown:
        return _numbers(said), np.ones(len(said), np.bool_)
    if unknown == len(said):
        return np.zeros(unknown, np.int64), np.zeros(unknown, np.bool_)
    known = np.array([value is not None for value in said], np.bool_)
    return _numbers([value or 0 for value in said]), known


def _numbers(said: Sequence[int]) -> Numbers:
    return np.fromiter(said, np.int64, len(said))  # as an array it would look at all of them twice
