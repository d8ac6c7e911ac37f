"""Usage as CSV: a line a row, streamed, with cells that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

MEASURES: Final = (
    "calls", "errors", "rate_limited", "retries",
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "cost_usd", "avoided_usd", "unpriced_calls",
)  # fmt: skip
_STARTS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_ROWS_A_CHUNK: Final = 500


def usage_csv(rows: Iterable[Mapping[str, Any]], dimensions: Sequence[str], *, with_bucket: bool) -> Iterator[bytes]:
    """Rows of `GET /api/v1/usage` as CSV, header first. Unknown is an empty cell."""
    columns = (*(("bucket",) if with_bucket else ()), *dimensions, *MEASURES)
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\r\n")
    writer.writerow(columns)
    for number, row in enumerate(rows, 1):
        writer.writerow([safe_cell(row[column]) for column in columns])
        if number % _ROWS_A_CHUNK == 0:
            yield taken(page)
    yield taken(page)


def safe_cell(value: object) -> object:
    """Text that would be run as a formula gets an apostrophe in front: then it is shown as it is."""
    if isinstance(value, str) and value.startswith(_STARTS_FORMULA):
        return f"'{value}"
    return value


def taken(page: io.StringIO) -> bytes:
    """What was written so far; the page is empty then."""
    written = page.getvalue().encode()
    page.seek(0)
    page.truncate()
    return written
