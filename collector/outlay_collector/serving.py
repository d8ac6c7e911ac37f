"""An ASGI application on a socket of this machine, served from a thread of its own.

The main thread stays free to wait for signals, to watch a child, or to run a test. What an application raises while it
starts is raised here, to whoever starts it, and never only logged.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.auto import AutoHTTPProtocol

LOOPBACK: Final = "127.0.0.1"
_EVERYWHERE: Final = ("0.0.0.0", "::", "")
_GRACE_S: Final = 5
_HEAD_WITHIN_S: Final = 15.0
_MOST_HEAD_BYTES: Final = 32 * 1024

Beside = Callable[[Starlette], AbstractAsyncContextManager[Any]]
"""What runs in the same event loop for as long as the application does, and is given it."""


class PortInUse(OSError):
    """Another process listens there; the caller knows which option names another port."""


class _InTime(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # which one it is depends on what is installed
    """Ends a connection on which a request does not come: nothing at all, or never the end of its headers. How long
    uvicorn keeps a connection between requests, and how long a body may take, is decided elsewhere."""

    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._hurry()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._hurry()
        else:
            self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def _hurry(self) -> None:
        if self._overdue is None:
            self._overdue = self.loop.call_later(_HEAD_WITHIN_S, self.transport.close)

    def _rest(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None


class _Announcing(uvicorn.Server):
    """Says when it listens, instead of being asked."""

    def __init__(self, config: uvicorn.Config, listening: threading.Event) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()


class Server:
    """Serves `app` while the `with` block runs; its addresses are known before it. Port 0 takes a free one.

    `url` is where it listens, `local_url` where this machine finds it.

    Raises `PortInUse` when it is made, and when it is entered whatever the application raised while it started.
    """

    def __init__(
        self,
        app: Starlette,
        host: str = LOOPBACK,
        port: int = 0,
        *,
        log_level: str = "warning",
        beside: Beside | None = None,
    ) -> None:
        self._app = app
        self._beside = beside
        self._socket = listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.url = _url(host, self.port)
        self.local_url = _url(LOOPBACK if host in _EVERYWHERE else host, self.port)
        self._settled = threading.Event()
        self._error: BaseException | None = None
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_level=log_level,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_S,
            ws="none",
            server_header=False,
            log_config=None,  # whoever starts this sets up the log of the process
            http=_InTime,
            h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
        )
        self._server = _Announcing(config, self._settled)
        self._thread = threading.Thread(target=self._run, name=f"server-{self.port}", daemon=True)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that entered
            self._error = error
        finally:
            self._settled.set()

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._app.router.lifespan_context(self._app))
            if self._beside is not None:
                await stack.enter_async_context(self._beside(self._app))
            await self._server.serve(sockets=[self._socket])

    def __enter__(self) -> Self:
        self._thread.start()
        self._settled.wait()
        if self._error is not None:
            self._socket.close()
            raise self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends when the requests that were taken are answered, five seconds at most."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises `PortInUse`, or `OSError` for an address that is not this machine's."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    # The protocol is named because asyncio turns Nagle's algorithm off only then: 40 ms an answer otherwise.
    found = socket.socket(family, kind, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(address)
        found.listen(2048)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(error.errno, f"port {port} on {host} is in use") from None
        raise
    return found
