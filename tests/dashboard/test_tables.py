"""From rows to tables: numbers in the cells, words on the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from outlay_dashboard import tables
from outlay_dashboard.answers.calls import read_trace
from outlay_dashboard.answers.usage import UsageRow

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

RowMaker = Callable[..., UsageRow]


def written(styler: Styler) -> list[list[str]]:
    """What is read, row by row."""
    return [line.split("\t") for line in styler.hide(axis="index").to_string(delimiter="\t").splitlines()[1:]]


def test_the_breakdown_writes_each_amount_exactly_and_sorts_by_the_number(usage_row: RowMaker) -> None:
    table = tables.breakdown(
        "model",
        [
            usage_row(
                model="a", calls=10, errors=1, cost_usd="12.000000001", input_tokens=1000, cache_read_tokens=250,
                latency_ms={"p50": 840.0, "p95": 2000.0, "p99": 2000.0},
            ),
            usage_row(model=None, calls=2, unpriced_calls=2),
        ],
        [usage_row(calls=14, cost_usd="24.000000002", unpriced_calls=2)],
    )  # fmt: skip
    first, second = written(table)
    assert first[:5] == ["a", "$12.000000001", "0.500000", "0", "10"]
    assert first[5:9] == ["10%", "0", "840 ms", "2.00 s"]
    assert second[:2] == ["(not set)", "\N{EN DASH}"]
    assert second[3] == "2"


def test_the_bill_of_a_call_shows_each_line_as_it_was_added_up() -> None:
    table = tables.lines(
        {"lines": [{"unit": "cache_read", "quantity": 128955, "rate": "0.5", "per": 1000000, "cost_usd": "0.0644775"}]}
    )
    assert table is not None
    assert written(table) == [["cache_read", "128,955", "$0.50 for 1,000,000", "$0.0644775"]]


def test_a_call_without_lines_usage_or_attempts_has_no_such_table() -> None:
    assert tables.lines({"lines": []}) is None
    assert tables.quantities({"usage": None}) is None
    assert tables.attempts({"attempts": None}) is None


def test_usage_is_listed_by_unit_without_the_note_on_what_was_inferred() -> None:
    table = tables.quantities({"usage": {"input": 5, "output": 1200, "~inferred": "the stream was cut"}})
    assert table is not None
    assert written(table) == [["input", "5"], ["output", "1,200"]]


def test_an_attempt_without_an_answer_names_its_error() -> None:
    away = {"status": None, "ms": 31.0, "error": "ConnectError"}
    table = tables.attempts({"attempts": [away, {"status": 429, "ms": 9, "retry_after_s": 1.5}]})
    assert table is not None
    assert written(table) == [["1", "ConnectError", "31 ms", ""], ["2", "429", "9.0 ms", "1.5 s"]]


def test_a_trace_is_indented_and_marks_the_call_it_is_shown_for() -> None:
    step = {
        "depth": 0, "kind": "agent", "name": "plan the trip", "call_id": None, "duration_ms": 1250.0, "failed": False,
        "calls": 2, "cost_usd": "0.007", "unpriced_calls": 1,
    }  # fmt: skip
    call = step | {
        "depth": 1, "kind": "call", "name": "chat gpt-4o", "call_id": 7, "duration_ms": 840.0, "failed": True,
        "calls": 1, "unpriced_calls": 0,
    }  # fmt: skip
    table = tables.nodes(read_trace({"tree": [step, call]}), "7")
    assert table is not None
    assert written(table) == [
        ["plan the trip", "agent", "2", "$0.007", "1", "1.25 s", ""],
        ["\u2003▸ chat gpt-4o", "call", "1", "$0.007", "0", "840 ms", "failed"],
    ]


def test_a_call_alone_in_its_trace_has_no_tree() -> None:
    assert tables.nodes((), "7") is None
