"""Usage as a Parquet file: times with their zone, counts as integers, money as exact decimals."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

from outlay.errors import OutlayError

from outlay_collector.periods import from_ns
from outlay_collector.store.query import UsageRow

_COUNTS: Final = (
    "calls", "errors", "rate_limited", "retries",
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "unpriced_calls",
)  # fmt: skip
_SHARES: Final = ("p50", "p95", "p99")
_ROWS_A_GROUP: Final = 50_000
_PIECE: Final = 64 * 1024
_IN_MEMORY: Final = 4 * 1024 * 1024


class ParquetMissing(OutlayError):
    """What writes Parquet is not installed."""

    def __init__(self) -> None:
        super().__init__("Parquet needs pyarrow where the collector runs: pip install 'outlay-collector[parquet]'")


def usage_parquet(
    rows: Iterable[UsageRow], dimensions: Sequence[str], periods: Sequence[int] | None, zone: ZoneInfo
) -> Iterator[bytes]:
    """The rows as one file. `periods` are the edges of their buckets; None: there is no `bucket`.

    Raises `ParquetMissing` at once, before the first piece is asked for.
    """
    try:
        import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise ParquetMissing from None
    money = pa.decimal128(38, 9)
    fields = [
        *([("bucket", pa.timestamp("us", tz=zone.key))] if periods is not None else []),
        *((name, pa.string()) for name in dimensions),
        *((name, pa.int64()) for name in _COUNTS),
        *((name, money) for name in ("cost_usd", "avoided_usd")),
        *((f"{kind}_{share}", pa.float64()) for kind in ("latency_ms", "ttft_ms") for share in _SHARES),
    ]
    schema = pa.schema(fields)

    def pieces() -> Iterator[bytes]:
        left = iter(rows)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
            with parquet.ParquetWriter(file, schema) as writer:
                while some := [_row(row, dimensions, periods) for row in islice(left, _ROWS_A_GROUP)]:
                    writer.write_table(pa.Table.from_pylist(some, schema=schema))
            file.seek(0)
            while piece := file.read(_PIECE):
                yield piece

    return pieces()


def _row(row: UsageRow, dimensions: Sequence[str], periods: Sequence[int] | None) -> dict[str, Any]:
    return {
        **({} if periods is None else {"bucket": from_ns(periods[row.bucket or 0])}),
        **dict(zip(dimensions, row.group, strict=True)),
        **{name: getattr(row, name) for name in _COUNTS},
        "cost_usd": _usd(row.cost_nano_usd),
        "avoided_usd": _usd(row.avoided_nano_usd),
        **{
            f"{kind}_{share}": getattr(getattr(row, kind), share)
            for kind in ("latency_ms", "ttft_ms")
            for share in _SHARES
        },
    }


def _usd(nano_usd: int | None) -> Decimal | None:
    return None if nano_usd is None else Decimal(nano_usd).scaleb(-9)
