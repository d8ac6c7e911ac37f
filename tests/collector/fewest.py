"""From how many calls on periods are summed up in tests, which have few."""

from __future__ import annotations

from outlay_collector.store.grains import LENGTHS_NS
from outlay_collector.store.summing import Fewest

EVERY = dict.fromkeys(LENGTHS_NS, 1)
ANY = Fewest(alone=EVERY, together=EVERY, users=EVERY, a_minute=0, a_user=0)
"""Sums up whatever there is, however few calls that are."""
FEW = Fewest(
    alone=dict.fromkeys(LENGTHS_NS, 2),
    together=dict.fromkeys(LENGTHS_NS, 3),
    users=dict.fromkeys(LENGTHS_NS, 3),
    a_minute=1,
    a_user=1,
)
"""Sums up some of it."""
