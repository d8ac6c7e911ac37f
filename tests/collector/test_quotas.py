"""What an API key may ask for: a minute's worth at once, then no more than flows in."""

from __future__ import annotations

import gzip

import httpx2
import orjson
import pytest
from outlay_collector.cli.keys import app as keys_command
from outlay_collector.quotas import Meter, Quota
from outlay_collector.security import Caller, Denial, Keys, Right, make_key
from outlay_collector.store.keys import add_key
from sqlalchemy import Engine
from typer.testing import CliRunner

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, PROTOBUF, Sent, body_of, chat


def made(engine: Engine, quota: Quota, right: Right = "ingest") -> str:
    key, row = make_key("test", right, NOW_NS, None, quota)
    with engine.begin() as connection:
        add_key(connection, row)
    return key


def test_a_minutes_requests_may_come_at_once_and_then_one_waits_its_turn() -> None:
    meter = Meter(Quota(requests_per_minute=30), 0.0)
    assert [meter.wait_s(0.0) for _ in range(30)] == [0.0] * 30
    assert meter.wait_s(0.0) == 2.0  # 30 a minute: one every two seconds
    assert meter.wait_s(1.5) == 0.5
    assert meter.wait_s(2.0) == 0.0
    assert meter.wait_s(2.0) == 2.0


def test_a_bucket_never_holds_more_than_its_minute() -> None:
    meter = Meter(Quota(requests_per_minute=2), 0.0)
    assert [meter.wait_s(3600.0) for _ in range(3)] == [0.0, 0.0, 30.0]


def test_bytes_are_counted_when_they_have_come_and_a_debt_is_waited_out() -> None:
    meter = Meter(Quota(bytes_per_minute=600), 0.0)
    assert meter.wait_s(0.0) == 0.0
    meter.used(1_200)  # 600 more than there were: at ten a second they take a minute, and one more for the next
    assert meter.wait_s(0.0) == pytest.approx(60.1)
    assert meter.wait_s(60.1) == 0.0


@BOTH_BACKENDS
async def test_a_key_that_has_used_its_minute_is_429_with_retry_after(
    engine: Engine, collector: httpx2.AsyncClient
) -> None:
    headers = {**PROTOBUF, "authorization": f"Bearer {made(engine, Quota(requests_per_minute=2))}"}
    other = {**PROTOBUF, "authorization": f"Bearer {made(engine, Quota(requests_per_minute=2))}"}
    answers = [await collector.post("/v1/traces", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 30
    assert answers[2].json()["error"]["code"] == "rate_limited"
    assert "2 requests a minute" in answers[2].json()["error"]["message"]
    assert (await collector.post("/v1/traces", headers=other)).status_code == 200


async def test_the_bytes_of_a_minute_are_counted_as_they_come(engine: Engine, collector: httpx2.AsyncClient) -> None:
    body = body_of(Sent(attributes=chat()))
    quota = Quota(bytes_per_minute=len(body) // 2)
    headers = {**PROTOBUF, "authorization": f"Bearer {made(engine, quota)}"}
    statuses = [(await collector.post("/v1/traces", content=body, headers=headers)).status_code for _ in range(2)]
    assert statuses == [200, 429]


async def test_a_request_above_its_keys_size_is_413_inflated_or_not(
    engine: Engine, collector: httpx2.AsyncClient
) -> None:
    headers = {**PROTOBUF, "authorization": f"Bearer {made(engine, Quota(body_bytes=100))}"}
    admin = {"authorization": f"Bearer {made(engine, Quota(body_bytes=100), 'admin')}"}
    packed = {**headers, "content-encoding": "gzip"}
    assert (await collector.post("/v1/traces", content=b"x" * 101, headers=headers)).status_code == 413
    assert (await collector.post("/v1/traces", content=gzip.compress(b"x" * 101), headers=packed)).status_code == 413
    assert (await collector.post("/api/v1/silences", content=b"x" * 101, headers=admin)).status_code == 413


def test_leases_of_budgets_do_not_wait_for_a_minute_that_is_used_up(engine: Engine) -> None:
    keys, key = Keys(engine, lambda: 0.0), made(engine, Quota(requests_per_minute=1))
    assert isinstance(keys.admit(key, "ingest"), Caller)
    assert isinstance(keys.admit(key, "ingest"), Denial)
    assert isinstance(keys.admit(key, "ingest", metered=False), Caller)


def test_a_quota_is_given_and_shown_on_the_command_line(database_url: str) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(keys_command, [*arguments, "--db", database_url], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    limits = ("--requests-per-minute", "600", "--bytes-per-minute", "5000000", "--body-bytes", "100000")
    given = {"requests_per_minute": 600, "bytes_per_minute": 5_000_000, "body_bytes": 100_000}
    assert orjson.loads(run("create", "app", *limits, "--json"))["quota"] == given
    assert orjson.loads(run("list", "--json"))["keys"][0]["quota"] == given
    assert CliRunner().invoke(keys_command, ["create", "x", "--body-bytes", "0", "--db", database_url]).exit_code == 2
