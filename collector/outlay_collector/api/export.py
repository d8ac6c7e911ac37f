"""Usage as a file."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.datastructures import QueryParams

from outlay_collector.api.asking import USAGE_PARAMETERS, read_usage_query
from outlay_collector.api.dependencies import NowNs, StoreOf
from outlay_collector.api.errors import bad_field
from outlay_collector.api.usage import row_json
from outlay_collector.reports.csv import usage_csv

router = APIRouter(prefix="/api/v1", tags=["usage"])

_PARAMETERS = [
    {"name": "format", "in": "query", "schema": {"enum": ["csv"], "default": "csv"}},
    *({**parameter, "name": "by"} if parameter["name"] == "group_by" else parameter for parameter in USAGE_PARAMETERS),
]


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}}},
    openapi_extra={"parameters": _PARAMETERS},
)
def get_export(request: Request, store: StoreOf, now_ns: NowNs) -> StreamingResponse:
    """What `GET /api/v1/usage` answers, as CSV; `by` for `group_by`."""
    given = [("group_by" if name == "by" else name, value) for name, value in request.query_params.multi_items()]
    params = QueryParams(given)
    if params.get("format", "csv") != "csv":
        raise bad_field("format", f"{params['format']!r}: expected csv")
    asked = read_usage_query(params, now_ns, also=("format",))
    rows = (row_json(row, asked) for row in store.usage(asked.query))
    lines = usage_csv(rows, asked.query.group_by, with_bucket=asked.interval is not None)
    return StreamingResponse(
        lines, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": 'attachment; filename="usage.csv"'}
    )
