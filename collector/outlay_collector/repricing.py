"""Pricing history again: stored calls, from their kept usage, at what the book now says held when they were made.

Left as they are: calls without counts, calls whose provider said what they cost, and answers from an application's own
cache. Doing it twice changes nothing the second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from outlay.lines import line_documents
from outlay.model import CostStatus, ResponseCache
from outlay.prices import PriceBook
from outlay.prices.match import priced_model
from sqlalchemy import Connection, Engine, Row

from outlay_collector.periods import from_ns as moment
from outlay_collector.store.engine import reading
from outlay_collector.store.parts import read_terms, read_usage
from outlay_collector.store.repricings import (
    COST_COLUMNS,
    Change,
    RepricingRow,
    begin,
    read_bodies,
    read_page,
    write_bodies,
    write_page,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which calls: those that started in [from, to), of one model or of all. `dry_run` only says what would change."""

    from_ns: int
    to_ns: int
    model: str | None = None
    dry_run: bool = False


@dataclass(slots=True)
class Difference:
    """What a group of calls cost before and after. Calls without a figure are counted, not summed."""

    calls: int = 0
    changed: int = 0
    before_nano_usd: int = 0
    after_nano_usd: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0

    def add(self, before: int | None, after: int | None, is_changed: bool) -> None:
        self.calls += 1
        self.changed += is_changed
        self.before_nano_usd += before or 0
        self.after_nano_usd += after or 0
        self.unpriced_before += before is None
        self.unpriced_after += after is None


@dataclass(frozen=True, slots=True)
class Repricing:
    """What a run did or would do, by day (UTC), provider and model. `id` is None for a dry run."""

    id: int | None
    total: Difference = field(default_factory=Difference)
    groups: dict[tuple[date, str, str | None], Difference] = field(default_factory=lambda: defaultdict(Difference))


def reprice(engine: Engine, book: PriceBook, asked: Asked, now_ns: int) -> Repricing:
    """Prices the calls again. Each page of them is committed by itself: a run that is cut can be run again."""
    found = Repricing(None if asked.dry_run else _begin(engine, book, asked, now_ns))
    after_id = 0
    while True:
        with reading(engine) if asked.dry_run else engine.begin() as connection:
            page = read_page(connection, asked.from_ns, asked.to_ns, asked.model, after_id, hold=not asked.dry_run)
            if not page:
                return found
            changes = [change for row in page if (change := _change(book, row, found))]
            if found.id is not None:
                write_page(connection, found.id, len(page), changes)
                _reprice_reports(connection, book, [change.call for change in changes])
        after_id = page[-1].id


def _begin(engine: Engine, book: PriceBook, asked: Asked, now_ns: int) -> int:
    row = RepricingRow(at_ns=now_ns, from_ns=asked.from_ns, to_ns=asked.to_ns, model=asked.model, book=book.description)
    with engine.begin() as connection:
        return begin(connection, row)


def _change(book: PriceBook, row: Row[Any], found: Repricing) -> Change | None:
    """What is to change of a call, None where nothing is. Adds the call to the difference."""
    stored = row._asdict()
    columns = priced_again(book, stored)
    is_changed = any(columns[name] != stored[name] for name in COST_COLUMNS)
    group = found.groups[moment(row.started_at_ns).date(), row.provider, row.model]
    for difference in (found.total, group):
        difference.add(row.cost_nano_usd, columns["cost_nano_usd"], is_changed)
    return Change(row, columns) if is_changed else None


def priced_again(book: PriceBook, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a call's cost at the book's prices; as they were where there is nothing to price again."""
    if (
        columns.get("usage") is None
        or columns["cost_status"] == CostStatus.PROVIDER_REPORTED
        or columns.get("response_cache") == ResponseCache.HIT
    ):
        return {name: columns.get(name) for name in COST_COLUMNS}
    cost = book.cost(
        read_usage(columns["usage"]),
        provider=columns["provider"],
        model=priced_model(columns.get("model_served"), columns.get("model_requested")),
        at_ns=columns["started_at_ns"],
        terms=read_terms(columns.get("terms") or {}),
    )
    return {
        "cost_nano_usd": cost.nano_usd,
        "cost_status": cost.status.value,
        "cost_reason": cost.reason,
        "cost_lines": line_documents(cost.lines) or None,
        "price_id": cost.price_id,
    }


def _reprice_reports(connection: Connection, book: PriceBook, calls: list[Row[Any]]) -> None:
    if calls:
        bodies = read_bodies(connection, [call.id for call in calls])
        again = [(row.trace_id, row.span_id, {**row.body, **priced_again(book, row.body)}) for row in bodies]
        write_bodies(connection, again)
