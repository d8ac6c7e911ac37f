"""The collector over HTTP: the only place of the dashboard that does input or output.

Every failure is a `CollectorError` that says what happened, at which address, and what to do about it, in words a page
can show as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Required, TypedDict, TypeVar, Unpack

import httpx2
from outlay.loopback import is_local

from outlay_dashboard.answers.alerts import Alert, Transition, read_alerts, read_transitions
from outlay_dashboard.answers.budgets import Budget, read_budgets
from outlay_dashboard.answers.calls import Call, CallPage, Node, read_call, read_calls, read_trace
from outlay_dashboard.answers.usage import SPEND, SpendRow, Summary, UsageRow, read_spend, read_summary, read_usage
from outlay_dashboard.answers.values import Json

ENDPOINT_VARIABLE: Final = "OUTLAY_ENDPOINT"
API_KEY_VARIABLE: Final = "OUTLAY_API_KEY"
DEFAULT_ENDPOINT: Final = "http://127.0.0.1:4318"

_TIMEOUT: Final = httpx2.Timeout(20.0, connect=3.0)

T = TypeVar("T")
Filters = Mapping[str, Sequence[str]]
"""Dimension to the values wanted, any of them."""


class CollectorError(Exception):
    """The collector gave no answer that can be shown. `advice` is the way out, in Markdown."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


class Unreachable(CollectorError):
    """Nothing answers at the address."""


class Refused(CollectorError):
    """The collector wants another API key."""


class NotFound(CollectorError):
    """The address answers, and has not what was asked for."""


class Asked(TypedDict, total=False):
    """What is asked of usage, until now. `interval` is minute, hour, day, month or none, cut in `timezone`. With
    `order` only the `limit` groups that have most of it, the first before the second."""

    from_at: Required[datetime]
    interval: str
    timezone: str
    group_by: Sequence[str]
    filters: Filters
    order: str
    limit: int


class Client:
    """One collector. Safe to share between threads."""

    def __init__(self, endpoint: str, api_key: str | None) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.has_key = bool(api_key)
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        past_proxies = httpx2.HTTPTransport() if is_local(endpoint) else None
        self._http = httpx2.Client(headers=headers, timeout=_TIMEOUT, transport=past_proxies)

    @classmethod
    def from_environment(cls) -> Client:
        return cls(os.environ.get(ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT, os.environ.get(API_KEY_VARIABLE))

    def close(self) -> None:
        """Gives back the connections."""
        self._http.close()

    def summary(self, timezone: str) -> Summary:
        return self._get("/api/v1/summary", read_summary, timezone=timezone)

    def usage(self, **asked: Unpack[Asked]) -> tuple[UsageRow, ...]:
        """All measures."""
        return self._usage(read_usage, None, **asked)

    def spend(self, **asked: Unpack[Asked]) -> tuple[SpendRow, ...]:
        return self._usage(read_spend, ",".join(SPEND), **asked)

    def _usage(self, read: Callable[[Json], T], measures: str | None, **asked: Unpack[Asked]) -> T:
        given: dict[str, Any] = {**asked}
        since, filters = _since(given.pop("from_at")), given.pop("filters", {})
        group_by = ",".join(given.pop("group_by", ())) or None
        return self._get("/api/v1/usage", read, **filters, **since, group_by=group_by, measures=measures, **given)

    def calls(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        from_at: datetime | None = None,
        filters: Filters | None = None,
    ) -> CallPage:
        """Newest first; `cursor` is the `next_cursor` of the page before."""
        since = _since(from_at)
        return self._get("/api/v1/calls", read_calls, **(filters or {}), **since, limit=limit, cursor=cursor)

    def call(self, call_id: str) -> Call:
        return self._get(f"/api/v1/calls/{call_id}", read_call)

    def trace(self, trace_id: str) -> tuple[Node, ...]:
        """Depth first: each node before what is below it."""
        return self._get(f"/api/v1/traces/{trace_id}", read_trace)

    def budgets(self) -> tuple[Budget, ...]:
        return self._get("/api/v1/budgets", read_budgets)

    def alerts(self) -> tuple[Alert, ...]:
        return self._get("/api/v1/alerts", read_alerts)

    def alert_history(self) -> tuple[Transition, ...]:
        """Newest first."""
        return self._get("/api/v1/alerts/history", read_transitions)

    def _get(self, path: str, read: Callable[[Json], T], **params: Any) -> T:
        given = {name: value for name, value in params.items() if value is not None}
        try:
            response = self._http.get(self.endpoint + path, params=given)
        except (httpx2.TransportError, httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise self._unreachable(error) from error
        if not response.is_success:
            raise self._failed(path, response)
        try:
            return read(response.json())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CollectorError(
                f"{self.endpoint}{path} answered what this dashboard cannot read ({type(error).__name__}: {error})",
                "Check that the address is an Outlay collector, and that collector and dashboard are of one version.",
            ) from error

    def _unreachable(self, error: Exception) -> Unreachable:
        cause = str(error) or type(error).__name__
        return Unreachable(
            f"No collector answers at {self.endpoint} ({cause})",
            "Start one with `outlay up`, or name the address of yours: "
            "`python -m outlay_dashboard --api http://HOST:PORT`.",
        )

    def _failed(self, path: str, response: httpx2.Response) -> CollectorError:
        said = _error_message(response)
        status = response.status_code
        if status in (401, 403):
            return Refused(
                f"The collector at {self.endpoint} refused the API key: {said}",
                f"Put a key that may read into `{API_KEY_VARIABLE}` and start the dashboard again.",
            )
        if status == 404:
            return NotFound(f"{self.endpoint}{path}: {said}", "It may have been removed since the page was loaded.")
        return CollectorError(
            f"{self.endpoint}{path} answered {status}: {said}",
            "The collector's own log says more about what went wrong.",
        )


def _since(from_at: datetime | None) -> dict[str, str]:
    return {} if from_at is None else {"from": from_at.isoformat()}


def _error_message(response: httpx2.Response) -> str:
    """What the API's error says, else the start of whatever came."""
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.text.strip()[:200] or response.reason_phrase
