"""What every answer over HTTP has, and what none has: headers, one shape of errors, no word of what is inside."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from outlay_collector import gate, serving
from outlay_collector.answering import ON_EVERY_ANSWER
from outlay_collector.app import create_app
from outlay_collector.logs import REQUEST_ID, JsonLines, TextLines, without_secrets
from outlay_collector.security import make_key
from outlay_collector.serving import Server
from outlay_collector.settings import Server as ServerSettings
from outlay_collector.settings import Settings, Store
from outlay_collector.store.keys import add_key
from psycopg.errors import DiskFull
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from tests.collector.sending import NOW_NS, PROTOBUF

CANARY = "canary-7f3a"


@pytest.fixture
def broken(app: FastAPI) -> FastAPI:
    """A collector with routes that fail, one as no code should and one as a database does."""

    @app.get("/api/v1/broken")
    def broken() -> None:
        raise RuntimeError(CANARY)

    @app.get("/api/v1/away")
    def away() -> None:
        raise OperationalError(f"SELECT {CANARY}", {}, Exception(CANARY))

    @app.put("/api/v1/full")
    def full() -> None:
        raise OperationalError(f"INSERT {CANARY}", {}, DiskFull(CANARY))

    return app


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nothing", b"", 404, "not_found"),
        ("GET", "/api/v1/calls/99", b"", 404, "not_found"),
        ("DELETE", "/api/v1/usage", b"", 405, "method_not_allowed"),
        ("GET", "/api/v1/usage?interval=week", b"", 422, "invalid"),
        ("POST", "/api/v1/budgets/leases", b"{", 422, "invalid"),
        ("POST", "/api/v1/budgets/leases", b"[" * 100_000, 400, "bad_request"),
        ("PUT", "/api/v1/budgets/x", b"x" * (gate.MOST_BODY_BYTES + 1), 413, "too_large"),
        ("GET", "/api/v1/broken", b"", 500, "internal"),
        ("GET", "/api/v1/away", b"", 503, "database_unavailable"),
        ("PUT", "/api/v1/full", b"", 503, "disk_full"),
        ("OPTIONS", "/api/v1/usage", b"", 405, "method_not_allowed"),
        ("GET", "/docs", b"", 404, "not_found"),
    ],
)
async def test_every_refusal_has_one_shape_and_says_nothing_of_the_inside(
    broken: FastAPI, collector: httpx2.AsyncClient, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    answer = await collector.request(method, path, content=body, headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert set(error) <= {"code", "message", "field"}
    assert CANARY not in answer.text
    assert "Traceback" not in answer.text
    assert {name: answer.headers[name] for name in ON_EVERY_ANSWER} == ON_EVERY_ANSWER


async def test_answers_of_every_kind_have_the_headers_and_none_is_for_other_origins(
    engine: Engine, app: FastAPI, collector: httpx2.AsyncClient
) -> None:
    origin = {"origin": "https://elsewhere.example", "access-control-request-method": "POST"}
    answers = [
        await collector.get("/healthz", headers=origin),
        await collector.get("/metrics", headers=origin),
        await collector.post("/v1/traces", headers={**PROTOBUF, **origin}),
        await collector.options("/v1/traces", headers=origin),
    ]
    _, row = make_key("test", "read", NOW_NS)
    with engine.begin() as connection:
        add_key(connection, row)
    app.state.running.keys._read_at = -10.0  # the keys are looked up anew
    answers.append(await collector.get("/api/v1/calls", headers=origin))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 405, 401]
    for answer in answers:
        assert {name: answer.headers[name] for name in ON_EVERY_ANSWER} == ON_EVERY_ANSWER
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert "server" not in answer.headers


async def test_a_request_keeps_its_id_and_an_id_that_cannot_be_logged_is_replaced(
    collector: httpx2.AsyncClient,
) -> None:
    kept = await collector.get("/healthz", headers={"x-request-id": "trace:1.a-B"})
    assert kept.headers["x-request-id"] == "trace:1.a-B"
    for bad in ("a b", "x" * 65, '"}'):
        made = (await collector.get("/healthz", headers={"x-request-id": bad})).headers["x-request-id"]
        assert made != bad
        assert len(made) == 16


async def test_what_failed_is_in_the_log_under_the_id_of_the_answer(
    broken: FastAPI, collector: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    lines: list[dict[str, Any]] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(JsonLines().format(record)))

    logger, handler = logging.getLogger("outlay_collector"), Lines()
    logger.addHandler(handler)
    try:
        answer = await collector.get("/api/v1/broken")
    finally:
        logger.removeHandler(handler)
    (line,) = lines
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["level"], line["logger"]) == ("error", "outlay_collector.api.errors")
    assert (line["error"]["type"], line["error"]["message"]) == ("RuntimeError", CANARY)
    assert "Traceback" in line["error"]["trace"]


async def test_each_request_is_a_line_where_that_is_wanted(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "outlay_collector.answering")
    settings = Settings(store=Store(url=database_url), server=ServerSettings(log_requests=True))
    app = create_app(settings, clock=lambda: NOW_NS)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://collector") as client,
    ):
        await client.get("/api/v1/usage", params={"user": CANARY}, headers={"authorization": f"Bearer {CANARY}"})
    (record,) = [record for record in caplog.records if record.name == "outlay_collector.answering"]
    line = TextLines().format(record)
    assert " request method=GET path=/api/v1/usage status=200 duration_ms=" in line
    assert CANARY not in line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key outlay_0123456789ab_s3cr3t-x_y was", "key outlay_0123456789ab_*** was"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("postgresql://outlay:hunter2@db/outlay", "postgresql://outlay:***@db/outlay"),
        ("key sk-proj-abcdefgh12345", "key sk-***"),
        ("nothing here: outlay_collector.app", "nothing here: outlay_collector.app"),
    ],
)
def test_what_looks_like_a_secret_is_not_written(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
    record = logging.makeLogRecord({"msg": text, "name": "x", "levelname": "INFO", "extra_field": text})
    for formatter in (JsonLines(), TextLines()):
        line = formatter.format(record)
        assert "hunter2" not in line
        assert "s3cr3t" not in line
        assert "abc.def" not in line


def test_a_line_outside_of_a_request_has_no_request_id() -> None:
    assert REQUEST_ID.get() is None
    assert "request_id" not in json.loads(JsonLines().format(logging.makeLogRecord({"msg": "x"})))


@pytest.fixture
def hasty(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A collector that waits a moment for requests to come, and no longer. What is sent before it starts is there when
    it looks."""
    monkeypatch.setattr(serving, "_HEAD_WITHIN_S", 0.2)
    monkeypatch.setattr(gate, "BODY_WITHIN_S", 0.2)
    return Server(app, log_level="critical")


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=["nothing", "half a head"])
def test_a_connection_whose_request_does_not_come_is_closed(hasty: Server, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=60) as connection:
        connection.sendall(sent)
        with hasty:
            assert connection.recv(1024) == b""


def test_a_body_that_does_not_come_is_408(hasty: Server) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=60) as connection:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Content-Length: 100\r\n\r\n{")
        with hasty:
            assert connection.recv(1024).startswith(b"HTTP/1.1 408 ")


def test_a_head_without_end_is_refused(app: FastAPI) -> None:
    with (
        Server(app, log_level="critical") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection,
    ):
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 200_000)
        assert connection.recv(1024).startswith(b"HTTP/1.1 4")


async def test_a_sender_that_hangs_up_is_no_failure(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    with Server(app, log_level="critical") as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        writer.write(b"Content-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()
        async with httpx2.AsyncClient(base_url=server.url, timeout=60) as client:
            assert (await client.get("/healthz")).status_code == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
