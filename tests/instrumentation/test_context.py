"""Attribution follows the code that spends: through blocks, functions, generators, tasks and threads."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import outlay
import pytest
from outlay.context import current

from tests.conftest import Provider
from tests.instrumentation.doubles import Receiver

QUESTION: Any = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]


def feature() -> str | None:
    return current().feature


def test_a_call_carries_what_its_block_says(fake_provider: Provider, instrumented: Receiver) -> None:
    with (
        openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client,
        outlay.context(feature="chat", user="u42", tenant="acme", session="s1", tags={"tier": "free"}),
    ):
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
    call = instrumented.only_call()
    said = {name: call[f"outlay.{name}"] for name in ("feature", "tenant", "tag.tier")}
    assert said == {"feature": "chat", "tenant": "acme", "tag.tier": "free"}
    assert (call["user.id"], call["session.id"]) == ("u42", "s1")
    (span,) = instrumented.spans
    assert span.resource["service.name"] == "shop"
    assert span.resource["deployment.environment.name"] == "test"


def test_inner_blocks_win_field_by_field_and_tags_are_merged() -> None:
    with outlay.context(feature="chat", user="u1", tags={"a": "1", "b": "1"}):
        with outlay.context(feature="search", tags={"b": "2"}):
            inner = current()
        assert (inner.feature, inner.user, dict(inner.tags)) == ("search", "u1", {"a": "1", "b": "2"})
        assert (feature(), dict(current().tags)) == ("chat", {"a": "1", "b": "1"})
    assert feature() is None


def test_what_a_request_says_of_its_user_counts_where_nothing_else_does(
    fake_provider: Provider, instrumented: Receiver
) -> None:
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION, user="from-request")
        with outlay.context(user="from-context"):
            client.chat.completions.create(model="gpt-4.1", messages=QUESTION, user="from-request")
    assert [call["user.id"] for call in instrumented.calls()] == ["from-request", "from-context"]


def test_the_metadata_of_a_request_are_its_tags_where_the_application_set_none_of_that_name(
    fake_provider: Provider, instrumented: Receiver
) -> None:
    said = {"user_id": "u1", "session_id": "s1", "feature": "chat", "tenant": "acme", "tier": "free", "note": "x" * 129}
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        with outlay.context(feature="search", tags={"tier": "paid", "team": "a"}):
            client.chat.completions.create(model="gpt-4.1", messages=QUESTION, metadata=said)
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION, metadata=said)
    told, untold = instrumented.calls()
    assert (told["outlay.feature"], told["outlay.tag.tier"], told["outlay.tag.team"]) == ("search", "paid", "a")
    assert (told["user.id"], told["session.id"], told["outlay.tenant"]) == ("u1", "s1", "acme")
    assert (untold["outlay.feature"], untold["outlay.tag.tier"]) == ("chat", "free")
    assert not {"outlay.tag.note", "outlay.tag.user_id", "outlay.tag.feature"} & untold.keys()


def test_values_that_are_no_text_become_text() -> None:
    with outlay.context(user=42, tags={"n": 1}):  # type: ignore[arg-type, dict-item]  # what people do
        assert (current().user, dict(current().tags)) == ("42", {"n": "1"})


def test_a_decorated_function_runs_inside_and_keeps_its_name() -> None:
    @outlay.context(feature="summarise")
    def summarise(text: str) -> tuple[str, str | None]:
        return text, feature()

    assert summarise("x") == ("x", "summarise")
    assert summarise.__name__ == "summarise"
    assert feature() is None


async def test_a_decorated_coroutine_function_runs_inside() -> None:
    @outlay.context(feature="summarise")
    async def summarise() -> str | None:
        await asyncio.sleep(0)
        return feature()

    assert await asyncio.gather(summarise(), summarise()) == ["summarise", "summarise"]
    assert feature() is None


def test_a_decorated_generator_runs_inside_and_its_consumer_does_not() -> None:
    closed_inside = []

    @outlay.context(feature="stream")
    def stream() -> Iterator[str | None]:
        try:
            got = yield feature()
            yield got
            yield feature()
        finally:
            closed_inside.append(feature())

    generator: Any = stream()
    assert (next(generator), feature()) == ("stream", None)
    assert (generator.send("sent"), feature()) == ("sent", None)
    generator.close()
    assert (closed_inside, feature()) == (["stream"], None)


def test_what_is_thrown_into_a_decorated_generator_arrives_there() -> None:
    @outlay.context(feature="stream")
    def stream() -> Iterator[str]:
        try:
            yield "first"
        except LookupError:
            yield f"caught in {feature()}"

    generator: Any = stream()
    next(generator)
    assert generator.throw(LookupError()) == "caught in stream"


async def test_a_decorated_async_generator_runs_inside_and_its_consumer_does_not() -> None:
    @outlay.context(feature="stream")
    async def stream() -> AsyncIterator[str | None]:
        yield feature()
        await asyncio.sleep(0)
        yield feature()

    async for seen in stream():
        assert (seen, feature()) == ("stream", None)


async def test_tasks_inherit_and_do_not_leak() -> None:
    async def task(name: str) -> str | None:
        with outlay.context(feature=name):
            await asyncio.sleep(0)
            return feature()

    with outlay.context(feature="outer", user="u1"):
        assert await asyncio.gather(*(task(f"f{n}") for n in range(10))) == [f"f{n}" for n in range(10)]
        assert await asyncio.create_task(asyncio.to_thread(feature)) == "outer"
        assert feature() == "outer"


def test_an_executors_threads_have_to_be_given_the_context() -> None:
    with ThreadPoolExecutor(1) as pool, outlay.context(feature="batch"):
        assert pool.submit(feature).result() is None
        assert pool.submit(contextvars.copy_context().run, feature).result() == "batch"


def test_an_exception_passes_through_a_block() -> None:
    trouble = ValueError("no")
    with pytest.raises(ValueError, match="no") as raised, outlay.context(feature="chat"):
        raise trouble
    assert raised.value is trouble
    assert feature() is None


async def test_tasks_that_share_one_block_enter_and_leave_it_by_turns() -> None:
    shared, is_in, may_leave = outlay.context(feature="shared"), asyncio.Event(), asyncio.Event()

    async def first() -> list[str | None]:
        with outlay.context(feature="first"):
            with shared:
                is_in.set()
                await may_leave.wait()
                inside = feature()
            return [inside, feature()]

    async def second() -> list[str | None]:
        await is_in.wait()
        with outlay.context(feature="second"), shared:
            may_leave.set()
            while not one.done():
                await asyncio.sleep(0)
            inside = feature()
        return [inside, feature()]

    one = asyncio.create_task(first())
    assert await asyncio.gather(one, second()) == [["shared", "first"], ["shared", None]]


def test_threads_that_share_one_block_leave_nothing_behind() -> None:
    """The first leaves it while the second is inside."""
    shared, entered, may_leave = outlay.context(feature="shared"), threading.Event(), threading.Event()

    def second() -> list[str | None]:
        with shared:
            entered.set()
            may_leave.wait(60)
            inside = feature()
        return [inside, feature()]

    with ThreadPoolExecutor(1) as pool:
        with shared:
            other = pool.submit(second)
            assert entered.wait(60)
        mine = feature()
        may_leave.set()
        assert (mine, other.result()) == (None, ["shared", None])


def test_a_block_inside_itself_is_left_as_often_as_it_was_entered() -> None:
    block = outlay.context(feature="block")
    with block:
        with outlay.context(feature="inner"):
            with block:
                assert feature() == "block"
            assert feature() == "inner"
        assert feature() == "block"
    assert feature() is None
