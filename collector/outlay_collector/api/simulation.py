"""What other budgets would have stopped of the calls that were made."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body
from outlay.budgets.definition import read_budgets
from outlay.errors import ConfigError

from outlay_collector.api.dependencies import EngineOf, NowNs
from outlay_collector.api.errors import bad_field
from outlay_collector.money import usd_text
from outlay_collector.periods import rfc3339
from outlay_collector.simulation import simulate
from outlay_collector.store.budgets import NANO, past_calls
from outlay_collector.store.engine import reading

_LONGEST_S: Final = 10 * 366 * 24 * 3600
router = APIRouter(prefix="/api/v1/budgets", tags=["budgets"])


@router.post("/simulate")
def simulate_budgets(
    budgets: Annotated[list[dict[str, Any]], Body(embed=True)],
    since_s: Annotated[int, Body(embed=True, gt=0, le=_LONGEST_S)],
    engine: EngineOf,
    now_ns: NowNs,
) -> dict[str, Any]:
    """What these budgets, each in the keys of a `[[budget]]`, would have stopped in the last `since_s` seconds."""
    try:
        read = read_budgets(budgets, "body")
    except ConfigError as error:
        raise bad_field(error.key, f"{error.value!r}: expected {error.expected}") from None
    with reading(engine) as connection:
        stopped = simulate(read, past_calls(connection, now_ns - since_s * NANO, now_ns))
    return {
        "from": rfc3339(now_ns - since_s * NANO),
        "to": rfc3339(now_ns),
        "stopped": [
            {
                "name": each.budget.name,
                "scope": each.budget.named(each.scope),
                "calls": each.calls,
                "cost_usd": usd_text(each.cost_nano_usd),
                "first_at": rfc3339(each.first_at_ns),
            }
            for each in stopped
        ],
    }
