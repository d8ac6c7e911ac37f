"""Where the demo's alerts arrive: an incoming webhook on loopback, as a chat service would offer one."""

from __future__ import annotations

import threading

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


class Inbox:
    """Keeps the texts that are posted to `/alerts`, oldest first."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.app = Starlette(routes=[Route("/alerts", self._take, methods=["POST"])])
        self._changed = threading.Condition()

    async def _take(self, request: Request) -> PlainTextResponse:
        text = (await request.json())["text"]
        with self._changed:
            self.messages.append(text)
            self._changed.notify_all()
        return PlainTextResponse("ok")

    def wait_for(self, word: str, timeout_s: float) -> bool:
        """Whether a message with that word in it has come by then."""
        with self._changed:
            return self._changed.wait_for(lambda: any(word in text for text in self.messages), timeout_s)
