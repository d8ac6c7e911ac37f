"""`outlay up`: where OTLP over gRPC is taken, and what is said where it is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx2
import pytest
from outlay.errors import ConfigError
from outlay_collector.app import create_app
from outlay_collector.cli import CommandError
from outlay_collector.cli import house as house_module
from outlay_collector.cli.house import GrpcDoor, house
from outlay_collector.cli.up import with_options
from outlay_collector.rehearsal import REQUEST_ID
from outlay_collector.serving import listen
from outlay_collector.settings import Alerts, Settings, Store, read_settings

from tests.collector.sending import Sent, body_of, chat
from tests.conftest import CollectorProcess
from tests.waiting import own_port

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which something listens."""
    with listen("127.0.0.1", 0) as listening:
        yield listening.getsockname()[1]


def test_the_port_is_4317_unless_another_is_named_or_none_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "outlay.toml"
    file.write_text("")
    assert read_settings(file, {}).server.grpc_port == 4317
    for given, port in (("off", None), ("0", None), ("4999", 4999)):
        assert read_settings(file, {"OUTLAY_SERVER_GRPC_PORT": given}).server.grpc_port == port
        assert with_options(Settings(), grpc_port=given).server.grpc_port == port
    for wrong in ("70000", "-1", "none"):
        with pytest.raises(ConfigError, match="OUTLAY_SERVER_GRPC_PORT"):
            read_settings(file, {"OUTLAY_SERVER_GRPC_PORT": wrong})
        with pytest.raises(CommandError, match="--grpc-port"):
            with_options(Settings(), grpc_port=wrong)
    file.write_text("[server]\ngrpc_port = 'off'")
    assert read_settings(file, {}).server.grpc_port is None


def test_a_port_that_was_asked_for_must_be_free_and_the_usual_one_may_be_taken(taken: int) -> None:
    with pytest.raises(CommandError, match=f"port {taken} .* is in use.*--grpc-port"):
        GrpcDoor("127.0.0.1", taken, asked_for=True)
    assert GrpcDoor("127.0.0.1", taken, asked_for=False).said.startswith(f"off: port {taken} ")


def test_a_port_that_is_taken_a_moment_later_is_found_out_about_too(tmp_path: Path) -> None:
    settings = Settings(store=Store(url=f"sqlite:///{tmp_path}/outlay.db"), alerts=Alerts(enabled=False))
    with own_port() as port:
        doors = [GrpcDoor("127.0.0.1", port, asked_for=asked_for) for asked_for in (False, True)]
        with listen("127.0.0.1", port):
            with house(create_app(settings), dashboard_port=None, grpc=doors[0]) as running:
                assert running.grpc.startswith(f"off: 127.0.0.1:{port} is in use")
                assert httpx2.get(f"{running.url}/readyz", timeout=60).status_code == 200
            with pytest.raises(CommandError, match="is in use"), house(create_app(settings), grpc=doors[1]):
                pytest.fail("two servers listen on one port")


def test_what_grpc_itself_would_write_beside_a_log_of_json_is_not_written(tmp_path: Path, taken: int) -> None:
    """In a process that has not imported it: that is when it asks what it may write."""
    script = f"""
from outlay_collector.app import create_app
from outlay_collector.cli.house import GrpcDoor, house
from outlay_collector.settings import Alerts, Settings, Store

settings = Settings(store=Store(url="sqlite:///{tmp_path}/outlay.db"), alerts=Alerts(enabled=False))
door = GrpcDoor("127.0.0.1", 0, asked_for=False)
door._address = "127.0.0.1:{taken}"  # found free, then taken
with house(create_app(settings), dashboard_port=None, grpc=door) as running:
    print(running.grpc)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (ended.stdout[:4], ended.stderr) == ("off:", "")


def test_without_grpcio_the_collector_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house_module, "find_spec", lambda _name: None)
    assert "outlay-collector[grpc]" in GrpcDoor("127.0.0.1", 0, asked_for=False).said
    with pytest.raises(CommandError, match=r"outlay-collector\[grpc\]"):
        GrpcDoor("127.0.0.1", 0, asked_for=True)


def test_the_collector_itself_needs_no_grpcio() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import sys, outlay_collector.app, outlay_collector.cli.up; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "grpc" not in said.stdout.split()


def test_what_is_sent_over_grpc_to_outlay_up_is_in_its_database_and_its_log_is_json(
    stopped_collector: CollectorProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    configuration = '[server]\nlog_format = "json"\nlog_requests = true\n'
    with own_port() as port:
        stopped_collector.start("--grpc-port", str(port), configuration=configuration)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            channel.unary_unary(EXPORT)(body_of(Sent(attributes=chat())), metadata=[("x-request-id", "r1")], timeout=60)
    (call,) = stopped_collector.get("/api/v1/calls")["calls"]
    assert call["cost_usd"] == "0.0035"
    assert stopped_collector.stop() == 0
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    requests = [line for line in lines if line["message"] == "request" and line["request_id"] != REQUEST_ID]
    assert [line.get("path") or line["service"] for line in requests] == [EXPORT[1:-7], "/api/v1/calls"]
    assert requests[0]["request_id"] == "r1"
