"""`outlay alerts`, run as people run it, on a database a collector has written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from outlay.errors import OutlayError
from outlay_collector.app import create_app
from outlay_collector.cli import app
from outlay_collector.serving import Server
from outlay_collector.settings import Alerts, Settings, Store
from typer.testing import CliRunner

from tests.alerts.conftest import Mailbox, Webhook
from tests.collector.sending import PROTOBUF, Sent, body_of, chat

RULE = '[[rule]]\nname = "errors"\nkind = "error_rate"\nwindow = "1h"\nfor = "0s"\ngroup_by = ["provider"]\n'


def run(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["alerts", *arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.output


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Ten calls that failed a quarter of an hour ago."""
    url = f"sqlite:///{tmp_path}/outlay.db"
    at = datetime.now(UTC) - timedelta(minutes=15)
    spans = [
        Sent(span=n, trace=n, attributes=chat(), failed=True, started_at_ns=int(at.timestamp() * 1e9))
        for n in range(1, 11)
    ]
    quiet = Settings(store=Store(url=url), alerts=Alerts(enabled=False))
    with Server(create_app(quiet)) as server, httpx2.Client(base_url=server.url, timeout=60) as client:
        assert client.post("/v1/traces", content=body_of(*spans), headers=PROTOBUF).status_code == 200
    return url


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "outlay.toml"
    file.write_text(RULE)
    return file


def test_check_looks_at_every_rule_and_leaves_no_trace(database: str, config: Path) -> None:
    (alert,) = run_json("check", "--config", str(config), "--db", database)["alerts"]
    assert (alert["state"], alert["value"], alert["group"]) == ("firing", "1", {"provider": "openai"})
    assert "error rate 100% over 5%" in run("check", "--config", str(config), "--db", database)
    assert run_json("list", "--db", database) == {"alerts": []}
    assert "No rule has been looked at yet" in run("list", "--db", database)


def test_check_names_what_is_wrong_with_the_configuration(database: str, config: Path) -> None:
    config.write_text(RULE + "abov = 0.1\n")
    with pytest.raises(OutlayError, match=r"outlay.toml: rule\[0\].abov = 0.1: .*did you mean above\?"):
        run("check", "--config", str(config), "--db", database)


def test_check_makes_no_database(tmp_path: Path, config: Path) -> None:
    with pytest.raises(OutlayError, match=r"the configuration is right; .* is not there yet"):
        run("check", "--config", str(config), "--db", f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()


def test_check_tries_the_rules_on_a_timeline(tmp_path: Path, config: Path) -> None:
    file = tmp_path / "rules-test.toml"
    file.write_text(
        '[[timeline]]\nname = "t"\ncalls = [{ to = "9m", per_minute = 30, errors = 1, labels = { provider = "x" } }]\n'
        'expect = [{ at = "3m", rule = "errors", group = { provider = "x" }, state = "firing" }]\n'
    )
    assert run("check", "--timeline", str(file), "--config", str(config)) == "1 timelines, 0 expectations not met\n"
    file.write_text(file.read_text().replace("firing", "pending"))
    found = CliRunner().invoke(app, ["alerts", "check", "--timeline", str(file), "--config", str(config)])
    assert found.exit_code == 1
    assert "t: at 3 min errors provider=x: expected pending, found firing: error rate 100% over 5%" in found.output


def test_backtest_says_what_would_have_fired(database: str, config: Path) -> None:
    found = run_json("backtest", "--since", "2h", "--every", "5m", "--config", str(config), "--db", database)
    (transition,) = found["transitions"]
    assert (transition["rule"], transition["to"]) == ("errors", "firing")
    fired = datetime.fromisoformat(transition["at"])
    assert timedelta(minutes=9) < datetime.now(UTC) - fired < timedelta(minutes=16)
    assert "1 rules looked at 25 times" in run(
        "backtest", "--since", "2h", "--every", "5m", "--config", str(config), "--db", database
    )


@pytest.mark.parametrize("every", ["0s", "1ms", "3h", "often"])
def test_a_backtest_of_no_or_too_many_looks_is_refused(database: str, config: Path, every: str) -> None:
    with pytest.raises(OutlayError, match="--every"):
        run("backtest", "--since", "2h", "--every", every, "--config", str(config), "--db", database)


def test_test_sends_to_every_channel_or_the_one_named(config: Path, webhook: Webhook, mailbox: Mailbox) -> None:
    config.write_text(
        f'[[channel]]\nname = "chat"\nurl = "{webhook.url}"\n[[channel]]\nname = "mail"\nurl = "{mailbox.url}"\n'
    )
    assert run("test", "--config", str(config)).split() == ["chat:", "delivered", "mail:", "delivered"]
    assert run("test", "chat", "--config", str(config)) == "chat: delivered\n"
    assert webhook.texts[0].startswith("*[TEST] chat*\n")
    assert (len(webhook.posted), len(mailbox.mails)) == (2, 1)


def test_test_says_why_a_channel_did_not_take_it(config: Path, webhook: Webhook) -> None:
    config.write_text(f'[[channel]]\nname = "chat"\nurl = "{webhook.url}"\n')
    webhook.answers = [403]
    with pytest.raises(OutlayError, match="chat: the webhook answered 403") as raised:
        run("test", "--config", str(config))
    assert "s3cret" not in str(raised.value)
    with pytest.raises(OutlayError, match="there is no channel 'chta'; configured: chat"):
        run("test", "chta", "--config", str(config))


def test_a_silence_is_made_shown_and_ended(database: str) -> None:
    (made,) = run_json("silence", "rule=errors", "provider=openai", "--for", "2h", "--db", database)["silences"]
    assert made["match"] == {"rule": "errors", "provider": "openai"}
    assert "rule=errors, provider=openai" in run("silence", "--db", database)
    assert "has ended" in run("silence", "--end", str(made["id"]), "--db", database)
    assert "Nothing is silenced" in run("silence", "--db", database)
    with pytest.raises(OutlayError, match="rul"):
        run("silence", "rul=errors", "--db", database)
    with pytest.raises(OutlayError, match="'errors': expected a name and its value"):
        run("silence", "errors", "--db", database)
    with pytest.raises(OutlayError, match="'provider=google': expected each name once"):
        run("silence", "provider=openai", "provider=google", "--db", database)


def test_list_and_history_show_what_a_collector_found(tmp_path: Path, database: str, config: Path) -> None:
    from outlay_collector.alerting import Alerting
    from outlay_collector.settings import read_settings
    from outlay_collector.store.engine import open_engine
    from outlay_collector.store.sql import SqlStore

    engine = open_engine(database)
    now_ns = int(datetime.now(UTC).timestamp() * 1e6) * 1_000
    Alerting(SqlStore(engine), engine, read_settings(config).rules, (), lambda: now_ns).look()
    engine.dispose()
    assert "firing" in run("list", "--db", database)
    (transition,) = run_json("list", "--history", "--db", database)["transitions"]
    assert (transition["from"], transition["to"]) == ("inactive", "firing")
    assert "inactive -> firing" in run("list", "--history", "--db", database)
