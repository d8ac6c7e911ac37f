"""The collector, as far as budgets are concerned: two requests, a timeout on each, and what went wrong in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from outlay.budgets.lease import (
    LeaseAnswer,
    LeaseRequest,
    SettleAnswer,
    SettleRequest,
    encode,
    read_lease_answer,
    read_settle_answer,
)
from outlay.unforked import unforked


class Unreachable(Exception):
    """The collector gave no answer that can be used. `absent` where there is one that knows nothing of budgets."""

    def __init__(self, why: str, *, absent: bool = False) -> None:
        super().__init__(why)
        self.absent = absent


class Remote:
    """One collector. Holds no connection open, so that a fork or a restart of the collector needs no care."""

    def __init__(self, endpoint: str, api_key: str | None) -> None:
        self._base = endpoint.rstrip("/").removesuffix("/v1/traces")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

    def lease(self, request: LeaseRequest, timeout_s: float) -> LeaseAnswer:
        """Raises `Unreachable`."""
        try:
            return read_lease_answer(self._post("/api/v1/budgets/leases", encode(request), timeout_s))
        except (TypeError, KeyError) as error:
            raise Unreachable(f"the collector's answer cannot be read ({error!r})") from error

    def settle(self, request: SettleRequest, timeout_s: float) -> SettleAnswer:
        """Raises `Unreachable`. Sending the same request again is harmless."""
        try:
            return read_settle_answer(self._post("/api/v1/budgets/settle", encode(request), timeout_s))
        except (TypeError, KeyError) as error:
            raise Unreachable(f"the collector's answer cannot be read ({error!r})") from error

    def _post(self, path: str, body: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        with unforked():
            from outlay.exchange import HTTPException, post  # slow, and an application without calls never needs it

        try:
            answer = post(self._base + path, json.dumps(body).encode(), self._headers, timeout_s)
            if not 200 <= answer.status < 300:
                absent = answer.status in (404, 405, 501)
                raise Unreachable(f"the collector at {self._base} answered {answer.status}", absent=absent)
            said: Mapping[str, Any] = json.loads(answer.body)
            return said
        except (OSError, HTTPException, ValueError) as error:
            raise Unreachable(f"the collector at {self._base} cannot be reached ({error})") from error
