"""How much room providers' rate limits leave, as calls last saw it."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request

from outlay_collector.api.dependencies import EngineOf, NowNs
from outlay_collector.api.errors import bad_field
from outlay_collector.periods import rfc3339
from outlay_collector.store.engine import reading
from outlay_collector.store.limits import read_limits

router = APIRouter(prefix="/api/v1", tags=["limits"])

_FILTERS: Final = ("provider", "model", "service")
_PARAMETERS: Final = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "description": "Only limits with this value; repeat it for any of several; empty for calls that do not say it.",
        "schema": {"type": "array", "items": {"type": "string"}},
    }
    for name in _FILTERS
]


@router.get("/limits", openapi_extra={"parameters": _PARAMETERS})
def get_limits(request: Request, engine: EngineOf, now_ns: NowNs) -> dict[str, Any]:
    """Each limit as the latest call saw it: of calls that Outlay's instrumentation reported. `headroom` is the share
    that was left, null where that is unknown or the limit has been reset since."""
    for name in request.query_params:
        if name not in _FILTERS:
            raise bad_field(name, f"there is no such parameter: expected {', '.join(_FILTERS)}")
    wanted = {name: set(request.query_params.getlist(name)) for name in _FILTERS if name in request.query_params}
    with reading(engine) as connection:
        found = [row._mapping for row in read_limits(connection)]
    return {
        "limits": [
            _limit_json(row, now_ns) for row in found if all(row[name] in values for name, values in wanted.items())
        ]
    }


def _limit_json(row: Any, now_ns: int) -> dict[str, Any]:
    resets_at_ns = row["resets_at_ns"]
    is_over = resets_at_ns is not None and resets_at_ns <= now_ns
    known = not is_over and row["most"] and row["remaining"] is not None
    return {
        "provider": row["provider"],
        "model": row["model"] or None,
        "service": row["service"] or None,
        "name": row["name"],
        "limit": row["most"],
        "remaining": row["remaining"],
        "headroom": round(row["remaining"] / row["most"], 6) if known else None,
        "resets_at": None if resets_at_ns is None else rfc3339(resets_at_ns),
        "seen_at": rfc3339(row["seen_at_ns"]),
    }
