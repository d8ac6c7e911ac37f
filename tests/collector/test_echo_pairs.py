"""Which reports are compared with one another: those that are one call already are not, and it shows nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from outlay.prices import PriceBook
from outlay_collector.billing import Report
from outlay_collector.echoes import pairs, traces_to_look_up
from outlay_collector.ingest import read_batch
from outlay_collector.paths import SpanKey

from tests.collector.echoing import ANOTHER_SDK, FRAMEWORK, OURS, SDK, at
from tests.collector.sending import Sent, body_of, chat

BOOK = PriceBook.bundled()
UNCOUNTED = {name: said for name, said in chat().items() if "usage" not in name}
SAID: list[dict[str, Any]] = [
    chat(),
    chat(**{"gen_ai.response.id": "r"}),
    chat(**{"gen_ai.response.id": "s"}),
    UNCOUNTED,
    UNCOUNTED | {"error.type": "RateLimitError"},
]


@dataclass(eq=False)
class Called:
    """A call that some of the reports tell of."""

    def root(self) -> Called:
        return self


@st.composite
def spans(draw: st.DrawFn) -> list[Sent]:
    """Trees with parents that are missing, in two traces."""
    found = []
    for span in range(1, draw(st.integers(2, 12)) + 1):
        parent = draw(st.sampled_from([None, 90, *range(1, span)]))
        began = draw(st.integers(0, 60))
        ended = began + draw(st.integers(1, 60))
        scope = draw(st.sampled_from([FRAMEWORK, SDK, ANOTHER_SDK, "outlay"]))
        said = draw(st.sampled_from(SAID)) | (OURS if scope == "outlay" else {})
        found.append(at(span, parent, began, ended, said, scope, trace=draw(st.sampled_from([1, 1, 1, 2]))))
    return found


@given(spans(), st.data())
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
