"""What `outlay up` and `outlay demo` share: the collector and its dashboard running together, until a signal comes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

from outlay_collector.cli import CommandError
from outlay_collector.dashboard_process import DashboardFailed, DashboardProcess
from outlay_collector.serving import LOOPBACK, PortInUse, Server

if TYPE_CHECKING:
    from rich.console import Console
    from starlette.applications import Starlette

_WATCH_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class House:
    """A running collector at `url`, and the dashboard beside it where one was wanted."""

    url: str
    dashboard: DashboardProcess | None

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
) -> Iterator[House]:
    """The collector `app` and its dashboard, both ended when the block is left. `dashboard_port` None: no dashboard.

    The dashboard asks for nobody's name, so it listens on loopback whatever `host` is. `dashboard_key` is what it reads
    the collector with.
    """
    with _port_from("--port", host):
        server = Server(app, host, port)
    with _started(server):
        dashboard = None
        if dashboard_port is not None:
            with _port_from("--dashboard-port", LOOPBACK):
                dashboard = DashboardProcess(server.local_url, port=dashboard_port, api_key=dashboard_key)
            dashboard.start()
        try:
            yield House(server.url, dashboard)
        finally:
            if dashboard is not None:
                dashboard.stop()


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
