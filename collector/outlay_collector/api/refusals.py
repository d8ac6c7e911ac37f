"""Calls that budgets held back."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from outlay.budgets.budget import read_scope_key

from outlay_collector.api.asking import WINDOW_PARAMETERS, read_window
from outlay_collector.api.dependencies import EngineOf, NowNs
from outlay_collector.api.errors import bad_field
from outlay_collector.money import usd_text
from outlay_collector.periods import rfc3339
from outlay_collector.store.engine import reading
from outlay_collector.store.refusals import read_refusals

router = APIRouter(prefix="/api/v1/refusals", tags=["budgets"])

_PARAMETERS: Final = ("from", "to", "budget", "limit")
_LIMIT, _MOST = 50, 1_000


@router.get("", openapi_extra={"parameters": WINDOW_PARAMETERS})
def list_refusals(request: Request, engine: EngineOf, now_ns: NowNs, limit: int = _LIMIT) -> dict[str, Any]:
    """The latest first, those of the last 24 hours if no window is given. A line stands for the calls of one kind
    within about a second; `avoided_usd` is what they would have cost at most. `scope` has the values of the budget's
    `per` dimensions, in their order. `budget` may be repeated."""
    params = request.query_params
    for name in params:
        if name not in _PARAMETERS:
            raise bad_field(name, f"there is no such parameter: expected one of {', '.join(_PARAMETERS)}")
    if not 1 <= limit <= _MOST:
        raise bad_field("limit", f"{limit}: expected 1 to {_MOST:,}")
    from_ns, to_ns = read_window(params, now_ns + 1)
    with reading(engine) as connection:
        rows = read_refusals(connection, from_ns, to_ns, params.getlist("budget"), limit)
    return {
        "refusals": [
            {
                "at": rfc3339(row.at_ns),
                "budget": row.budget,
                "scope": list(read_scope_key(row.scope)),
                "reason": row.reason,
                "calls": row.calls,
                "avoided_usd": usd_text(row.avoided_nano_usd),
                "provider": row.provider,
                "model": row.model,
                "service": row.service,
                "feature": row.feature,
                "user": row.user,
                "holder": row.holder,
            }
            for row in rows
        ]
    }
