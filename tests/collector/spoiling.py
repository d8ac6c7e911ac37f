"""Makes rollups wrong, for tests of who notices."""

from __future__ import annotations

from outlay_collector.store.grains import Grain
from outlay_collector.store.packing import decode_ranked, encode_figures
from outlay_collector.store.rollups import GROUPINGS, MEASURES, ROLLUPS, Section
from sqlalchemy import Engine, and_, select, true, update


def add_to_rollups(engine: Engine, measure: str, amount: int, grain: Grain | None = None) -> None:
    """To that measure, one of the first, of every group, of one grain or of all."""
    of_it = and_(ROLLUPS.c.length_ns == grain.length_ns, ROLLUPS.c.of_ns == grain.of_ns) if grain else true()
    place = MEASURES.index(measure)
    with engine.begin() as connection:
        for row in connection.execute(select(ROLLUPS).where(ROLLUPS.c.section == Section.RANKED, of_it)).all():
            dimensions = len(GROUPINGS[row.grouping]) + (row.length_ns != row.of_ns)
            figures = decode_ranked(row.packed, dimensions, row.groups)
            figures.measures[place] = figures.measures[place].astype("int64") + amount
            ranked, _ = encode_figures(figures)
            key = [column == getattr(row, column.name) for column in ROLLUPS.primary_key]
            connection.execute(update(ROLLUPS).where(*key).values(packed=ranked))
