"""Rows as the API gives them, and a real collector with calls in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
import streamlit as st
from outlay_collector.app import create_app
from outlay_collector.serving import Server
from outlay_collector.settings import Settings, Store
from outlay_dashboard.answers.usage import UsageRow, read_usage

from tests.collector.sending import chat

RowMaker = Callable[..., UsageRow]
DAY_NS = 86_400 * 10**9
MINUTES_NS = 300 * 10**9


@pytest.fixture
def usage_row() -> RowMaker:
    """`usage_row(bucket="...Z", model="a", cost_usd="0.5", ...)`: what is not said is a call without tokens."""

    def make(**said: Any) -> UsageRow:
        dimensions = [name for name in ("model", "feature", "user") if name in said]
        counts = dict.fromkeys(
            ("errors", "rate_limited", "retries", "input_tokens", "output_tokens", "cache_read_tokens",
             "cache_write_tokens", "reasoning_tokens", "unpriced_calls"), 0,
        )  # fmt: skip
        unmeasured = {"p50": None, "p95": None, "p99": None}
        row = {"bucket": None, "calls": 1, "cost_usd": None, "avoided_usd": None, "latency_ms": unmeasured}
        answer = {
            "from": "2026-11-20T00:00:00Z",
            "to": "2026-11-21T00:00:00Z",
            "group_by": dimensions,
            "rows": [row | {"ttft_ms": unmeasured} | counts | said],
        }
        return read_usage(answer)[0]

    return make


class Collector:
    """A collector that is being served. `report` gives it a call as OTLP/JSON, in the GenAI conventions."""

    def __init__(self, url: str, now_ns: int) -> None:
        self.url = url
        self._now_ns = now_ns
        self._spans = count(1)

    def report(self, *, seconds_ago: float = 1, failed: bool = False, **attributes: Any) -> None:
        """A chat with gpt-4o: 1,000 tokens in, 100 out, in 1.25 s; `__` in a name stands for a dot."""
        ended_at_ns = self._now_ns - int(seconds_ago * 1e9)
        said = chat(**{name.replace("__", "."): value for name, value in attributes.items()})
        number = next(self._spans)
        span = {
            "traceId": f"{number:032x}",
            "spanId": f"{number:016x}",
            "name": "chat",
            "kind": 3,
            "startTimeUnixNano": str(ended_at_ns - 1_250_000_000),
            "endTimeUnixNano": str(ended_at_ns),
            "attributes": [{"key": name, "value": _any_value(value)} for name, value in said.items()],
            "status": {"code": 2} if failed else {},
        }
        scope = {"scope": {"name": "opentelemetry.instrumentation.openai_v2"}, "spans": [span]}
        answer = httpx2.post(f"{self.url}/v1/traces", json={"resourceSpans": [{"scopeSpans": [scope]}]}, timeout=60)
        assert answer.is_success, answer.text

    def get(self, path: str, **params: str) -> Any:
        return httpx2.get(f"{self.url}{path}", params=params, timeout=60).raise_for_status().json()


def _any_value(value: str | int) -> Mapping[str, str]:
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


@pytest.fixture
def collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector without a call, and the dashboard of this process looking at it."""
    now_ns = well_into_a_day()
    settings = Settings(store=Store(url=f"sqlite:///{tmp_path}/outlay.db"))
    with Server(create_app(settings, clock=lambda: now_ns), log_level="critical") as server:
        monkeypatch.setenv("OUTLAY_ENDPOINT", server.url)
        forget()
        yield Collector(server.url, now_ns)
    forget()


def well_into_a_day() -> int:
    """Now, or shortly before a midnight of UTC that has just passed: pages tell of today and of this month, by the
    clock of their collector, and that stands still."""
    now_ns = time.time_ns()
    since_ns = now_ns % DAY_NS
    return now_ns if since_ns > MINUTES_NS else now_ns - since_ns - 1


def forget() -> None:
    """Empties the caches of the dashboard: the collector, the answers and the colours of the test before."""
    st.cache_data.clear()
    st.cache_resource.clear()
