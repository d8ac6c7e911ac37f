"""Usage as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.datastructures import QueryParams

from outlay_collector.api.asking import MEASURES, USAGE_PARAMETERS, Asked, read_usage_query
from outlay_collector.api.dependencies import NowNs, StoreOf
from outlay_collector.api.errors import ApiError, bad_field
from outlay_collector.api.usage import row_json
from outlay_collector.reports.csv import MEASURES as CSV_MEASURES
from outlay_collector.reports.csv import usage_csv
from outlay_collector.reports.focus import SERVICE, focus_csv
from outlay_collector.reports.parquet import ParquetMissing, usage_parquet
from outlay_collector.store.query import UsageRow

router = APIRouter(prefix="/api/v1", tags=["usage"])


@dataclass(frozen=True, slots=True)
class _Format:
    """How rows are written, as what, and under which name. `measures`: what is written of them; `always`: what they are
    grouped by in any case."""

    write: Callable[[Sequence[UsageRow], Asked], Iterator[bytes]]
    media_type: str
    file_name: str
    measures: Sequence[str] = tuple(MEASURES)
    always: tuple[str, ...] = ()
    interval: str = "none"
    """What one row is for where that is not said."""


def _csv(rows: Sequence[UsageRow], asked: Asked) -> Iterator[bytes]:
    written = (row_json(row, asked) for row in rows)
    return usage_csv(written, asked.query.group_by, with_bucket=asked.interval is not None)


def _parquet(rows: Sequence[UsageRow], asked: Asked) -> Iterator[bytes]:
    try:
        return usage_parquet(rows, asked.query.group_by, asked.query.edges, asked.zone)
    except ParquetMissing as error:
        raise ApiError(501, "not_installed", str(error), "format") from None


def _focus(rows: Sequence[UsageRow], asked: Asked) -> Iterator[bytes]:
    if asked.query.edges is None:
        raise bad_field("interval", "a charge has a period: minute, hour, day or month")
    return focus_csv(rows, asked.query.group_by, asked.query.edges, asked.zone)


_FORMATS: Final = {
    "csv": _Format(_csv, "text/csv; charset=utf-8", "usage.csv", CSV_MEASURES),
    "parquet": _Format(_parquet, "application/vnd.apache.parquet", "usage.parquet"),
    "focus": _Format(_focus, "text/csv; charset=utf-8", "focus.csv", CSV_MEASURES, SERVICE, "day"),
}
_PARAMETERS: Final[list[dict[str, Any]]] = [
    {"name": "format", "in": "query", "schema": {"enum": list(_FORMATS), "default": "csv"}},
    *({**parameter, "name": "by"} if parameter["name"] == "group_by" else parameter for parameter in USAGE_PARAMETERS),
]
_CONTENT: Final[dict[str, Any]] = {each.media_type.partition(";")[0]: {} for each in _FORMATS.values()}


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": _CONTENT}},
    openapi_extra={"parameters": _PARAMETERS},
)
def get_export(request: Request, store: StoreOf, now_ns: NowNs) -> StreamingResponse:
    """What `GET /api/v1/usage` answers, as a file; `by` for `group_by`. `focus`: charges in the columns of FOCUS 1.2,
    as CSV, by provider, model and operation in any case, and by day where no interval is given."""
    given = [("group_by" if name == "by" else name, value) for name, value in request.query_params.multi_items()]
    name = request.query_params.get("format", "csv")
    if name not in _FORMATS:
        raise bad_field("format", f"{name!r}: expected one of {', '.join(_FORMATS)}")
    found = _FORMATS[name]
    if "interval" not in request.query_params:
        given.append(("interval", found.interval))
    asked = read_usage_query(QueryParams(given), now_ns, also=("format",))
    group_by = (*found.always, *(each for each in asked.query.group_by if each not in found.always))
    query = replace(asked.query, group_by=group_by, measures=[MEASURES[name] for name in found.measures])
    asked = replace(asked, query=query, measures=found.measures)
    pieces = found.write(store.usage(asked.query), asked)
    headers = {"Content-Disposition": f'attachment; filename="{found.file_name}"'}
    return StreamingResponse(pieces, media_type=found.media_type, headers=headers)
