"""`outlay keys`: who may send, read and change. Works on the database itself: whoever has that needs no key."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated

import typer

from outlay_collector.cli import CommandError
from outlay_collector.cli.db import DbOption, open_database
from outlay_collector.cli.output import JsonOption, console, table, write_json
from outlay_collector.periods import rfc3339
from outlay_collector.pins import read_pins
from outlay_collector.quotas import Quota
from outlay_collector.security import RIGHTS, make_key
from outlay_collector.store.engine import reading
from outlay_collector.store.keys import add_key, read_keys, revoke_key

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who it is for.", show_default=False)],
    *,
    scope: Annotated[str, typer.Option(help="ingest, read, or admin, which may do both and change things.")] = "ingest",
    pin: Annotated[
        list[str] | None,
        typer.Option(help="What all calls sent with it are attributed to, whatever they say: tenant=acme, tag.team=x."),
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="The most requests a minute; as many as come if not given.")
    ] = None,
    bytes_per_minute: Annotated[
        int | None, typer.Option(min=1, help="The most bytes a minute, as they come; any number if not given.")
    ] = None,
    body_bytes: Annotated[
        int | None, typer.Option(min=1, help="The most bytes one request may hold; the collector's limit if not given.")
    ] = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and show it, this once. From the first key on the collector asks everyone for one."""
    right = next((right for right in RIGHTS if right == scope), None)
    if right is None:
        raise CommandError(f"--scope {scope}: expected one of {', '.join(RIGHTS)}")
    pins = read_pins(pin or ())
    if pins and right != "ingest":
        raise CommandError(f"--pin is for keys that only send: --scope ingest, not {scope}")
    quota = Quota(requests_per_minute=requests_per_minute, bytes_per_minute=bytes_per_minute, body_bytes=body_bytes)
    key, row = make_key(name, right, time.time_ns(), pins, quota)
    with open_database(db) as engine, engine.begin() as connection:
        add_key(connection, row)
    if as_json:
        write_json({"id": row.id, "name": name, "scope": scope, "pins": pins, "quota": quota.kept() or {}, "key": key})
    else:
        console().print(key, soft_wrap=True)


@app.command("list")
def list_keys(*, db: DbOption = None, as_json: JsonOption = False) -> None:
    """All keys, without their secrets."""
    with open_database(db) as engine, reading(engine) as connection:
        keys = [
            {
                "id": row.id,
                "name": row.name,
                "scope": row.scope,
                "pins": row.pins or {},
                "quota": row.quota or {},
                "created_at": rfc3339(row.created_at_ns),
                "revoked_at": row.revoked_at_ns and rfc3339(row.revoked_at_ns),
            }
            for row in read_keys(connection)
        ]
    if as_json:
        write_json({"keys": keys})
    else:
        headings = ("id", "name", "scope", "pins", "quota", "created_at", "revoked_at")
        shown = [{**key, "pins": _pairs(key["pins"]), "quota": _pairs(key["quota"])} for key in keys]
        rows = [[key[heading] or "" for heading in headings] for key in shown]
        console().print(table([(heading, False) for heading in headings], rows))


def _pairs(named: Mapping[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in named.items())


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `outlay keys list` shows it.", show_default=False)],
    *,
    db: DbOption = None,
) -> None:
    """Take a key back. It stops to work within seconds."""
    with open_database(db) as engine, engine.begin() as connection:
        if not revoke_key(connection, key_id, time.time_ns()):
            raise CommandError(f"there is no key {key_id} that still holds; `outlay keys list` shows them")
    console().print(f"Revoked {key_id}.")
