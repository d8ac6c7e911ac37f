"""The least that taking in spans can cost in Python: one process without a server, with all it needs at hand.

The plain floor looks at every attribute, inserts the call's row under the indexes the collector has and keeps an hour's
sums. With `same_rows` it also does what else the collector's database holds in the end: calls that came without a cost
are priced, with their lines, and each span's identity is kept, by which it is known when it is sent again. Neither
checks a value, knows more than one way of naming attributes, looks for what is stored already, or merges. What it takes
to sum up their calls by all dimensions, by the collector's own means, is measured afterwards and told apart.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from outlay.prices import PriceBook, Unpriced
from outlay.units import UNITS
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate
from outlay_collector.store.rows import COLUMNS
from outlay_collector.store.schema import REPORTS
from processes import Run
from summing_up import mark_all, sum_up

HOUR_NS: Final = 3600 * 1_000_000_000
NAMES: Final = {
    "gen_ai.provider.name": "provider",
    "gen_ai.operation.name": "operation",
    "gen_ai.request.model": "model_requested",
    "gen_ai.response.model": "model_served",
    "gen_ai.response.id": "response_id",
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cache_read_tokens",
    "outlay.cost.nano_usd": "cost_nano_usd",
    "outlay.cost.status": "cost_status",
    "outlay.cost.lines": "cost_lines",
    "outlay.cost.price_id": "price_id",
    "outlay.usage": "usage",
    "outlay.usage.raw": "usage_raw",
    "outlay.attempts": "attempts",
    "outlay.feature": "feature",
    "outlay.tenant": "tenant",
    "outlay.request.id": "request_id",
    "user.id": "user",
    "session.id": "session",
    "server.address": "server_address",
    "http.response.status_code": "http_status",
    "error.type": "error_type",
}
"""What the floor knows of a span: as many columns as the collector fills."""
_REPORT_COLUMNS: Final = tuple(column.name for column in REPORTS.columns)
_ADD: Final = (
    "INSERT INTO sums VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET calls = calls + 1, cost = cost + excluded.cost"
)

Row = dict[str, Any]


def floor(bodies: Sequence[bytes], spans: int, folder: Path, core: int, *, same_rows: bool) -> Run:
    """Each body in a transaction of its own."""
    path = folder / f"floor{same_rows:d}.db"
    connection = _opened(path)
    calls, reports = _insert("calls", ("id", *COLUMNS)), _insert("reports", _REPORT_COLUMNS)
    ids = 1
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    wall, cpu = time.perf_counter(), time.process_time()
    for body in bodies:
        rows = walk(body)
        if same_rows:
            for row in rows:
                price(row)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(calls, [(n, *map(row.get, COLUMNS)) for n, row in enumerate(rows, ids)])
        if same_rows:
            connection.executemany(reports, _reports(rows, ids))
        connection.executemany(
            _ADD, ((r["started_at_ns"] // HOUR_NS, r["model_served"], r["feature"], r["cost_nano_usd"]) for r in rows)
        )
        connection.execute("COMMIT")
        ids += len(rows)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    os.sched_setaffinity(0, everywhere)
    connection.close()
    mark_all(f"sqlite:///{path}")
    return Run(spans, cpu, wall, summing_seconds=sum_up(f"sqlite:///{path}"))


def _opened(path: Path) -> sqlite3.Connection:
    """The collector's tables, and one of sums."""
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE sums (hour INTEGER, model TEXT, feature TEXT, calls INTEGER, cost INTEGER, "
        "PRIMARY KEY (hour, model, feature)) WITHOUT ROWID"
    )
    return connection


def _insert(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"


def walk(body: bytes) -> list[Row]:
    """A row for each span, from every attribute it has."""
    rows: list[Row] = []
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                row: Row = dict.fromkeys(("retries", "rate_limited", "streamed", "received_at_ns"), 0)
                row |= {"feature": "", "cost_nano_usd": 0, "cost_status": "unpriced"}
                for attribute in span.attributes:
                    kind = attribute.value.WhichOneof("value")
                    if (name := NAMES.get(attribute.key)) and kind:
                        row[name] = getattr(attribute.value, kind)
                row["started_at_ns"], row["ended_at_ns"] = span.start_time_unix_nano, span.end_time_unix_nano
                row["duration_ms"] = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
                row["latency_bin"], row["status"] = 80, "ok"
                row["trace_id"], row["span_id"] = span.trace_id.hex(), span.span_id.hex()
                row["bill_key"] = f"{row['provider']}:{row['response_id']}"
                rows.append(row)
    return rows


def price(row: Row) -> None:
    """What the collector works out of a call that came without: units, lines, a cost. In floating point."""
    row["model"] = row["model_served"]
    if "usage" in row:
        return
    cached = row["cache_read_tokens"]
    used = {"input": row["input_tokens"] - cached, "cache_read": cached, "output": row["output_tokens"]}
    row["usage"] = orjson.dumps(used).decode()
    row["usage_raw"] = orjson.dumps({"input": row["input_tokens"], "cached": cached, "output": used["output"]}).decode()
    rates, row["price_id"] = _rates(row["provider"], row["model"])
    lines, total = [], 0.0
    for unit, quantity in used.items():
        if quantity:
            rate, per = rates[unit]
            total += (cost := quantity * rate / per)
            lines.append(
                f'{{"unit":"{unit}","quantity":{quantity},"rate":"{rate}","per":{per},"cost_usd":"{cost:.9f}"}}'
            )
    row["cost_nano_usd"], row["cost_status"] = round(total * 1e9), "exact"
    row["cost_lines"], row["prompt_cache"] = f"[{','.join(lines)}]", "hit" if cached else "none"


@cache
def _rates(provider: str, model: str) -> tuple[Mapping[str, tuple[float, int]], str]:
    """What each unit costs, and for how many of it; and the price's id."""
    found = PriceBook.bundled().find(provider=provider, model=model, at_ns=time.time_ns())
    assert not isinstance(found, Unpriced), found.reason
    return {unit: (float(rate), UNITS[unit].per) for unit, rate in found.rates.items()}, found.id


def _reports(rows: Sequence[Row], first_id: int) -> Iterator[tuple[Any, ...]]:
    for call_id, row in enumerate(rows, first_id):
        yield (row["trace_id"], row["span_id"], None, call_id, "floor", "floor", 0, None, 0)
