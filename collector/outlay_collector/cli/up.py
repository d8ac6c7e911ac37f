"""`outlay up`: the collector, its alerts and the dashboard, in one command that serves until it is told to stop."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final

import typer
from outlay.loopback import is_loopback

from outlay_collector.app import create_app
from outlay_collector.cli import CommandError
from outlay_collector.cli.house import GrpcDoor, house, stop_on_signal
from outlay_collector.cli.options import ConfigOption, database_url
from outlay_collector.cli.output import console
from outlay_collector.dashboard_process import is_installed
from outlay_collector.garbage import collect_garbage_seldom
from outlay_collector.logs import write_logs
from outlay_collector.rehearsal import start_rehearsal
from outlay_collector.security import has_keys
from outlay_collector.settings import Settings, read_settings

DASHBOARD_PORT: Final = 8501

DbOption = Annotated[str | None, typer.Option("--db", callback=database_url, help="The database: sqlite:///outlay.db")]
app = typer.Typer(add_completion=False)


@app.command()
def up(
    *,
    config: ConfigOption = None,
    db: DbOption = None,
    host: Annotated[str | None, typer.Option("--host", help="The collector's address.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="The collector's port; 0: any.")] = None,
    grpc_port: Annotated[
        str | None, typer.Option("--grpc-port", help="The port of OTLP over gRPC; off: none.", show_default="4317")
    ] = None,
    dashboard_port: Annotated[int, typer.Option(min=0, max=65535, help="The dashboard's; 0: any.")] = DASHBOARD_PORT,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Only the collector and its alerts.")] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Listen beyond this machine without keys.")] = False,
) -> None:
    """Collector, alerts and dashboard, one command."""
    settings = with_options(read_settings(config), db=db, host=host, port=port, grpc_port=grpc_port)
    write_logs(settings.server.log_format)
    _refuse_strangers(settings, insecure=insecure)
    screen = console()
    wanted = None if no_dashboard or not is_installed() else dashboard_port
    server, own_key = settings.server, secrets.token_urlsafe(32)
    collector = create_app(settings, own_key=own_key)
    with (
        stop_on_signal() as stopped,
        house(
            collector,
            host=server.host,
            port=server.port,
            dashboard_port=wanted,
            dashboard_key=own_key,
            grpc=_grpc_door(settings),
        ) as running,
    ):
        running.announce(screen, settings)
        start_rehearsal(running.local_url, own_key)
        if wanted is None and not no_dashboard:
            screen.print("Dashboard  not installed: pip install 'outlay-collector[dashboard]'", soft_wrap=True)
        running.announce_dashboard(screen, stopped)
        collect_garbage_seldom()
        screen.print("Ctrl-C to stop.")
        running.watch(screen, stopped)


def _grpc_door(settings: Settings) -> GrpcDoor | None:
    server = settings.server
    if server.grpc_port is None:
        return None
    return GrpcDoor(server.host, server.grpc_port, asked_for="grpc_port" in server.model_fields_set)


def with_options(
    settings: Settings,
    *,
    db: str | None = None,
    host: str | None = None,
    port: int | None = None,
    grpc_port: str | None = None,
) -> Settings:
    """The configuration, with what the command line says over it."""
    server: dict[str, Any] = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    if grpc_port is not None:
        server["grpc_port"] = _port_or_off(grpc_port)
    store = {"url": db} if db is not None else {}
    return settings.model_copy(
        update={
            "server": settings.server.model_copy(update=server),
            "store": settings.store.model_copy(update=store),
        }
    )


def _port_or_off(given: str) -> int | None:
    if given in ("off", "0"):
        return None
    if not given.isdecimal() or int(given) > 65535:
        raise CommandError(f"--grpc-port {given}: expected a port from 1 to 65535, or off")
    return int(given)


def _refuse_strangers(settings: Settings, *, insecure: bool) -> None:
    host = settings.server.host
    if not is_loopback(host) and not insecure and not has_keys(settings.store.url):
        raise CommandError(
            f"--host {host} would let anyone who reaches this machine read and write: it asks for no key. "
            "Make one with `outlay keys create`, listen on 127.0.0.1, or say --insecure where a proxy or a network "
            "keeps strangers out"
        )
