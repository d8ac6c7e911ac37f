"""Counts as emitters give them, made disjoint: inclusive and exclusive, by arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from outlay.model import Usage
from outlay_collector.dialects.counts import Counts, read_counts

tokens = st.integers(0, 10**6)


def usage(*, exclusive: bool = False, **counts: int) -> dict[str, object]:
    counted = read_counts(Counts(**counts), exclusive=exclusive, has_output=True)
    assert counted.usage is not None, counted.reason
    return dict(counted.usage.quantities)


@given(plain=tokens, read=tokens, write=tokens, output=tokens)
def test_inclusive_counts_sum_to_their_total(plain: int, read: int, write: int, output: int) -> None:
    total = plain + read + write
    assume(total)
    counted = read_counts(
        Counts(input=total, output=output, cache_read=read, cache_write=write), exclusive=False, has_output=True
    )
    assert counted.usage == Usage({"input": plain, "cache_read": read, "cache_write": write, "output": output})
    assert counted.usage.input_tokens == total


@given(plain=tokens, read=tokens, write=tokens, output=tokens, custom=st.booleans())
def test_a_total_decides_whatever_the_emitters_custom(
    plain: int, read: int, write: int, output: int, custom: bool
) -> None:
    assume(plain + read + write)
    expected = {"input": plain, "cache_read": read, "cache_write": write, "output": output}
    everything = plain + read + write + output
    for said in (plain, plain + read + write):
        counts = {"input": said, "cache_read": read, "cache_write": write, "output": output, "total": everything}
        assert usage(exclusive=custom, **counts) == expected


def test_a_cache_larger_than_the_input_cannot_be_inside_it() -> None:
    assert usage(input=5, cache_read=100, output=1) == {"input": 5, "cache_read": 100, "output": 1}


def test_lifetimes_are_told_apart_only_where_they_add_up() -> None:
    split = usage(input=10, output=1, cache_write=10, cache_write_5m=4, cache_write_1h=6)
    assert split == {"input": 0, "output": 1, "cache_write_5m": 4, "cache_write_1h": 6}
    whole = usage(input=10, output=1, cache_write=10, cache_write_5m=4)
    assert whole == {"input": 0, "output": 1, "cache_write": 10}


def test_reasoning_beside_the_output_is_added_where_the_total_says_so() -> None:
    assert usage(input=10, output=5, reasoning=20, total=35) == {"input": 10, "output": 25, "reasoning": 20}


def test_reasoning_larger_than_the_output_cannot_be_inside_it() -> None:
    assert usage(input=9, output=13, reasoning=211) == {"input": 9, "output": 224, "reasoning": 211}


def test_what_only_the_total_counts_was_thought() -> None:
    for said in (7, None):
        counted = read_counts(Counts(input=102, output=said, total=502), exclusive=False, has_output=True)
        assert counted.usage is not None
        assert dict(counted.usage.quantities) == {"input": 102, "output": 400, "reasoning": 400 - (said or 0)}
        assert "taken for reasoning" in (counted.usage.inferred or "")


def test_what_only_the_total_counts_beside_the_thoughts_was_asked_of_a_tool() -> None:
    counted = read_counts(Counts(input=9, output=27, reasoning=221, total=318), exclusive=False, has_output=True)
    assert counted.usage is not None
    assert dict(counted.usage.quantities) == {"input": 9, "tool_input": 61, "output": 248, "reasoning": 221}
    assert "prompt of tools" in (counted.usage.inferred or "")


def test_a_cache_that_the_total_alone_has_in_it_is_no_reasoning() -> None:
    assert usage(input=5, cache_read=100, output=1, total=106) == {"input": 5, "cache_read": 100, "output": 1}


def test_the_modalities_of_the_cache_are_told_apart() -> None:
    counts = {"input": 345, "input_image": 258, "cache_read": 191, "cache_read_image": 143, "output": 168}
    expected = {"input": 39, "input_image": 115, "cache_read": 48, "cache_read_image": 143, "output": 168}
    assert usage(**counts) == expected


@pytest.mark.parametrize(
    "counts",
    [
        {"input": 10, "output": 5, "reasoning": 6, "total": 15},
        {"input": 10, "output": 5, "output_audio": 6},
        {"input": 10, "output": 5, "input_audio": 11},
    ],
)
def test_counts_that_contradict_one_another_are_no_usage(counts: dict[str, int]) -> None:
    counted = read_counts(Counts(**counts), exclusive=False, has_output=True)
    assert counted.usage is None
    assert "contradict" in (counted.reason or "")


@pytest.mark.parametrize("has_output", [True, False])
@pytest.mark.parametrize("counts", [Counts(), Counts(input=0, output=0), Counts(input=0, cache_read=0, total=0)])
def test_nothing_counted_is_not_zero(counts: Counts, has_output: bool) -> None:
    counted = read_counts(counts, exclusive=False, has_output=has_output)
    assert (counted.usage, counted.reason) == (None, None)


def test_input_alone_says_that_it_is_not_the_whole_bill() -> None:
    counted = read_counts(Counts(input=20), exclusive=False, has_output=True)
    assert counted.usage is not None
    assert counted.usage.inferred is not None


@pytest.mark.parametrize("said", [None, 0])
def test_an_answer_to_nothing_is_one_whose_input_was_not_counted(said: int | None) -> None:
    counted = read_counts(Counts(input=said, output=69, total=69), exclusive=False, has_output=True)
    assert counted.usage == Usage({"output": 69}, "the input was not counted; only the output is billed")


def test_a_total_tells_the_input_that_was_not_counted() -> None:
    counted = read_counts(Counts(output=100, reasoning=40, total=1100), exclusive=False, has_output=True)
    assert counted.usage == Usage(
        {"input": 1000, "output": 100, "reasoning": 40}, "the input was not counted; it is what the total leaves"
    )
