"""In front of every request over HTTP: the key it needs, how much it may hold, how long it may take to come.

Which key may do what is `security`'s. The bodies of OTLP have their own limit and their own words for it: `otlp.http`.
"""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outlay_collector.api.dependencies import running
from outlay_collector.api.errors import error_response
from outlay_collector.security import Caller, Denial, bearer, is_metered, right_for

MOST_BODY_BYTES: Final = 8 * 1024 * 1024
"""Of a request to the API. What applications send through OTLP may be larger: `[server] max_body_bytes`."""
BODY_WITHIN_S: Final = 30.0
_OTLP: Final = "/v1/"
_SIGNALS: Final = {f"{_OTLP}{name}": name for name in ("traces", "logs", "metrics")}
CODES: Final = {401: "unauthorized", 403: "forbidden", 429: "rate_limited"}


class KeyGate:
    """ASGI middleware that lets a request in only with a key that may do what it asks, and says to whoever answers who
    it is: `caller_of`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = right_for(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if needed is not None:
            request = Request(scope)
            collector, given = running(request), bearer(request.headers.get("authorization", ""))
            metered = is_metered(scope["path"])
            caller = await run_in_threadpool(lambda: collector.keys.admit(given, needed, metered=metered))
            if isinstance(caller, Denial):
                if signal := _SIGNALS.get(scope["path"]):
                    collector.metrics.add(
                        "outlay_requests_total", transport="http", signal=signal, answer=CODES[caller.status]
                    )
                await _refuse(caller)(scope, receive, send)
                return
            request.state.caller = caller
        await self._app(scope, receive, send)


def caller_of(request: Request) -> Caller:
    """Who was let in; nobody in particular where nobody is asked for a key."""
    caller: Caller = getattr(request.state, "caller", None) or Caller()
    return caller


def _refuse(denial: Denial) -> ASGIApp:
    headers = {"WWW-Authenticate": "Bearer"} if denial.status == 401 else {}
    if denial.retry_after_s is not None:
        headers["Retry-After"] = str(denial.retry_after_s)
    return error_response(denial.status, CODES[denial.status], denial.reason, headers=headers)


class BodyGate:
    """ASGI middleware over what comes of a body: counted for the key's quota, stopped above the limit and when it
    takes too long. Both end in an `HTTPException` where the body is read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller = caller_of(Request(scope))
        limit = None if scope["path"].startswith(_OTLP) else min(MOST_BODY_BYTES, caller.body_bytes or MOST_BODY_BYTES)
        due = asyncio.get_running_loop().time() + BODY_WITHIN_S
        came, complete = 0, False

        async def counted() -> Message:
            nonlocal came, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(due):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body did not come within {BODY_WITHIN_S:g} s") from None
            complete = not message.get("more_body", False)
            size = len(message.get("body", b""))
            caller.used(size)
            came += size
            if limit is not None and came > limit:
                raise HTTPException(413, f"the body is larger than {limit} bytes")
            return message

        await self._app(scope, counted, send)
