"""Makes rollups wrong, for tests of who notices."""

from __future__ import annotations

from outlay_collector.store.packing import decode_figures, encode_figures
from outlay_collector.store.rollups import GROUPINGS, MEASURES, MINUTE_NS, ROLLUPS
from sqlalchemy import Engine, select, update


def add_to_rollups(engine: Engine, measure: str, amount: int, length_ns: int | None = None) -> None:
    """To that measure of every group, of one length or of all."""
    wanted = ROLLUPS.c.length_ns == length_ns if length_ns else ROLLUPS.c.length_ns > 0
    with engine.begin() as connection:
        for row in connection.execute(select(ROLLUPS).where(wanted)).all():
            dimensions = len(GROUPINGS[row.grouping]) + (row.length_ns == MINUTE_NS)
            figures = decode_figures(row.figures, dimensions, row.groups)
            place = MEASURES.index(measure)
            figures.measures[place] = figures.measures[place].astype("int64") + amount
            key = [ROLLUPS.c[name] == getattr(row, name) for name in ("grouping", "length_ns", "start_ns", "part")]
            connection.execute(update(ROLLUPS).where(*key).values(figures=encode_figures(figures)))
