"""What the dashboard says when the collector is away, refuses, or answers something else."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from outlay_dashboard.answers.usage import SpendRow
from outlay_dashboard.client import Client, CollectorError, NotFound, Refused, Unreachable

USAGE = {"from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z", "group_by": [], "rows": []}


class Server(ThreadingHTTPServer):
    """Answers every request with one answer, and keeps what was asked."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body = status, body
        self.asked: list[tuple[str, dict[str, list[str]], str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.asked.append((url.path, parse_qs(url.query), self.headers.get("authorization")))
        body = self.server.body.encode()
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal of the tests."""


@contextmanager
def answering(body: object, status: int = 200) -> Iterator[Server]:
    server = Server(status, body if isinstance(body, str) else json.dumps(body))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(url: str, api_key: str | None = None) -> None:
    Client(url, api_key).usage(from_at=datetime(2026, 11, 20, tzinfo=UTC))


def test_a_collector_that_is_away_is_named_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unreachable, match=f"No collector answers at {url}") as caught:
            ask(url)
    assert "outlay up" in caught.value.advice
    assert "--api" in caught.value.advice


@pytest.mark.parametrize("address", ["127.0.0.1:4318", "ftp://127.0.0.1", "http://[broken", ""])
def test_an_address_that_is_none_is_a_collector_that_is_away(address: str) -> None:
    with pytest.raises(Unreachable):
        ask(address)


@pytest.mark.usefixtures("dead_proxy")
def test_a_collector_on_this_machine_is_asked_without_a_proxy() -> None:
    with answering(USAGE) as server:
        ask(server.url)
    assert [path for path, *_ in server.asked] == ["/api/v1/usage"]


@pytest.mark.usefixtures("dead_proxy")
def test_a_proxy_is_asked_for_one_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(USAGE) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        ask("http://collector.test:4318")
    assert [path for path, *_ in proxy.asked] == ["/api/v1/usage"]


def test_a_refused_key_says_how_to_make_one() -> None:
    with (
        answering({"error": {"code": "unauthorized", "message": "an API key is needed"}}, 401) as server,
        pytest.raises(Refused, match="refused the API key: an API key is needed") as caught,
    ):
        ask(server.url)
    assert "OUTLAY_API_KEY" in caught.value.advice


def test_an_error_of_the_collector_is_told_in_its_own_words() -> None:
    with (
        answering({"error": {"code": "invalid", "message": "timezone = 'Mars': expected an IANA name"}}, 400) as server,
        pytest.raises(CollectorError, match="answered 400: timezone = 'Mars': expected an IANA name"),
    ):
        ask(server.url)


def test_a_call_that_is_gone_is_not_found() -> None:
    with (
        answering({"error": {"code": "not_found", "message": "no call 7"}}, 404) as server,
        pytest.raises(NotFound, match="no call 7"),
    ):
        Client(server.url, None).call("7")


@pytest.mark.parametrize("body", ["<html>a proxy</html>", "[]", '{"rows": []}', '{"group_by": [], "rows": [{}]}', "7"])
def test_an_answer_of_something_else_names_the_address_and_what_to_check(body: str) -> None:
    with answering(body) as server, pytest.raises(CollectorError, match=server.url) as caught:
        ask(server.url)
    assert "one version" in caught.value.advice


def test_the_key_travels_in_a_header_and_the_question_in_the_query() -> None:
    with answering(USAGE) as server:
        Client(server.url + "/", "secret").usage(
            from_at=datetime(2026, 11, 20, tzinfo=UTC),
            interval="hour",
            group_by=("model", "feature"),
            filters={"provider": ("openai", "anthropic")},
        )
    path, query, authorization = server.asked[0]
    assert path == "/api/v1/usage"
    assert authorization == "Bearer secret"
    assert query == {
        "from": ["2026-11-20T00:00:00+00:00"],
        "interval": ["hour"],
        "group_by": ["model,feature"],
        "provider": ["openai", "anthropic"],
    }


def test_amounts_are_read_to_the_last_digit_and_unknown_stays_unknown() -> None:
    amounts = {"cost_usd": "12345678.000000001", "avoided_usd": None}
    counts = dict.fromkeys(
        ("calls", "errors", "rate_limited", "retries", "input_tokens", "output_tokens", "cache_read_tokens",
         "cache_write_tokens", "unpriced_calls"), 1,
    )  # fmt: skip
    measured = {"p50": 1.5, "p95": None, "p99": None}
    times = {"latency_ms": measured, "ttft_ms": measured}
    row = {"bucket": "2026-11-20T00:00:00+01:00", "model": None, **amounts, **counts, **times}
    with answering({**USAGE, "group_by": ["model"], "rows": [row]}) as server:
        (read,) = Client(server.url, None).usage(from_at=datetime(2026, 11, 20, tzinfo=UTC), group_by=("model",))
    assert read.cost_usd == Decimal("12345678.000000001")
    assert read.avoided_usd is None
    assert read.group == (None,)
    assert read.bucket_at == datetime(2026, 11, 19, 23, tzinfo=UTC)


def test_who_wants_spend_asks_for_no_more() -> None:
    row = {"bucket": None, "calls": 3, "cost_usd": "0.25", "unpriced_calls": 1}
    with answering({**USAGE, "rows": [row]}) as server:
        (read,) = Client(server.url, None).spend(from_at=datetime(2026, 11, 20, tzinfo=UTC))
    assert server.asked[0][1]["measures"] == ["calls,cost_usd,unpriced_calls"]
    assert read == SpendRow(bucket_at=None, group=(), calls=3, cost_usd=Decimal("0.25"), unpriced_calls=1)
