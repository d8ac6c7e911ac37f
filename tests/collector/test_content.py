"""Prompts and answers in the collector: stored as far as it is told to keep them, and let go of first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from outlay.content import ContentMode, ContentPolicy
from outlay_collector.app import create_app
from outlay_collector.retention import prune, would_prune
from outlay_collector.settings import ContentSection, Retention, Settings, Store
from outlay_collector.store.contents import CONTENTS
from outlay_collector.store.grains import DAY_NS
from sqlalchemy import Engine, func, select

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, chat, send

SAID = [{"role": "user", "parts": [{"type": "text", "content": "Write to jo.doe@example.com."}]}]
WITHOUT_MAIL = [{"role": "user", "parts": [{"type": "text", "content": "Write to [email]."}]}]
"""The same, redacted by hand."""


def with_content(mode: str = "full", scope: str = "outlay", **other: Any) -> Sent:
    said = ContentPolicy(ContentMode.FULL, 1_000, 1.0).released([], SAID, SAID)
    attributes = {
        **chat(),
        "outlay.content": mode,
        "gen_ai.input.messages": said.input,
        "gen_ai.output.messages": said.output,
    }
    return Sent(attributes={**attributes, **other}, scope=scope)


@pytest.fixture
def keep() -> str:
    return "redacted"


@pytest.fixture
def app(database_url: str, keep: Any) -> FastAPI:
    settings = Settings(store=Store(url=database_url), content=ContentSection(keep=keep))
    return create_app(settings, clock=lambda: NOW_NS)


async def stored(collector: httpx2.AsyncClient) -> Any:
    (call,) = (await collector.get("/api/v1/calls")).json()["calls"]
    return (await collector.get(f"/api/v1/calls/{call['id']}")).json()["content"]


@BOTH_BACKENDS
async def test_it_is_redacted_once_more_and_shown_with_its_call(collector: httpx2.AsyncClient) -> None:
    await send(collector, with_content())
    assert await stored(collector) == {
        "mode": "redacted",
        "system": [],
        "input": WITHOUT_MAIL,
        "output": WITHOUT_MAIL,
    }


@pytest.mark.parametrize("keep", ["full"])
async def test_a_collector_that_keeps_all_keeps_what_was_sent(collector: httpx2.AsyncClient) -> None:
    await send(collector, with_content("full"))
    assert (await stored(collector))["input"] == SAID


@pytest.mark.parametrize("keep", ["off"])
async def test_a_collector_that_keeps_none_stores_none(collector: httpx2.AsyncClient, engine: Engine) -> None:
    await send(collector, with_content())
    assert await stored(collector) is None
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(CONTENTS)) == 0


async def test_what_others_send_of_prompts_is_not_read(collector: httpx2.AsyncClient) -> None:
    await send(collector, with_content(scope="opentelemetry.instrumentation.openai"))
    assert await stored(collector) is None


@pytest.mark.parametrize("damaged", ["{", '"text"', "null", "[" * 2_000])
async def test_damaged_content_costs_no_call(collector: httpx2.AsyncClient, damaged: str) -> None:
    await send(collector, with_content(**{"gen_ai.input.messages": damaged}))
    found = await stored(collector)
    assert (found["input"], found["output"]) == ([], WITHOUT_MAIL)


async def test_sent_twice_it_is_stored_once(collector: httpx2.AsyncClient, engine: Engine) -> None:
    await send(collector, with_content())
    await send(collector, with_content())
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(CONTENTS)) == 1


@BOTH_BACKENDS
async def test_it_goes_before_its_call(collector: httpx2.AsyncClient, engine: Engine) -> None:
    await send(collector, with_content())
    retention = Retention(content=timedelta(days=7))
    before, after = NOW_NS + 6 * DAY_NS, NOW_NS + 8 * DAY_NS
    assert would_prune(engine, retention, before)["contents"] == 0
    assert would_prune(engine, retention, after)["contents"] == 1
    assert prune(engine, retention, after) == {"contents": 1}
    assert await stored(collector) is None
