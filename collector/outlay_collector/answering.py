"""Around everything that answers a request over HTTP: its id, its line in the log, the headers every answer has, and
what is said where something failed. No trace of ours leaves the process; it is in the log, under the request's id.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outlay_collector.api.errors import response_to_failure
from outlay_collector.logs import REQUEST_ID, request_id

log = logging.getLogger(__name__)

ON_EVERY_ANSWER: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""There is no Access-Control header among them: no page of another origin may read an answer."""
REQUEST_ID_HEADER: Final = "X-Request-Id"


class Answers:
    """ASGI middleware. A request keeps the id it came with, where that is one that can be logged."""

    def __init__(self, app: ASGIApp, *, log_requests: bool) -> None:
        self._app = app
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, request_id(Headers(scope=scope).get(REQUEST_ID_HEADER, "")))
        before, began = REQUEST_ID.set(answer.request_id), time.perf_counter()
        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            pass
        except Exception as error:
            failure = response_to_failure(scope["path"], error)
            if answer.status is not None:
                raise  # half of it has gone out: the connection has to break
            await failure(scope, receive, answer)
        finally:
            if self._log_requests:
                self._line(scope, answer, (time.perf_counter() - began) * 1000)
            REQUEST_ID.reset(before)

    def _line(self, scope: Scope, answer: _Answer, duration_ms: float) -> None:
        client = scope.get("client")
        log.info(
            "request",
            extra={
                "method": scope["method"],
                "path": scope["path"],
                "status": answer.status,
                "duration_ms": round(duration_ms, 1),
                "client": client[0] if client else None,
            },
        )


class _Answer:
    """Sends on, with the headers; knows the status once there is one."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in ON_EVERY_ANSWER.items():
                headers.setdefault(name, value)
            headers[REQUEST_ID_HEADER] = self.request_id
        await self._send(message)
