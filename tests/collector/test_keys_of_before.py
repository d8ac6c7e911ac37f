"""Databases of before random response ids were keys by themselves: their calls are found, and written anew."""

from __future__ import annotations

from outlay.prices import PriceBook
from outlay_collector.ingest import read_batch
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import downgrade, migrate
from outlay_collector.store.schema import CALLS
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.writing import Written
from sqlalchemy import Engine, select

from tests.collector.echoing import ANOTHER_SDK, CLAUDE, GEN, SDK, UUID, at, in_two_traces, told
from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, chat

pytestmark = BOTH_BACKENDS

BEFORE = "0027_write_turns"
SPANS = in_two_traces(told("openai", GEN, **CLAUDE), told("openrouter", GEN, **CLAUDE))


def write(engine: Engine, *spans: Sent, received_at_ns: int = NOW_NS) -> Written:
    reports = read_batch(body_of(*spans), is_json=False, book=PriceBook.bundled()).reports
    return SqlStore(engine).write(reports, received_at_ns)


def keys(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(CALLS.c.bill_key).order_by(CALLS.c.id)).scalars())


def moved_back(span: Sent, days: int) -> Sent:
    return Sent(**{**vars(span), "started_at_ns": span.started_at_ns - days * 86_400 * 10**9})


def test_keys_of_before_are_written_anew_and_back_again(engine: Engine) -> None:
    write(engine, SPANS[0], at(3, None, 0, 100, told("azure", "r1"), SDK, trace=3), at(4, None, 0, 9, chat(), SDK))
    now = [f"*:{GEN}", "openai:r1", f"{1:032x}:{4:016x}"]
    assert keys(engine) == now
    downgrade(engine, BEFORE)
    assert keys(engine) == [f"openai:{GEN}", *now[1:]]
    migrate(engine)
    assert keys(engine) == now
    assert write(engine, SPANS[1]) == Written(0, 1, 0)


def test_two_bills_of_before_are_one_when_a_report_finds_both(engine: Engine) -> None:
    """The earlier kept its key, and a span without an id that belongs to it changes nothing of that."""
    write(engine, SPANS[0])
    downgrade(engine, BEFORE)
    renamed = CALLS.update().values(bill_key=f"old:{GEN}")
    with engine.begin() as connection:
        connection.execute(renamed)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(renamed.values(bill_key=f"openai:{GEN}"))
    write(engine, SPANS[1])
    assert sorted(keys(engine)) == [f"*:{GEN}", f"openai:{GEN}"]
    inner = at(5, 1, 20, 80, chat(**CLAUDE), ANOTHER_SDK)
    assert write(engine, inner) == Written(0, 1, 0)
    assert sorted(keys(engine)) == [f"*:{GEN}", f"openai:{GEN}"]
    late = at(6, 5, 0, 100, told("openai", GEN, **CLAUDE), ANOTHER_SDK, trace=6)
    assert write(engine, late, received_at_ns=NOW_NS + 2 * 86_400 * 10**9) == Written(0, 1, 0)
    assert keys(engine) == [f"*:{GEN}"]


def test_a_late_report_finds_a_call_that_was_too_old_for_a_new_key(engine: Engine) -> None:
    old = [moved_back(span, 9) for span in SPANS]
    write(engine, old[0], received_at_ns=old[0].started_at_ns + 10**9)
    write(engine, at(7, None, 0, 100, told("openai", UUID), SDK, trace=7))
    downgrade(engine, BEFORE)
    migrate(engine)
    assert keys(engine) == [f"openai:{GEN}", f"*:{UUID}"]
    again = Sent(**{**vars(old[0]), "trace": 77, "scope": ANOTHER_SDK})
    assert write(engine, again) == Written(0, 1, 0)


def test_a_database_without_a_call_goes_both_ways(database_url: str, engine: Engine) -> None:
    downgrade(engine, BEFORE)
    migrate(engine)
    other = open_engine(database_url)
    assert keys(other) == []
    other.dispose()
