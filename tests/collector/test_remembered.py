"""Blocks that are remembered are what the database would say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from outlay.prices import PriceBook
from outlay_collector.ingest import read_batch
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.grains import DAY_NS, HOUR_NS
from outlay_collector.store.query import UsageQuery
from outlay_collector.store.remembered import Kind, Packed, Remembered
from outlay_collector.store.rollups import Section
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine, event

from tests.collector.fewest import ANY
from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, chat

USERS: Kind = (10, Section.RANKED)
YESTERDAY = NOW_NS - NOW_NS % DAY_NS - DAY_NS
EVER = UsageQuery(from_ns=YESTERDAY, to_ns=YESTERDAY + DAY_NS, group_by=("user",))


def block(start: int, part: int, size: int = 10) -> Packed:
    return Packed(HOUR_NS, HOUR_NS, start, part, 1, bytes(size))


def found(remembered: Remembered, start: int, edition: int, parts: Sequence[int] | None) -> Sequence[int] | None:
    """The parts; None where the period must be read."""
    blocks, missing = remembered.find(USERS, [((HOUR_NS, HOUR_NS, start), edition)], parts)
    return None if missing else [each.part for each in blocks]


def keep(remembered: Remembered, start: int, edition: int, parts: Sequence[int] | None, *read: Packed) -> None:
    remembered.keep(USERS, [((HOUR_NS, HOUR_NS, start), edition)], parts, read)


def test_a_block_is_known_by_its_edition() -> None:
    remembered = Remembered()
    keep(remembered, 0, 7, None, block(0, 0))
    assert found(remembered, 0, 7, None) == [0]
    assert found(remembered, 0, 8, None) is None
    assert found(remembered, HOUR_NS, 7, None) is None


def test_parts_that_were_read_are_known_and_those_that_are_not_there() -> None:
    remembered = Remembered()
    keep(remembered, 0, 7, [1, 2], block(0, 1))
    assert found(remembered, 0, 7, [1, 2]) == [1]
    assert found(remembered, 0, 7, [1, 3]) is None
    assert found(remembered, 0, 7, None) is None
    keep(remembered, 0, 7, [3], block(0, 3))
    assert found(remembered, 0, 7, [1, 2, 3]) == [1, 3]
    keep(remembered, 0, 7, None, block(0, 1), block(0, 3), block(0, 4))
    assert found(remembered, 0, 7, [4, 5]) == [4]
    keep(remembered, 0, 8, [1], block(0, 1))
    assert found(remembered, 0, 8, [3]) is None


def test_what_was_asked_for_least_lately_makes_room() -> None:
    remembered = Remembered(most_bytes=3_000)
    for start in (0, 1, 2):
        keep(remembered, start, 7, None, block(start, 0, 700))
    assert found(remembered, 0, 7, None) == [0]
    keep(remembered, 3, 7, None, block(3, 0, 700))
    assert [found(remembered, start, 7, None) for start in range(4)] == [[0], None, [0], [0]]


def test_what_would_leave_room_for_little_else_is_not_kept() -> None:
    remembered = Remembered(most_bytes=3_000)
    keep(remembered, 0, 7, None, block(0, 0, 700))
    keep(remembered, 1, 7, None, block(1, 0, 1_501))
    assert [found(remembered, start, 7, None) for start in (0, 1)] == [[0], None]


@contextmanager
def reads_of_rollups(engine: Engine) -> Iterator[list[str]]:
    """The statements that read blocks meanwhile. Postgres's go past SQLAlchemy."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "CROSS JOIN rollups " in statement:
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def write(engine: Engine, n: int, user: str) -> None:
    said = {"user.id": user, "gen_ai.response.id": f"r{n}"}
    sent = Sent(trace=n, span=n, started_at_ns=YESTERDAY + n * HOUR_NS, attributes=chat(**said))
    SqlStore(engine).write(read_batch(body_of(sent), is_json=False, book=PriceBook.bundled()).reports, NOW_NS)


def test_the_same_question_reads_no_block_again(engine: Engine) -> None:
    write(engine, 1, "ann")
    sum_up_all(engine, NOW_NS, fewest=ANY)
    with reads_of_rollups(engine) as first:
        answer = SqlStore(engine).usage(EVER)
    assert len(first) == 3  # sections: what groups are ranked by, the rest, histograms
    with reads_of_rollups(engine) as second:
        assert SqlStore(engine).usage(EVER) == answer
    assert second == []


@BOTH_BACKENDS
def test_what_is_summed_up_anew_is_read_anew(engine: Engine) -> None:
    store = SqlStore(engine)
    for n, users in enumerate((["ann"], ["ann", "ben"], ["ann", "ben", "cem"]), start=1):
        write(engine, n, users[-1])
        assert [row.group for row in store.usage(EVER)] == [(user,) for user in users]
        sum_up_all(engine, NOW_NS, fewest=ANY)
        assert [row.group for row in store.usage(EVER)] == [(user,) for user in users]
        assert [row.group for row in store.usage(EVER)] == [(user,) for user in users]
