"""Asking the collector for a lease stands in the way of a call: what a bad answer costs, and who hears of the key."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from outlay.budgets.lease import LeaseRequest
from outlay.budgets.remote import Remote, Unreachable
from outlay_collector.serving import Server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.instrumentation.slow_collector import slow_collector

REQUEST = LeaseRequest(holder="h1", asks=[])


@contextmanager
def answering(answer: Response) -> Iterator[tuple[str, list[str | None]]]:
    """The address of one that answers so, and the keys it was shown."""
    keys: list[str | None] = []

    async def take(request: Request) -> Response:
        keys.append(request.headers.get("authorization"))
        return answer

    app = Starlette(routes=[Route("/{path:path}", take, methods=["GET", "POST"])])
    with Server(app, log_level="critical") as server:
        yield server.url, keys


def test_an_answer_in_drops_is_waited_for_as_long_as_any_other() -> None:
    with answering(JSONResponse({"budgets": []})) as (url, _), slow_collector(url) as slow:
        slow.drops = True
        began = time.monotonic()
        with pytest.raises(Unreachable, match="timed out"):
            Remote(slow.url, None).lease(REQUEST, 0.3)
        assert time.monotonic() - began < 60  # the answer takes more than three minutes


def test_a_key_is_not_carried_to_where_an_answer_points() -> None:
    with answering(JSONResponse({})) as (elsewhere, keys), answering(RedirectResponse(elsewhere, 302)) as (url, shown):
        with pytest.raises(Unreachable, match="answered 302"):
            Remote(url, "ok_secret").lease(REQUEST, 5)
        assert (shown, keys) == (["Bearer ok_secret"], [])


def test_a_collector_on_this_machine_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(JSONResponse({}, 404)) as (url, _), answering(JSONResponse({}, 418)) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        with pytest.raises(Unreachable, match="answered 404") as raised:
            Remote(url, None).lease(REQUEST, 5)
        assert (raised.value.absent, asked) == (True, [])
