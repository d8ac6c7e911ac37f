"""What an answer leaves behind for the garbage collector, which holds up every answer while it looks for it."""

from __future__ import annotations

import gc

from outlay_collector.store.query import UsageQuery
from outlay_collector.store.schema import CALLS
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Column, Engine

from tests.collector.sending import BOTH_BACKENDS

ASKED = UsageQuery(from_ns=0, to_ns=3_600_000_000_000, group_by=("feature", "tag.tier"), filters={"user": ("ann",)})


@BOTH_BACKENDS
def test_a_question_copies_no_more_of_a_call_s_columns_than_it_is_made_of(engine: Engine) -> None:
    store = SqlStore(engine)
    store.usage(ASKED)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        store.usage(ASKED)
        gc.collect()
        left = [each for each in gc.garbage if isinstance(each, Column)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert len(left) < len(CALLS.columns)
