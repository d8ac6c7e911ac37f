"""What `outlay up` and `outlay demo` share: the collector and its dashboard running together, until a signal comes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

from outlay_collector.cli import CommandError
from outlay_collector.dashboard_process import DashboardFailed, DashboardProcess
from outlay_collector.serving import LOOPBACK, PortInUse, Server, listen

if TYPE_CHECKING:
    from rich.console import Console
    from starlette.applications import Starlette

    from outlay_collector.settings import Settings

_WATCH_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class House:
    """A running collector at `url`, which this machine finds at `local_url`, and the dashboard beside it where one was
    wanted."""

    url: str
    local_url: str
    dashboard: DashboardProcess | None
    grpc: str = ""
    """Where OTLP over gRPC is taken, or why it is not; empty where nobody wanted it."""

    def announce(self, screen: Console, settings: Settings) -> None:
        """Prints where the collector is, and where it keeps what it takes."""
        screen.print(f"Collector  {self.url}", soft_wrap=True)
        if self.grpc:
            screen.print(f"OTLP/gRPC  {self.grpc}", soft_wrap=True)
        screen.print(f"Database   {settings.store.shown_url}", soft_wrap=True)

    def announce_dashboard(self, screen: Console, stopped: threading.Event) -> None:
        """Prints the dashboard's address once it answers, or why it never will. The collector goes on either way."""
        if self.dashboard is None:
            return
        try:
            if self.dashboard.wait(stopped):
                screen.print(f"Dashboard  {self.dashboard.url}", soft_wrap=True)
        except DashboardFailed as error:
            screen.print(str(error), style="red", soft_wrap=True)

    def watch(self, screen: Console, stopped: threading.Event) -> None:
        """Returns when `stopped` is set; until then a dashboard that falls is started again."""
        while not stopped.wait(_WATCH_S):
            if self.dashboard is None:
                continue
            try:
                if self.dashboard.revive():
                    screen.print("the dashboard ended and was started again", style="yellow")
            except DashboardFailed as error:
                screen.print(str(error), style="red", soft_wrap=True)


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets. The second one ends the process as it would without us."""
    stopped = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(_number: int, _frame: object) -> None:
        stopped.set()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        restore()


@contextmanager
def house(
    app: Starlette,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    dashboard_port: int | None = 0,
    dashboard_key: str | None = None,
    grpc: GrpcDoor | None = None,
) -> Iterator[House]:
    """The collector `app` and its dashboard, both ended when the block is left. `dashboard_port` None: no dashboard.

    The dashboard asks for nobody's name, so it listens on loopback whatever `host` is. `dashboard_key` is what it reads
    the collector with.
    """
    with _port_from("--port", host):
        server = Server(app, host, port, beside=grpc.open if grpc is not None else None)
    with _started(server):
        dashboard = None
        if dashboard_port is not None:
            with _port_from("--dashboard-port", LOOPBACK):
                dashboard = DashboardProcess(server.local_url, port=dashboard_port, api_key=dashboard_key)
            dashboard.start()
        try:
            yield House(server.url, server.local_url, dashboard, "" if grpc is None else grpc.said)
        finally:
            if dashboard is not None:
                dashboard.stop()


class GrpcDoor:
    """OTLP over gRPC beside the collector, where that can be.

    A port that was asked for must be free; the usual one may be taken by another collector, which is said and no
    reason not to start. `said` is for the screen. Raises `CommandError`.
    """

    def __init__(self, host: str, port: int, *, asked_for: bool) -> None:
        self._asked_for = asked_for
        self._address: str | None = None
        self.said = f"{f'[{host}]' if ':' in host else host}:{port}"
        if find_spec("grpc") is None:
            if asked_for:
                raise CommandError("OTLP over gRPC needs grpcio: pip install 'outlay-collector[grpc]'")
            self.said = "not installed: pip install 'outlay-collector[grpc]'"
            return
        try:
            with _port_from("--grpc-port", host):
                listen(host, port).close()
        except CommandError as error:
            if asked_for:
                raise
            self.said = f"off: {error}"
        else:
            self._address = self.said

    @asynccontextmanager
    async def open(self, app: Starlette) -> AsyncIterator[None]:
        """Listens while the block runs."""
        async with AsyncExitStack() as stack:
            if self._address is not None:
                os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read at its import: its lines are no lines of our log
                from outlay_collector.otlp.grpc import listening  # grpcio is an extra

                try:
                    await stack.enter_async_context(listening(app.state.running, self._address))
                except RuntimeError:  # somebody was quicker since it was found free
                    self.said = f"off: {self._address} is in use; choose another port with --grpc-port"
                    if self._asked_for:
                        raise CommandError(self.said.removeprefix("off: ")) from None
            yield


@contextmanager
def _started(server: Server) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(server)
        except SQLAlchemyError as error:
            raise CommandError(f"the database cannot be used: {str(error).splitlines()[0]}") from None
        yield


@contextmanager
def _port_from(option: str, host: str) -> Iterator[None]:
    try:
        yield
    except PortInUse as error:
        raise CommandError(f"{error.strerror}: stop what listens there, or choose another with {option}") from None
    except OSError as error:
        raise CommandError(f"--host {host}: {error.strerror or error}") from None
