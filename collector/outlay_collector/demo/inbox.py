"""Where the demo's alerts arrive: an incoming webhook on loopback, as a chat service would offer one."""

from __future__ import annotations

import threading
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


class Inbox:
    """Keeps what is posted to `/alerts`, oldest first. `arrived` is set by the first message."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.arrived = threading.Event()
        self.app = Starlette(routes=[Route("/alerts", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> PlainTextResponse:
        self.messages.append(await request.json())
        self.arrived.set()
        return PlainTextResponse("ok")
