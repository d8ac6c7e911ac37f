"""A few rows of many blocks are what they are block by block."""

from __future__ import annotations

from itertools import chain

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from outlay_collector.store.blocks import Block, Durations, Figures
from outlay_collector.store.gathering import Gathered, Rows, gathered_durations
from outlay_collector.store.packing import (
    decode_durations,
    decode_ranked,
    decode_rest,
    encode_durations,
    encode_figures,
)
from outlay_collector.store.rollups import ALWAYS_KNOWN, MEASURES, RANKED

UNSURE = len(MEASURES) - ALWAYS_KNOWN
HIGHEST = st.sampled_from([0, 200, 60_000, 4_000_000_000, 2**61])


@st.composite
def figures(draw: st.DrawFn) -> Figures:
    ids = sorted(draw(st.sets(st.integers(0, draw(st.sampled_from([9, 300, 70_000]))), min_size=1, max_size=20)))
    rows = len(ids)

    def column() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        highest = draw(HIGHEST)
        lowest = draw(st.sampled_from([0, -highest]))
        return np.array(draw(st.lists(st.integers(lowest, highest), min_size=rows, max_size=rows)), np.int64)

    known = [
        np.array(draw(st.lists(st.booleans() if draw(st.booleans()) else st.just(True), min_size=rows, max_size=rows)))
        for _ in range(UNSURE)
    ]
    measures = [column() for _ in MEASURES]
    for place, mask in enumerate(known, start=ALWAYS_KNOWN):
        measures[place] = np.where(mask, measures[place], 0)
    return Figures([np.array(ids, np.int64)], measures, known)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    some = draw(figures())

    def histogram() -> Durations:
        cells = sorted(draw(st.sets(st.tuples(st.integers(0, len(some) - 1), st.integers(0, 255)), max_size=30)))
        calls = [draw(st.integers(1, 70_000)) for _ in cells]
        groups, bins = zip(*cells, strict=True) if cells else ((), ())
        return Durations(np.array(groups, np.int64), np.array(bins, np.uint8), np.array(calls, np.int64))

    return Block(some, histogram(), histogram())


def listed(some: Figures) -> list[list[int | bool]]:
    return [column.tolist() for column in (*some.ids, *some.measures, *some.known)]


@given(st.lists(blocks(), min_size=1, max_size=6), st.sets(st.integers(0, 70_000), min_size=1, max_size=4), st.data())
@settings(max_examples=150)
def test_gathered_rows_are_those_of_each_block(some: list[Block], other_ids: set[int], data: st.DataObject) -> None:
    groups = [len(block.figures) for block in some]
    said, rest = zip(*(encode_figures(block.figures) for block in some), strict=True)
    there = sorted({id_ for block in some for id_ in block.figures.ids[0].tolist()})
    ids = sorted(other_ids | set(data.draw(st.lists(st.sampled_from(there), max_size=5))))
    gathered = Gathered(said, 1, range(RANKED), groups)
    rows = data.draw(st.sampled_from([gathered.all_rows(), gathered.rows_with(ids)]))
    each = rows.of_each(len(some))
    decoded = [decode_ranked(*block) for block in zip(said, [1] * len(some), groups, strict=True)]
    if len(rows) < sum(groups):
        assert [d.ids[0][places].tolist() for d, places in zip(decoded, each, strict=True)] == [
            [id_ for id_ in d.ids[0].tolist() if id_ in ids] for d in decoded
        ]
    parts = [listed(d.only(places)) for d, places in zip(decoded, each, strict=True)]
    assert listed(gathered.figures(rows)) == [list(chain(*columns)) for columns in zip(*parts, strict=True)]
    others = [decode_rest(*block) for block in zip(rest, groups, strict=True)]
    parts = [listed(d.only(places)) for d, places in zip(others, each, strict=True)]
    gathered = Gathered(rest, 0, range(RANKED, len(MEASURES)), groups)
    assert listed(gathered.figures(rows)) == [list(chain(*columns)) for columns in zip(*parts, strict=True)]


@given(st.lists(blocks(), min_size=1, max_size=6), st.data())
@settings(max_examples=150)
def test_gathered_histograms_are_those_of_each_block(some: list[Block], data: st.DataObject) -> None:
    groups = [len(block.figures) for block in some]
    said = [encode_durations(block) for block in some]
    chosen = [sorted(data.draw(st.sets(st.integers(0, number - 1)))) for number in groups]
    rows = Rows(
        np.repeat(np.arange(len(some)), [len(places) for places in chosen]), np.array(list(chain(*chosen)), np.int64)
    )
    firsts = np.cumsum([0, *map(len, chosen)])
    for kind, found in enumerate(gathered_durations(said, groups, rows)):
        wanted: list[tuple[int, int, int]] = []
        for number, one in enumerate(said):
            part = decode_durations(one, groups[number], np.array(chosen[number], np.int64))[kind]
            group = part.groups + firsts[number]
            wanted += zip(group.tolist(), part.bins.tolist(), part.calls.tolist(), strict=True)
        assert list(zip(found.groups.tolist(), found.bins.tolist(), found.calls.tolist(), strict=True)) == wanted


@given(figures())
@settings(max_examples=150)
def test_figures_are_what_was_encoded_in_two_sections(some: Figures) -> None:
    ranked, rest = encode_figures(some)
    said = listed(some)
    first, unsure = 1 + RANKED, 1 + len(MEASURES)
    masks = RANKED - ALWAYS_KNOWN
    assert listed(decode_ranked(ranked, 1, len(some))) == [*said[:first], *said[unsure : unsure + masks]]
    assert listed(decode_rest(rest, len(some))) == [*said[first:unsure], *said[unsure + masks :]]
