"""What the running collector refuses, and how it says so."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from outlay.errors import ConfigError
from outlay_collector.cli import app
from typer.testing import CliRunner

if TYPE_CHECKING:
    from tests.conftest import CollectorProcess

OUTLAY = str(Path(sys.executable).with_name("outlay"))
PROTOBUF = {"content-type": "application/x-protobuf"}


def refused(*arguments: str, folder: Path) -> str:
    """What `outlay` says of options it cannot use: one line, exit code 2, nothing on stdout."""
    done = subprocess.run([OUTLAY, *arguments], cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_bodies_that_are_no_spans_are_refused_and_the_collector_goes_on(outlay_process: CollectorProcess) -> None:
    with httpx2.Client(base_url=outlay_process.url, timeout=60) as client:
        malformed = client.post("/v1/traces", content=b"\x0a\xff\xff\xff not a message", headers=PROTOBUF)
        assert malformed.status_code == 400
        broken = client.post(
            "/v1/traces", content=b"\x1f\x8bnot gzip", headers={**PROTOBUF, "content-encoding": "gzip"}
        )
        assert broken.status_code == 400
        text = client.post("/v1/traces", content=b"spans", headers={"content-type": "text/plain"})
        assert text.status_code == 415
        large = client.post("/v1/traces", content=bytes(17 * 1024 * 1024), headers=PROTOBUF)
        assert large.status_code == 413
        bomb = gzip.compress(bytes(64 * 1024 * 1024))
        inflated = client.post("/v1/traces", content=bomb, headers={**PROTOBUF, "content-encoding": "gzip"})
        assert inflated.status_code == 413
        assert client.get("/healthz").is_success
    assert outlay_process.get("/api/v1/usage")["rows"] == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("[server]\nprot = 4318", ("server.prot", "4318", "port")),
        ('[[rule]]\nname = "errors"\nkind = "error_rate"\nabove = 5', ("rule[0].above", "5")),
        ('[[budget]]\nname = "b"\nlimit = { usd = -1 }\nperiod = "day"', ("budget[0].limit", "-1")),
        ('[[channel]]\nname = "oncall"\nurl = "${NOT_SET_ANYWHERE}"', ("channel[0].url", "NOT_SET_ANYWHERE")),
        ("[server", ("Expected ']'",)),
    ],
)
def test_a_broken_configuration_names_file_key_and_value(tmp_path: Path, lines: str, said: tuple[str, ...]) -> None:
    (tmp_path / "outlay.toml").write_text(lines)
    error = CliRunner().invoke(app, ["up", "--config", str(tmp_path / "outlay.toml")]).exception
    assert isinstance(error, ConfigError)
    for part in ("outlay.toml", *said):
        assert part in str(error)


def test_a_broken_configuration_is_one_line_and_no_collector(tmp_path: Path) -> None:
    (tmp_path / "outlay.toml").write_text('[server]\nport = "many"')
    message = refused("up", folder=tmp_path)
    assert message.startswith("outlay: outlay.toml: server.port = 'many': expected ")


def test_a_port_in_use_is_named_with_the_way_out(outlay_process: CollectorProcess, tmp_path: Path) -> None:
    port = outlay_process.url.rpartition(":")[2]
    message = refused("up", "--no-dashboard", "--port", port, "--db", "sqlite:///other.db", folder=tmp_path)
    assert f"port {port} on 127.0.0.1 is in use" in message
    assert "--port" in message


def test_other_machines_are_not_served_without_keys_unless_asked(tmp_path: Path) -> None:
    assert "--insecure" in refused("up", "--host", "0.0.0.0", folder=tmp_path)


def test_ctrl_c_ends_the_collector_cleanly(outlay_process: CollectorProcess) -> None:
    assert outlay_process.stop() == 0


def test_commands_say_what_to_do_without_a_collector_or_a_database(tmp_path: Path) -> None:
    assert "outlay up" in refused("spend", "--endpoint", "http://127.0.0.1:9", folder=tmp_path)
    assert "no such file" in refused("spend", "--db", "sqlite:///nowhere.db", folder=tmp_path)
    for command in ("spend", "up", "demo", "db stats"):
        assert "--db: url" in refused(*command.split(), "--db", "outlay.db", folder=tmp_path), "a path, no URL"
