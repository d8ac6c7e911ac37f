"""Pricing history again, and when that was done."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from outlay.errors import ConfigError
from outlay.prices import read_overrides
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from outlay_collector.api.dependencies import EngineOf, NowNs, Running, running
from outlay_collector.api.errors import bad_field
from outlay_collector.money import usd_text
from outlay_collector.periods import rfc3339, to_ns
from outlay_collector.repricing import Asked, Difference, reprice
from outlay_collector.store.engine import reading
from outlay_collector.store.repricings import read_runs

router = APIRouter(prefix="/api/v1/repricings", tags=["repricings"])

_EPOCH_YEAR: Final = 1970
_LAST_YEAR: Final = 2261


class RepricingRequest(BaseModel):
    """`prices` are `[[price]]` entries to use in place of the collector's own."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    begin: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="to")
    model: str | None = None
    dry_run: bool = False
    prices: list[dict[str, Any]] | None = None


@router.get("")
def list_repricings(engine: EngineOf) -> dict[str, Any]:
    """The latest hundred times history was priced again."""
    with reading(engine) as connection:
        rows = read_runs(connection)
    return {
        "repricings": [
            {
                "id": row.id,
                "at": rfc3339(row.at_ns),
                "from": rfc3339(row.from_ns),
                "to": rfc3339(row.to_ns),
                "model": row.model,
                "book": row.book,
                "calls": row.calls,
                "changed": row.changed,
                "changed_before_usd": usd_text(row.before_nano_usd),
                "changed_after_usd": usd_text(row.after_nano_usd),
            }
            for row in rows
        ]
    }


@router.post("")
def make_repricing(
    request: RepricingRequest, now_ns: NowNs, parts: Annotated[Running, Depends(running)]
) -> dict[str, Any]:
    """Price the calls of a window again. The answer has the difference by day (UTC), provider and model."""
    book = parts.book
    if request.prices is not None:
        try:
            book = book.bundled().overridden(read_overrides(request.prices, "body"))
        except ConfigError as error:
            raise bad_field(error.key, f"{error.value!r}: expected {error.expected}") from None
    begin, end = _ns("from", request.begin), _ns("to", request.end)
    if begin >= end:
        raise bad_field("from", "it is not before to")
    asked = Asked(from_ns=begin, to_ns=end, model=request.model, dry_run=request.dry_run)
    done = reprice(parts.engine, book, asked, now_ns)
    rows = [
        {"day": day.isoformat(), "provider": provider, "model": model, **_difference(difference)}
        for (day, provider, model), difference in sorted(done.groups.items(), key=lambda item: tuple(map(str, item[0])))
    ]
    return {"id": done.id, "dry_run": request.dry_run, **_difference(done.total), "rows": rows}


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "calls": difference.calls,
        "changed": difference.changed,
        "before_usd": usd_text(difference.before_nano_usd),
        "after_usd": usd_text(difference.after_nano_usd),
        "unpriced_before": difference.unpriced_before,
        "unpriced_after": difference.unpriced_after,
    }


def _ns(name: str, at: datetime) -> int:
    if not _EPOCH_YEAR <= at.year <= _LAST_YEAR:
        raise bad_field(name, f"{at.isoformat()!r}: expected a time from 1970 to 2261")
    return to_ns(at)
