"""Calls that applications made and could not deliver."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request

from outlay_collector.api.asking import WINDOW_PARAMETERS, read_window
from outlay_collector.api.dependencies import EngineOf, NowNs
from outlay_collector.api.errors import bad_field
from outlay_collector.periods import rfc3339
from outlay_collector.store.engine import reading
from outlay_collector.store.losses import lost_calls, read_losses

router = APIRouter(prefix="/api/v1", tags=["losses"])

_MOST: Final = 1_000


@router.get("/losses", openapi_extra={"parameters": WINDOW_PARAMETERS})
def list_losses(request: Request, engine: EngineOf, now_ns: NowNs) -> dict[str, Any]:
    """Calls that are missing from every sum, by reason, and of which processes: those that last lost one in the window,
    the latest 1,000 first, of the last 24 hours if no window is given. A process counts from its beginning."""
    for name in request.query_params:
        if name not in ("from", "to"):
            raise bad_field(name, "there is no such parameter: expected from or to")
    from_ns, to_ns = read_window(request.query_params, now_ns + 1)
    with reading(engine) as connection:
        by_reason = lost_calls(connection, from_ns, to_ns)
        rows = read_losses(connection, from_ns, to_ns, _MOST)
    return {
        "calls": sum(by_reason.values()),
        "by_reason": by_reason,
        "losses": [
            {
                "holder": row.holder,
                "service": row.service,
                "environment": row.environment,
                "reason": row.reason,
                "calls": row.calls,
                "first_at": rfc3339(row.first_at_ns),
                "last_at": rfc3339(row.last_at_ns),
            }
            for row in rows
        ],
    }
