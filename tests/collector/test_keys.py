"""API keys: who may send, read and change, and that nobody is asked before there is a key."""

from __future__ import annotations

import httpx2
import orjson
import pytest
from fastapi import FastAPI
from outlay_collector.app import create_app
from outlay_collector.cli.keys import app as keys_command
from outlay_collector.security import Caller, Denial, Keys, make_key, right_for
from outlay_collector.settings import Settings, Store
from outlay_collector.store.keys import add_key, revoke_key
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from typer.testing import CliRunner

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, PROTOBUF


@pytest.fixture
def ingest(engine: Engine, app: FastAPI) -> str:
    """A key for sending; from here on the collector asks for keys."""
    return made(engine, "ingest")


def made(engine: Engine, right: str) -> str:
    key, row = make_key("test", right, NOW_NS)  # type: ignore[arg-type]  # one of the rights
    with engine.begin() as connection:
        add_key(connection, row)
    return key


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_without_any_key_nobody_is_asked_for_one(collector: httpx2.AsyncClient) -> None:
    assert (await collector.get("/api/v1/summary")).status_code == 200


@BOTH_BACKENDS
async def test_a_key_may_do_what_its_scope_says(ingest: str, engine: Engine, collector: httpx2.AsyncClient) -> None:
    reader, admin = made(engine, "read"), made(engine, "admin")

    async def status(method: str, path: str, key: str | None) -> int:
        headers = {**PROTOBUF, **(bearer(key) if key else {})}
        return (await collector.request(method, path, headers=headers)).status_code

    assert [await status("POST", "/v1/traces", key) for key in (None, ingest, reader, admin)] == [401, 200, 403, 200]
    assert [await status("GET", "/api/v1/calls", key) for key in (None, ingest, reader, admin)] == [401, 403, 200, 200]
    assert [await status("DELETE", "/api/v1/budgets/x", key) for key in (None, reader, admin)] == [401, 403, 404]
    assert [await status("GET", "/healthz", None), await status("GET", "/metrics", None)] == [200, 401]


async def test_a_wrong_key_is_refused_in_the_one_error_shape(ingest: str, collector: httpx2.AsyncClient) -> None:
    for wrong in (ingest[:-1], ingest.replace("outlay_", "other_"), "outlay__", "x", "é"):
        answer = await collector.get("/api/v1/calls", headers={b"authorization": f"Bearer {wrong}".encode()})
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "unauthorized"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert ingest not in answer.text


def test_a_revoked_key_stops_to_work_within_seconds(engine: Engine) -> None:
    clock = [0.0]
    keys = Keys(engine, lambda: clock[0])
    made(engine, "admin")
    key = made(engine, "read")
    assert isinstance(keys.admit(key, "read"), Caller)
    with engine.begin() as connection:
        assert revoke_key(connection, key.split("_")[1], NOW_NS)
    clock[0] = 5.0
    assert isinstance(keys.admit(key, "read"), Denial)


def test_who_revokes_the_last_key_opens_nothing(engine: Engine) -> None:
    clock = [0.0]
    keys, key = Keys(engine, lambda: clock[0]), made(engine, "admin")
    with engine.begin() as connection:
        assert revoke_key(connection, key.split("_")[1], NOW_NS)
    clock[0] = 5.0
    assert isinstance(keys.admit(key, "admin"), Denial)
    assert isinstance(keys.admit(None, "read"), Denial)


def test_keys_hold_for_minutes_while_the_database_does_not_answer(engine: Engine) -> None:
    clock = [0.0]
    keys, unread, key = Keys(engine, lambda: clock[0]), Keys(engine, lambda: clock[0]), made(engine, "read")
    assert isinstance(keys.admit(key, "read"), Caller)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE api_keys RENAME TO away"))
    with pytest.raises(SQLAlchemyError):
        unread.admit(key, "read")
    for clock[0] in (10.0, 600.0):
        assert isinstance(keys.admit(key, "read"), Caller)
        assert isinstance(keys.admit(key[:-1], "read"), Denial)
    clock[0] = 606.0
    with pytest.raises(SQLAlchemyError):
        keys.admit(key, "read")


def test_secrets_are_not_kept(engine: Engine) -> None:
    key = made(engine, "read")
    with engine.connect() as connection:
        kept = str(connection.execute(text("SELECT * FROM api_keys")).all())
    assert key.split("_", 2)[2] not in kept


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("POST", "/v1/logs", "ingest"),
        ("POST", "/api/v1/budgets/leases", "ingest"),
        ("PUT", "/api/v1/budgets/daily", "admin"),
        ("GET", "/openapi.json", "read"),
        ("GET", "/healthz", None),
    ],
)
def test_every_route_has_its_scope(method: str, path: str, right: str | None) -> None:
    assert right_for(method, path) == right


async def test_a_process_that_asks_itself_needs_no_key(ingest: str, database_url: str) -> None:
    app = create_app(Settings(store=Store(url=database_url)), trusted=True)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://collector") as client,
    ):
        assert (await client.get("/api/v1/calls")).status_code == 200


def test_keys_are_made_listed_and_taken_back_from_the_command_line(database_url: str) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(keys_command, [*arguments, "--db", database_url], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    key = orjson.loads(run("create", "collector", "--scope", "read", "--json"))
    assert key["key"].startswith(f"outlay_{key['id']}_")
    assert run("revoke", key["id"]).strip() == f"Revoked {key['id']}."
    (listed,) = orjson.loads(run("list", "--json"))["keys"]
    assert (listed["name"], listed["scope"], listed["revoked_at"] is not None) == ("collector", "read", True)
