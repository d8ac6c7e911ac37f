"""An ASGI application on a socket of this machine, in a thread of its own.

For what runs beside something else in one process: the demo's provider, and tests. `outlay up` serves the collector
itself in the main thread.
"""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Any, Self

import uvicorn


class _Announcing(uvicorn.Server):
    """Says when it listens, or that it never will, instead of being asked."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()


class LoopbackServer:
    """Serves `app` on 127.0.0.1 while the `with` block runs; `url` is known inside it. Port 0 takes a free one."""

    def __init__(self, app: Any, port: int = 0, *, log_level: str = "warning") -> None:
        # The protocol is named because asyncio turns Nagle's algorithm off only then: 40 ms an answer.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(app, log_level=log_level, access_log=False, timeout_graceful_shutdown=2, ws="none")
        self._server = _Announcing(config)
        self._thread = threading.Thread(target=self._run, name="loopback-server", daemon=True)

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._server.settled.set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._server.settled.wait()
        if not self._server.started:
            raise RuntimeError("the server ended before it listened; its log says why")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
