"""`[[report]]`: what is sent at the end of a period, once, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from outlay.errors import ConfigError
from outlay.prices import PriceBook
from outlay_alerts.config import read_channels
from outlay_collector.cli import CommandError
from outlay_collector.cli.reports import app as reports_command
from outlay_collector.demo.inbox import Inbox
from outlay_collector.ingest import read_batch
from outlay_collector.periods import rfc3339, to_ns
from outlay_collector.reporting import Reporting, letter, reporting
from outlay_collector.reports.schedule import read_reports
from outlay_collector.serving import Server
from outlay_collector.settings import Settings, read_settings
from outlay_collector.store.report_sends import SENDS
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine, select
from typer.testing import CliRunner

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, chat

NS = 10**9
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
NOBODY = "http://127.0.0.1:1/nobody"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, str]]:
    """Where reports arrive, and its address."""
    inbox = Inbox()
    with Server(inbox.app, log_level="critical") as server:
        yield inbox, f"{server.url}/alerts"


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """Two calls of acme's and one of an unknown model's last week, one the week before. Each priced one: $0.0035."""
    days = ((1, 10, "acme", "gpt-4o-2024-08-06"), (2, 11, "acme", "gpt-4o-2024-08-06"))
    unknown = ((3, 12, "zen", "zeta-9"), (4, 3, "acme", "gpt-4o-2024-08-06"))
    for trace, day, tenant, model in (*days, *unknown):
        sent = Sent(
            trace=trace,
            attributes=chat(**{"outlay.tenant": tenant, "gen_ai.response.model": model}),
            started_at_ns=to_ns(datetime(2026, 11, day, 9, tzinfo=UTC)),
        )
        SqlStore(engine).write(read_batch(body_of(sent), is_json=False, book=PriceBook.bundled()).reports, NOW_NS)
    return engine


def reporting_to(engine: Engine, *urls: str, at: datetime = NOW, **keys: Any) -> Reporting:
    reports = read_reports([{"name": "weekly", "every": "week", "by": ["tenant"], **keys}], "test")
    channels = read_channels([{"name": f"c{n}", "url": url} for n, url in enumerate(urls)], "test")
    return Reporting(SqlStore(engine), engine, reports, channels, lambda: to_ns(at))


def sends(engine: Engine) -> list[tuple[str, str, int]]:
    with engine.connect() as connection:
        found = connection.execute(select(SENDS).order_by(SENDS.c.starts_at_ns, SENDS.c.channel))
        return [(row.channel, row.status, row.attempts) for row in found]


@BOTH_BACKENDS
def test_a_period_is_sent_once_whoever_looks(filled: Engine, inbox: tuple[Inbox, str]) -> None:
    letters, url = inbox
    assert reporting_to(filled, url).run() == 1
    assert [reporting_to(filled, url).run() for _ in range(2)] == [0, 0]
    (text,) = letters.messages
    assert text.startswith("*[REPORT] weekly: $0.007 from 2026-11-09 to 2026-11-15 (UTC)*")
    assert "Spend: $0.007 for 3 calls" in text
    assert "The week before: $0.0035 (+100.0 %)" in text
    assert "Without a price, and so not in the spend: 1 calls" in text
    assert "$0.007  acme (2 calls)\nunknown  zen (1 call)" in text
    assert "outlay export --by tenant --interval none --from 2026-11-09T00:00:00+00:00" in text
    assert reporting_to(filled, url, at=NOW + timedelta(days=7)).run() == 1
    assert sends(filled) == [("c0", "delivered", 1), ("c0", "delivered", 1)]


@BOTH_BACKENDS
def test_a_channel_that_does_not_take_it_is_tried_again_by_itself(filled: Engine, inbox: tuple[Inbox, str]) -> None:
    letters, url = inbox
    assert reporting_to(filled, url, NOBODY).run() == 1
    assert sends(filled) == [("c0", "delivered", 1), ("c1", "pending", 1)]
    assert reporting_to(filled, url, NOBODY, at=NOW + timedelta(seconds=5)).run() == 0
    assert reporting_to(filled, url, NOBODY, at=NOW + timedelta(seconds=10)).run() == 0
    assert sends(filled)[1] == ("c1", "pending", 2)
    assert reporting_to(filled, url, NOBODY, at=NOW + timedelta(hours=25)).run() == 0
    assert sends(filled)[1] == ("c1", "failed", 3)
    assert len(letters.messages) == 1


@BOTH_BACKENDS
def test_what_a_dead_process_held_is_sent_by_another_later(filled: Engine, inbox: tuple[Inbox, str]) -> None:
    _, url = inbox
    reporting_to(filled, url).run()
    with filled.begin() as connection:
        held = to_ns(NOW + timedelta(minutes=1))
        connection.execute(SENDS.update().values(status="pending", at_ns=to_ns(NOW), held_until_at_ns=held))
    assert reporting_to(filled, url, at=NOW + timedelta(seconds=30)).run() == 0
    assert reporting_to(filled, url, at=NOW + timedelta(seconds=61)).run() == 1


def test_nothing_is_sent_of_a_time_before_the_first_call(filled: Engine, inbox: tuple[Inbox, str]) -> None:
    before = datetime(2026, 11, 2, tzinfo=UTC)
    assert reporting_to(filled, inbox[1], at=before).run() == 0
    assert sends(filled) == []


def test_a_period_is_sent_only_once_its_last_spans_had_time_to_come(filled: Engine, inbox: tuple[Inbox, str]) -> None:
    monday = datetime(2026, 11, 16, tzinfo=UTC)
    reporting_to(filled, inbox[1], at=monday + timedelta(minutes=4)).run()
    assert "from 2026-11-02 to 2026-11-08" in inbox[0].messages[0]
    reporting_to(filled, inbox[1], at=monday + timedelta(minutes=5)).run()
    assert "from 2026-11-09 to 2026-11-15" in inbox[0].messages[1]


@pytest.mark.parametrize(
    ("every", "zone", "at", "expected"),
    [
        ("day", "UTC", "2026-11-20T00:00:00Z", ("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z")),
        ("day", "Asia/Kathmandu", "2026-11-20T12:00:00Z", ("2026-11-18T18:15:00Z", "2026-11-19T18:15:00Z")),
        ("week", "Europe/Berlin", "2026-10-26T00:00:00Z", ("2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z")),
        ("month", "America/New_York", "2026-12-03T00:00:00Z", ("2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z")),
    ],
)
def test_periods_are_calendar_ones_of_the_time_zone(every: str, zone: str, at: str, expected: tuple[str, str]) -> None:
    (report,) = read_reports([{"name": "r", "every": every, "timezone": zone}], "test")
    at_ns = to_ns(datetime.fromisoformat(at))
    period = report.last_period(at_ns)
    assert tuple(map(rfc3339, period)) == expected
    assert report.last_period(report.next_end(at_ns)).starts_at_ns == period.ends_at_ns


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ('name = "r"\nevery = "year"', "report[0].every"),
        ('name = "r"\nevery = "day"\nby = ["tennant"]', "report[0].by[0]"),
        ('name = "r"\nevery = "day"\ntimezone = "Mars"', "report[0].timezone"),
        ('name = "r"\nevery = "day"\nchannels = ["finanse"]', "report[0].channels[0]"),
        ('name = "r"\nevery = "day"\nchannels = []', "report[0].channels"),
        ('name = "r"\nevery = "day"\nbye = []', "report[0].bye"),
    ],
)
def test_what_cannot_be_used_is_named(toml: str, named: str, tmp_path: Path) -> None:
    file = tmp_path / "outlay.toml"
    file.write_text(f'[[channel]]\nname = "finance"\nurl = "https://hooks.example.com/x"\n[[report]]\n{toml}\n')
    with pytest.raises(ConfigError) as raised:
        read_settings(file, {})
    assert named in str(raised.value)


def test_a_long_report_ends_with_what_it_leaves_out(engine: Engine) -> None:
    spans = [
        Sent(
            trace=n,
            attributes=chat(**{"outlay.tenant": f"t{n:02}"}),
            started_at_ns=to_ns(datetime(2026, 11, 10, tzinfo=UTC)),
        )
        for n in range(1, 31)
    ]
    SqlStore(engine).write(read_batch(body_of(*spans), is_json=False, book=PriceBook.bundled()).reports, NOW_NS)
    (report,) = read_reports([{"name": "weekly", "every": "week", "by": ["tenant"]}], "test")
    body = letter(SqlStore(engine), report, report.last_period(to_ns(NOW))).body
    assert "Spend: $0.105 for 30 calls" in body  # 30 x $0.0035
    assert "$0.0175  5 more (5 calls)" in body


def test_a_running_collector_sends_by_itself(filled: Engine, inbox: tuple[Inbox, str]) -> None:
    letters, url = inbox
    reports = read_reports([{"name": "daily", "every": "day"}], "test")
    settings = Settings(reports=reports, channels=read_channels([{"name": "c", "url": url}], "test"))
    with reporting(settings, SqlStore(filled), filled, lambda: NOW_NS):
        assert letters.wait_for("[REPORT] daily: $0 on 2026-11-19", 60)


def test_reports_are_listed_and_sent_from_the_command_line(
    filled: Engine, database_url: str, inbox: tuple[Inbox, str], tmp_path: Path
) -> None:
    letters, url = inbox
    file = tmp_path / "outlay.toml"
    file.write_text(
        f'[[channel]]\nname = "finance"\nurl = "{url}"\n[[report]]\nname = "weekly"\nevery = "week"\nby = ["tenant"]\n'
    )

    def run(*arguments: str) -> str:
        given = [*arguments, "--config", str(file), "--db", database_url]
        result = CliRunner().invoke(reports_command, given, catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    reporting_to(filled, NOBODY).run()
    (listed,) = orjson.loads(run("list", "--json"))["reports"]
    assert (listed["name"], listed["by"], listed["sends"][0]["status"]) == ("weekly", ["tenant"], "pending")
    assert "c0 pending" in run("list")
    assert "[REPORT] weekly" in run("send", "weekly", "--dry-run")
    assert letters.messages == []
    assert run("send", "weekly").strip() == "finance: delivered"
    assert len(letters.messages) == 1
    with pytest.raises(CommandError, match="configured: weekly"):
        run("send", "yearly")
