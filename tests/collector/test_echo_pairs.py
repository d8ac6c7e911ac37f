"""Which reports are compared with one another: those that are one call already are not, and it shows nowhere."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from outlay.prices import PriceBook
from outlay_collector.billing import Report
from outlay_collector.echoes import pairs, traces_to_look_up
from outlay_collector.ingest import read_batch
from outlay_collector.paths import SpanKey

from tests.collector.echoing import at
from tests.collector.sending import Sent, body_of, chat
from tests.collector.trees import trees

BOOK = PriceBook.bundled()


@dataclass(eq=False)
class Called:
    """A call that some of the reports tell of."""

    def root(self) -> Called:
        return self


@given(trees(), st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_one_call_already_is_not_compared_and_nothing_else_changes(
    sent: list[Sent], data: st.DataObject
) -> None:
    reports = read_batch(body_of(*sent), is_json=False, book=BOOK).reports
    parents = {key_of(r): r.parent_span_id for r in reports}
    calls = [Called() for _ in range(4)]
    groups = {key_of(r): data.draw(st.sampled_from(calls)) for r in reports}

    every = pairs(reports, parents, {key: Called() for key in groups})
    some = pairs(reports, parents, groups)

    apart = [pair for pair in every if groups[key_of(pair[0])] is not groups[key_of(pair[1])]]
    assert [pair for pair in some if groups[key_of(pair[0])] is not groups[key_of(pair[1])]] == apart
    assert traces_to_look_up(some, parents) == traces_to_look_up(every, parents)


def key_of(report: Report) -> SpanKey:
    return report.trace_id, report.span_id


def test_spans_each_inside_the_last_are_compared_with_none_of_the_others() -> None:
    """Five hundred of as many scopes: each is the call of the span it is directly inside."""
    sent = [at(n, n - 1 or None, n, 2_000 - n, chat(), f"scope.{n}") for n in range(1, 501)]
    reports = read_batch(body_of(*sent), is_json=False, book=BOOK).reports
    parents = {key_of(r): r.parent_span_id for r in reports}
    assert pairs(reports, parents, dict.fromkeys(parents, Called())) == []
