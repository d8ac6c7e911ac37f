"""Blocks as bytes.

Column after column, each a byte that says how wide its values are, then the values, little-endian. A column
of zeros is that byte alone; so is one of values nobody knows. Histograms: how many bins each group has, then the bins,
then the calls in each. Here blocks are read one by one; `store.gathering` reads a few rows of many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any, Final

import numpy as np

from outlay_collector.store.blocks import Block, Durations, Figures, Mask, Numbers
from outlay_collector.store.rollups import ALWAYS_KNOWN, MEASURES, RANKED

_WIDTHS: Final = ((1 << 8, 1), (1 << 16, 2), (1 << 32, 4))
_TYPES: Final[dict[int, np.dtype[Any]]] = {
    1: np.dtype("<u1"),
    2: np.dtype("<u2"),
    4: np.dtype("<u4"),
    8: np.dtype("<i8"),
}
PARTLY_KNOWN: Final = 16
"""The byte before a column of which some values are unknown; their bits come before its own."""
UNKNOWN: Final = 32
"""The same where all are."""
_ROOM: Final = 1 << 17
_NOTHING: Final = np.zeros(_ROOM, np.uint8)
_ONES: Final = np.ones(_ROOM, np.uint8)
"""Columns of a block are these, where all values are alike: nobody writes into a block."""


def encode_figures(figures: Figures) -> tuple[bytes, bytes]:
    """The two sections: ids and the first measures, and the other ones."""
    packed = _columns([*figures.ids, *figures.measures], len(figures))
    unsure, known = len(packed) - len(figures.known), figures.known
    number = np.concatenate(known).reshape(len(known), -1).sum(axis=1).tolist()
    said = [*packed[:unsure], *map(_maybe_known, packed[unsure:], known, number)]
    ranked = len(figures.ids) + RANKED
    return b"".join(said[:ranked]), b"".join(said[ranked:])


def decode_ranked(said: bytes, dimensions: int, rows: int) -> Figures:
    """What was encoded first, of so many dimensions and groups. The arrays are views of the bytes."""
    return _decoded(said, dimensions, range(RANKED), rows)


def decode_rest(said: bytes, rows: int) -> Figures:
    """What was encoded second: no ids, and the measures from `RANKED` on."""
    return _decoded(said, 0, range(RANKED, len(MEASURES)), rows)


def _decoded(said: bytes, dimensions: int, measures: range, rows: int) -> Figures:
    at, columns, known = 0, [], []
    for place in chain(repeat(0, dimensions), measures):
        if place >= ALWAYS_KNOWN:
            mask, at = _mask(said, at, rows)
            known.append(mask)
        column, at = _values(said, at, rows)
        columns.append(column)
    return Figures(columns[:dimensions], columns[dimensions:], known)


def encode_durations(block: Block) -> bytes:
    """Latency, then time to first token. They must stand by group, and each group's by bin."""
    rows = len(block.figures)
    return b"".join(part for durations in (block.latency, block.ttft) for part in _histograms(durations, rows))


def decode_durations(said: bytes, rows: int, only: Numbers | None = None) -> tuple[Durations, Durations]:
    """What was encoded, of so many groups. `only`: of those rows alone, which are numbered from 0 then."""
    latency, at = _durations(said, 0, rows, only)
    ttft, _ = _durations(said, at, rows, only)
    return latency, ttft


def _histograms(durations: Durations, rows: int) -> Iterator[bytes]:
    each = np.bincount(durations.groups.astype(np.int64), minlength=rows)
    yield from _columns([each], rows)
    yield durations.bins.astype("<u1").tobytes()
    yield from _columns([durations.calls], len(durations.calls))


def _durations(said: bytes, at: int, rows: int, only: Numbers | None) -> tuple[Durations, int]:
    each, at = _values(said, at, rows)
    entries = int(each.sum())
    bins = np.frombuffer(said, np.uint8, entries, at)
    calls, at = _values(said, at + entries, entries)
    if only is None:
        return Durations(np.repeat(np.arange(rows), each), bins, calls), at
    wanted = each[only].astype(np.int64)
    starts = np.cumsum(each, dtype=np.int64)[only] - wanted
    entry = np.repeat(starts - np.cumsum(wanted) + wanted, wanted) + np.arange(wanted.sum())
    return Durations(np.repeat(np.arange(len(only)), wanted), bins[entry], calls[entry]), at


def narrowed(values: Numbers) -> Numbers:
    """The same, no wider than they have to be."""
    width = _width(int(values.min()), int(values.max())) if len(values) else 0
    return values.astype(_TYPES[width or 1])


def _width(least: int, most: int) -> int:
    if not least and not most:
        return 0
    return next((width for end, width in _WIDTHS if most < end), 8) if least >= 0 else 8


def _columns(columns: Sequence[Numbers], rows: int) -> list[bytes]:
    """Their limits are found for all at once: numpy takes longer to begin with one than to look through it."""
    if not rows:
        return [b"\0"] * len(columns)
    table = np.concatenate(columns, dtype=np.int64).reshape(len(columns), rows)
    widths = map(_width, table.min(axis=1).tolist(), table.max(axis=1).tolist())
    return [_packed(values, width) for values, width in zip(table, widths, strict=True)]


def _packed(values: Numbers, width: int) -> bytes:
    return bytes((width,)) + values.astype(_TYPES[width]).tobytes() if width else b"\0"


def _values(said: bytes, at: int, rows: int) -> tuple[Numbers, int]:
    width = said[at]
    if not width:
        return _NOTHING[:rows] if rows <= _ROOM else np.zeros(rows, np.uint8), at + 1
    return np.frombuffer(said, _TYPES[width], rows, at + 1), at + 1 + width * rows


def _maybe_known(packed: bytes, known: Mask, number: int) -> bytes:
    """`number`: how many of the values are known."""
    if number == len(known):
        return b"\0" + packed
    if not number:
        return bytes((UNKNOWN, 0))
    return bytes((PARTLY_KNOWN,)) + np.packbits(known).tobytes() + packed


def _mask(said: bytes, at: int, rows: int) -> tuple[Mask, int]:
    kind = said[at]
    if kind != PARTLY_KNOWN:
        alike = _NOTHING if kind == UNKNOWN else _ONES
        return (alike[:rows].view(np.bool_) if rows <= _ROOM else np.full(rows, kind != UNKNOWN, np.bool_)), at + 1
    packed = np.frombuffer(said, np.uint8, -(-rows // 8), at + 1)
    return np.unpackbits(packed, count=rows).view(np.bool_), at + 1 + len(packed)
