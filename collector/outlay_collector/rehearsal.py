"""A collector that has started asks itself first.

The first answer of a process takes several times as long as the next: modules are loaded, statements put together and
written down, and the database looks up its catalogs, connection by connection. Whoever looks first need not wait for
that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx2

log = logging.getLogger(__name__)

Ask = Callable[[str, Mapping[str, Any]], Any]
"""A GET of the API: path and parameters to the answer's JSON."""

REQUEST_ID: Final = "rehearsal"
"""Of these requests, in the log."""
_QUARTER_S: Final = 900
_TIMEOUT_S: Final = 10.0
_CALLS: Final = "/api/v1/calls"
_USAGE: Final = "/api/v1/usage"


def start_rehearsal(url: str, key: str) -> None:
    """Of the collector that answers there, in a thread of its own. That it fails is no reason for anything to end: who
    asks next is told why."""

    def run() -> None:
        headers = {"authorization": f"Bearer {key}", "x-request-id": REQUEST_ID}
        try:
            # By no proxy: it would be told the key
            with httpx2.Client(base_url=url, headers=headers, timeout=_TIMEOUT_S, trust_env=False) as client:
                rehearse(lambda path, params: client.get(path, params=params).raise_for_status().json())
        except httpx2.HTTPError as error:
            log.debug("rehearsal: %s", error)

    threading.Thread(target=run, name=REQUEST_ID, daemon=True).start()


def rehearse(ask: Ask) -> None:
    """A question of each kind, about the latest call and the quarter of an hour before its own, so that what it takes
    does not grow with the database; of one without calls there is little to ask. Raises what `ask` does."""
    latest = ask(_CALLS, {"limit": 1})["calls"]
    ask("/api/v1/summary", {})
    if not latest:
        return
    call = latest[0]
    started_at = datetime.fromisoformat(call["started_at"])
    begin = datetime.fromtimestamp((started_at.timestamp() // _QUARTER_S - 1) * _QUARTER_S, UTC)
    window = {"from": begin.isoformat(), "to": (started_at + timedelta(milliseconds=1)).isoformat()}
    model = {"model": call["model"] or ""}
    ask(_USAGE, window)
    ask(_USAGE, {**window, **model, "group_by": "model", "interval": "minute"})
    ask(_USAGE, {**window, "group_by": "user", "order": "cost_usd", "limit": 1})
    for filters in ({"user": call["user"] or ""}, model, {"status": "error"}):
        ask(_CALLS, {**window, **filters, "limit": 1})
    ask(f"{_CALLS}/{call['id']}", {})
    ask(f"/api/v1/traces/{call['trace_id']}", {})
