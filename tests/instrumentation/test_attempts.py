"""A call and its attempts: retries are part of it, and so is what went wrong on the way."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from typing import Any, Final

import anthropic
import openai
import pytest

from tests.conftest import Provider
from tests.instrumentation.doubles import Receiver, transport_of

HTTP: Final = transport_of(openai)
QUESTION = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]


def test_two_rate_limited_attempts_and_an_answer_are_one_call(fake_provider: Provider, instrumented: Receiver) -> None:
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai, max_retries=3) as client:
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION, extra_headers={"x-fault": "429x2"})
    call = instrumented.only_call()
    attempts = json.loads(call["outlay.attempts"])
    assert [attempt["status"] for attempt in attempts] == [429, 429, 200]
    assert [attempt.get("retry_after_s") for attempt in attempts] == [0.02, 0.02, None]
    assert all(attempt["ms"] > 0 for attempt in attempts)
    assert call["http.request.resend_count"] == 2
    assert call["http.response.status_code"] == 200
    assert "error.type" not in call
    assert call["outlay.cost.status"] == "exact"


async def test_concurrent_calls_keep_their_attempts_apart(fake_provider: Provider, instrumented: Receiver) -> None:
    import asyncio

    async with anthropic.AsyncAnthropic(api_key="none", base_url=fake_provider.anthropic, max_retries=3) as client:
        await asyncio.gather(
            *(
                client.messages.create(
                    model="claude-sonnet-4-6", max_tokens=50, messages=QUESTION, extra_headers={"x-fault": fault}
                )
                for fault in ("429x1", "429x2", "429x3", "slow=0")
            )
        )
    retried = sorted(call.get("http.request.resend_count", 0) for call in instrumented.calls())
    assert retried == [0, 1, 2, 3]


def test_the_last_answer_tells_request_id_and_headroom(fake_provider: Provider, instrumented: Receiver) -> None:
    with anthropic.Anthropic(api_key="none", base_url=fake_provider.anthropic) as client:
        message = client.messages.create(model="claude-sonnet-4-6", max_tokens=50, messages=QUESTION)
    call = instrumented.only_call()
    assert call["outlay.request.id"] == message._request_id
    assert call["outlay.ratelimit.requests.limit"] > call["outlay.ratelimit.requests.remaining"] > 0
    assert 0 <= call["outlay.ratelimit.requests.reset_s"] <= 60  # until the end of the minute
    assert call["outlay.ratelimit.tokens.limit"] > 0


def test_a_provider_that_cannot_be_reached_costs_nothing(instrumented: Receiver) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with (
            openai.OpenAI(api_key="none", base_url=url, max_retries=0) as client,
            pytest.raises(openai.APIConnectionError),
        ):
            client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
    call = instrumented.only_call()
    assert call["error.type"] == "APIConnectionError"
    assert call["outlay.cost.nano_usd"] == 0
    assert call["outlay.cost.reason"] == "no request reached the provider"
    assert json.loads(call["outlay.attempts"])[0]["error"] == "ConnectError"


def test_a_call_that_timed_out_may_have_been_billed(instrumented: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            openai.OpenAI(api_key="none", base_url=url, max_retries=0, timeout=0.1) as client,
            pytest.raises(openai.APITimeoutError),
        ):
            client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
    call = instrumented.only_call()
    assert call["error.type"] == "APITimeoutError"
    assert call["outlay.cost.status"] == "unpriced"
    assert "outlay.cost.nano_usd" not in call


def test_one_attempt_without_an_answer_makes_a_refused_call_unpriced(instrumented: Receiver) -> None:
    outcomes = iter([None, HTTP.Response(429, headers={"retry-after-ms": "1"}, json={})])

    def lose_the_first(request: Any) -> Any:
        answer = next(outcomes)
        if answer is None:
            raise HTTP.ReadTimeout("no answer in time")
        return answer

    with HTTP.Client(transport=HTTP.MockTransport(lose_the_first)) as http:
        client = openai.OpenAI(api_key="none", http_client=http, max_retries=1)
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
    call = instrumented.only_call()
    assert [attempt["status"] for attempt in json.loads(call["outlay.attempts"])] == [None, 429]
    assert call["outlay.cost.status"] == "unpriced"


def test_an_exception_leaves_as_the_object_it_was(instrumented: Receiver) -> None:
    trouble = RuntimeError("the transport of the application is out of order")

    def out_of_order(request: Any) -> Any:
        raise trouble

    transport = HTTP.MockTransport(out_of_order)
    with HTTP.Client(transport=transport) as http:
        client = openai.OpenAI(api_key="none", http_client=http, max_retries=0)
        with pytest.raises((RuntimeError, openai.APIConnectionError)) as raised:
            client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
    if openai.__version__ < "3":  # which made an error of its own of every other
        assert raised.value.__cause__ is trouble
    else:
        assert raised.value is trouble
        assert raised.value.__context__ is None
    assert instrumented.only_call()["error.type"] == type(raised.value).__name__


def test_an_answer_that_is_no_json_is_unpriced_and_says_so(instrumented: Receiver) -> None:
    transport = HTTP.MockTransport(lambda request: HTTP.Response(200, text="<html>maintenance</html>"))
    with HTTP.Client(transport=transport) as http:
        client = openai.OpenAI(api_key="none", http_client=http)
        assert client.post("/chat/completions", cast_to=str, body={"model": "gpt-4.1", "messages": QUESTION})
    call = instrumented.only_call()
    assert call["outlay.cost.status"] == "unpriced"
    assert call["outlay.cost.reason"]


def test_a_response_can_still_be_pickled(fake_provider: Provider, instrumented: Receiver) -> None:
    import pickle

    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        raw = client.chat.completions.with_raw_response.create(model="gpt-4.1", messages=QUESTION)
        copied = pickle.loads(pickle.dumps(raw.http_response))
    assert copied.content == raw.http_response.content


async def test_a_task_that_began_while_a_call_was_sent_makes_calls_of_its_own(
    fake_provider: Provider, instrumented: Receiver
) -> None:
    """As one does that an HTTP client's hook starts, and that outlives the call."""
    later: list[asyncio.Task[None]] = []
    is_over = asyncio.Event()

    async def ask_later() -> None:
        await is_over.wait()
        await client.chat.completions.create(model="gpt-4.1", messages=QUESTION)

    async def hook(_request: Any) -> None:
        if not later:
            later.append(asyncio.create_task(ask_later()))

    async with HTTP.AsyncClient(event_hooks={"request": [hook]}) as http:
        client = openai.AsyncOpenAI(api_key="none", base_url=fake_provider.openai, http_client=http)
        await client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
        is_over.set()
        await later[0]
    assert len(instrumented.calls()) == 2


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_call_whose_loop_went_away_while_it_waited_is_ended_by_the_garbage_collector(
    instrumented: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask() -> None:
        asked = asyncio.Event()

        async def never(_request: Any) -> Any:
            asked.set()
            await asyncio.get_running_loop().create_future()

        client = openai.AsyncOpenAI(api_key="none", http_client=HTTP.AsyncClient(transport=HTTP.MockTransport(never)))
        call = client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
        waiting = asyncio.ensure_future(call)
        await asked.wait()
        assert not waiting.done()  # and from here on nobody has it

    loop = asyncio.new_event_loop()
    loop.run_until_complete(ask())
    loop.close()
    gc.collect()
    call = instrumented.only_call()
    assert call["error.type"] == "GeneratorExit"
    assert call["outlay.cost.status"] == "unpriced"
    assert "detach" not in caplog.text
