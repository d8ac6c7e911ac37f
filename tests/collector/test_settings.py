"""outlay.toml and the environment, and what is said of a setting that cannot be used."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from outlay.errors import ConfigError
from outlay_collector.settings import Settings, read_settings


def read(tmp_path: Path, text: str, **environ: str) -> Settings:
    path = tmp_path / "outlay.toml"
    path.write_text(text)
    return read_settings(path, environ)


def complaint(tmp_path: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, text, **environ)
    return str(raised.value)


def test_without_a_file_the_collector_listens_on_loopback_and_writes_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings(None, {})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 4318)
    assert settings.store.url == "sqlite:///outlay.db"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = read(tmp_path, "[server]\nport = 1\nhost = '127.0.0.2'", OUTLAY_SERVER_PORT="9")
    assert (settings.server.port, settings.server.host) == (9, "127.0.0.2")


def test_variables_and_secret_files_are_filled_in(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://outlay:hunter2@db/outlay\n")
    settings = read(tmp_path, f"[store]\nurl_file = '{secret}'\n[server]\nhost = '${{BIND}}'", BIND="127.0.0.3")
    assert settings.store.url == "postgresql://outlay:hunter2@db/outlay"
    assert settings.store.shown_url == "postgresql://outlay:***@db/outlay"
    assert settings.server.host == "127.0.0.3"
    assert read_settings(None, {"OUTLAY_STORE_URL_FILE": str(secret)}).store.url == settings.store.url


def test_durations_are_a_number_and_a_unit(tmp_path: Path) -> None:
    assert read(tmp_path, "[retention]\nspans = '2w'").retention.spans == timedelta(days=14)


def test_entries_go_to_those_who_act_on_them(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """
        [[budget]]
        name = "daily"
        limit = { usd = 5.00 }
        [[price]]
        provider = "openai"
        model = "ft:gpt-4.1:acme::x"
        input = 3.0
        output = 12.0
        """,
    )
    assert settings.budgets
    assert settings.budgets[0].name == "daily"
    assert settings.prices[0].model == "ft:gpt-4.1:acme::x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sever]\nport = 1", ("outlay.toml", "sever", "did you mean server")),
        ("[server]\nprot = 1", ("outlay.toml", "server.prot", "1", "did you mean port")),
        ("[server]\nport = 'many'", ("outlay.toml", "server.port", "many", "integer")),
        ("[server]\nport = 70000", ("outlay.toml", "server.port", "70000", "65535")),
        ("[retention]\ncalls = 'forever'", ("outlay.toml", "retention.calls", "forever", "7d")),
        ("[store]\nurl = '${NOT_SET}'", ("outlay.toml", "store.url", "NOT_SET")),
        ("[store]\nurl_file = '/not/there'", ("outlay.toml", "store.url_file", "/not/there")),
        ("[server\nport = 1", ("outlay.toml", "line 1")),
        ("[[budget]]\nname = 'x'\nlimit = 5", ("outlay.toml", "budget[0].limit", "5")),
        ("[[price]]\nprovider = 'openai'\nmodel = 'm'\ninput = 'cheap'", ("outlay.toml", "price[0].input", "cheap")),
        ("rule = 5", ("outlay.toml", "rule", "[[rule]]")),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, said: tuple[str, ...]) -> None:
    message = complaint(tmp_path, text)
    assert [part for part in said if part not in message] == []


def test_a_bad_variable_is_named_as_the_environments(tmp_path: Path) -> None:
    message = complaint(tmp_path, "", OUTLAY_SERVER_PORT="many")
    assert "environment: OUTLAY_SERVER_PORT = 'many'" in message
