"""The command line over a database without a call, and what it says of options it cannot use."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import httpx2
import pytest
from outlay.errors import ConfigError
from outlay.losses import encode_losses
from outlay.tally import Loss, Who
from outlay_collector.app import create_app
from outlay_collector.cli import COMMANDS, CommandError, app
from outlay_collector.cli.output import money
from outlay_collector.serving import PortInUse, Server
from outlay_collector.settings import Alerts, Settings, Store
from typer.testing import CliRunner, Result


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store=Store(url=f"sqlite:///{tmp_path}/ledger.db"), alerts=Alerts(enabled=False))


@pytest.fixture
def collector(settings: Settings) -> Iterator[str]:
    """The address of a collector in this process."""
    with Server(create_app(settings)) as server:
        yield server.url


def test_every_command_that_is_listed_is_there() -> None:
    listed = run("--help").stdout
    for name in COMMANDS:
        assert f" {name} " in listed
        assert import_module(f"outlay_collector.cli.{name}").app


def test_help_needs_no_web_framework_no_database_and_no_sdk() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import sys, outlay_collector.cli; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"fastapi", "sqlalchemy", "openai", "anthropic", "pydantic"} & set(said.stdout.split())


def test_a_mistyped_command_is_answered_with_the_nearest() -> None:
    wrong = run("spned")
    assert wrong.exit_code == 2
    assert "spend" in wrong.stderr


def test_without_a_call_spend_is_unknown_and_not_zero(collector: str) -> None:
    document = json.loads(run("spend", "--endpoint", collector, "--json").stdout)
    assert document["rows"] == []
    assert document["total"]["cost_usd"] is None
    assert "No calls in that time" in run("spend", "--endpoint", collector).stdout


def test_a_database_is_read_as_its_collector_would_answer(collector: str, settings: Settings) -> None:
    window = ("--from", "2026-11-01", "--to", "2026-11-02", "--json")
    over_http = run("spend", "--endpoint", collector, *window).stdout
    assert run("spend", "--db", settings.store.url, *window).stdout == over_http
    assert json.loads(over_http)["from"] == "2026-11-01T00:00:00Z"


@pytest.mark.usefixtures("dead_proxy")
def test_a_collector_on_this_machine_is_asked_without_a_proxy(collector: str) -> None:
    assert run("spend", "--endpoint", collector).exit_code == 0


def test_what_the_api_refuses_is_said_in_its_words(collector: str) -> None:
    with pytest.raises(CommandError, match=r"group_by: 'colour' is no dimension"):
        raise run("spend", "--by", "colour", "--endpoint", collector).exception or AssertionError
    with pytest.raises(CommandError, match="--where 'chat': expected a dimension and its value"):
        raise run("spend", "--where", "chat", "--endpoint", collector).exception or AssertionError


def test_a_report_is_a_whole_file_or_none(collector: str, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    assert run("export", "--endpoint", collector, "--out", str(report)).exit_code == 0
    assert report.read_text().startswith("bucket,provider,model,calls,")
    failed = run("export", "--endpoint", collector, "--by", "colour", "--out", str(tmp_path / "other.csv"))
    assert isinstance(failed.exception, CommandError)
    assert {path.name for path in tmp_path.glob("*.csv*")} | {path.name for path in tmp_path.glob(".*")} == {
        "report.csv"
    }


def test_doctor_finds_what_is_there_and_fails_where_no_collector_is(collector: str) -> None:
    well = run("doctor", "--endpoint", collector, "--json")
    findings = {finding["check"]: finding for finding in json.loads(well.stdout)}
    assert well.exit_code == 0
    assert findings["collector"]["state"] == "warning"
    assert "outlay.instrument()" in findings["collector"]["advice"]
    ill = run("doctor", "--endpoint", "http://127.0.0.1:9")
    assert ill.exit_code == 1
    assert "no collector answers" in ill.stdout


def test_doctor_warns_of_calls_that_clients_have_lost(collector: str) -> None:
    body = encode_losses(Who("p1", "shop", None, 1), {Loss.QUEUE_FULL: 1200, Loss.KILLED: 2})
    headers = {"content-type": "application/x-protobuf"}
    told = httpx2.post(f"{collector}/v1/metrics", content=body, headers=headers, timeout=60)
    assert told.status_code == 200
    findings = json.loads(run("doctor", "--endpoint", collector, "--json").stdout)
    (finding,) = [finding for finding in findings if finding["check"] == "deliveries"]
    assert finding["state"] == "warning"
    assert finding["found"] == "1,202 calls were lost by clients: killed 2, queue_full 1,200"


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "-"),
        ("0", "$0.00"),
        ("0.000000001", "$0.000000001"),
        ("0.04940025", "$0.04940025"),
        ("1234567.5", "$1,234,567.50"),
        (Decimal("-0.5"), "-$0.50"),
    ],
)
def test_money_is_shown_to_its_last_digit_and_at_least_to_the_cent(amount: str | Decimal | None, shown: str) -> None:
    assert money(amount) == shown


def test_a_server_raises_what_its_application_raises_when_it_starts(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="a folder that exists"),
        Server(create_app(Settings(store=Store(url=f"sqlite:///{tmp_path}/missing/ledger.db")))),
    ):
        pass


def test_a_port_can_be_taken_once(settings: Settings, collector: str) -> None:
    with pytest.raises(PortInUse, match="is in use"):
        Server(create_app(settings), port=int(collector.rpartition(":")[2]))
