"""The command that starts the dashboard, as far as it goes before it serves."""

from __future__ import annotations

import pytest
from outlay_dashboard.__main__ import main
from outlay_dashboard.client import Client


def test_an_api_key_in_a_variable_that_is_not_there_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    assert main(["--api-key-env", "NO_SUCH_KEY"]) == 2
    assert "--api-key-env NO_SUCH_KEY" in capsys.readouterr().err


def test_a_port_that_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--port", "eighty"])
    assert "--port" in capsys.readouterr().err


def test_the_help_names_every_option_and_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(part in said for part in ("--port", "8501", "--host", "127.0.0.1", "--api", "--api-key-env"))


def test_without_an_address_the_collector_of_this_machine_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTLAY_ENDPOINT", raising=False)
    client = Client.from_environment()
    assert client.endpoint == "http://127.0.0.1:4318"
    client.close()
