"""Makes rollups wrong, for tests of who notices."""

from __future__ import annotations

from outlay_collector.store.grains import Grain
from outlay_collector.store.packing import decode_figures, encode_figures
from outlay_collector.store.rollups import GROUPINGS, MEASURES, ROLLUPS, Half
from sqlalchemy import Engine, and_, select, true, update


def add_to_rollups(engine: Engine, measure: str, amount: int, grain: Grain | None = None) -> None:
    """To that measure of every group, of one grain or of all."""
    of_it = and_(ROLLUPS.c.length_ns == grain.length_ns, ROLLUPS.c.of_ns == grain.of_ns) if grain else true()
    wanted = and_(ROLLUPS.c.half == Half.FIGURES, of_it)
    with engine.begin() as connection:
        for row in connection.execute(select(ROLLUPS).where(wanted)).all():
            dimensions = len(GROUPINGS[row.grouping]) + (row.length_ns != row.of_ns)
            figures = decode_figures(row.packed, dimensions, row.groups)
            place = MEASURES.index(measure)
            figures.measures[place] = figures.measures[place].astype("int64") + amount
            key = [column == getattr(row, column.name) for column in ROLLUPS.primary_key]
            connection.execute(update(ROLLUPS).where(*key).values(packed=encode_figures(figures)))
