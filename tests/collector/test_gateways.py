"""One answer told of under two providers' names, as gateways are: one bill, by who knows whose call it was.

A chat is 1000 tokens in and 100 out. At $2.50 and $10 a million that is $0.0035; Claude Sonnet 4.5, at $3 and $15,
$0.0045; Llama 3.3 on Groq, at $0.59 and $0.79, $0.000669.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import httpx2
import pytest
from outlay.prices import PriceBook
from outlay_collector.repricing import Asked, reprice
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.verifying import verify
from sqlalchemy import Engine

from tests.collector.echoing import ANOTHER_SDK, CLAUDE, GEN, SDK, UUID, at, bills, in_two_traces, told
from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, chat, send, stored

pytestmark = BOTH_BACKENDS

LLAMA = {"gen_ai.request.model": "llama-3.3-70b-versatile", "gen_ai.response.model": "llama-3.3-70b-versatile"}
ITS_OWN = {"gen_ai.request.model": "claude-sonnet-4-5", "gen_ai.response.model": "claude-sonnet-4-5"}
OURS = {"outlay.usage": '{"input":1000,"output":100}', "outlay.cost.status": "exact"}


def uncounted(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if "usage" not in name}


async def send_twice(collector: httpx2.AsyncClient, spans: list[Sent], reverse: bool) -> None:
    for span in reversed(spans) if reverse else spans:
        for _ in range(2):
            await send(collector, span)


PAIRS: dict[str, tuple[list[Sent], str, str]] = {
    "OpenRouter by OpenAI's SDK and LiteLLM": (
        in_two_traces(told("openai", GEN, **CLAUDE), told("openrouter", GEN, **CLAUDE)),
        "openrouter",
        "0.0045",
    ),
    "OpenRouter by Outlay and LiteLLM": (
        in_two_traces(
            told("openrouter", GEN, **CLAUDE, **OURS, **{"outlay.cost.nano_usd": 4_500_000}),
            told("anthropic", GEN, **ITS_OWN),
            ("outlay", "litellm"),
        ),
        "openrouter",
        "0.0045",
    ),
    "neither says OpenRouter": (
        in_two_traces(told("openai", GEN, **CLAUDE), told("anthropic", GEN, **ITS_OWN)),
        "anthropic",
        "0.0045",
    ),
    "what the gateway charged": (
        in_two_traces(
            told("groq", GEN, **LLAMA),
            told(
                "openrouter",
                GEN,
                **CLAUDE,
                **{"gen_ai.usage.cost.amount": 0.25, "gen_ai.usage.cost.source": "provider"},
            ),
        ),
        "openrouter",
        "0.25",
    ),
    "Groq": (in_two_traces(told("openai", UUID, **LLAMA), told("groq", UUID, **LLAMA)), "groq", "0.000669"),
    "Azure": (in_two_traces(told("openai", UUID), told("azure", UUID)), "azure", "0.0035"),
    "the host that was asked": (
        in_two_traces(
            told("anthropic", UUID, **ITS_OWN, **{"server.address": "api.anthropic.com"}), told("groq", UUID, **LLAMA)
        ),
        "anthropic",
        "0.0045",
    ),
    "a name nobody knows": (
        in_two_traces(told("openai", UUID), told("our-own-proxy", UUID)),
        "openai",
        "0.0035",
    ),
}


@pytest.mark.parametrize("case", PAIRS.values(), ids=PAIRS.keys())
@pytest.mark.parametrize("reverse", [False, True])
async def test_an_answer_under_two_names_is_billed_once_by_who_knows_best(
    collector: httpx2.AsyncClient, engine: Engine, case: tuple[list[Sent], str, str], reverse: bool
) -> None:
    spans, provider, cost = case
    await send_twice(collector, spans, reverse)
    (call,) = await stored(collector)
    assert (call["provider"], call["cost_usd"], len(call["reports"])) == (provider, cost, 2)
    assert (call["input_tokens"], call["output_tokens"]) == (1000, 100)
    sum_up_all(engine, NOW_NS)
    assert verify(engine) == []


@pytest.mark.parametrize("case", PAIRS.values(), ids=PAIRS.keys())
async def test_its_price_is_the_one_it_is_given_again(
    collector: httpx2.AsyncClient, engine: Engine, case: tuple[list[Sent], str, str]
) -> None:
    await send(collector, *case[0])
    asked = Asked(from_ns=NOW_NS - 10**12, to_ns=NOW_NS)
    total = reprice(engine, PriceBook.bundled(), asked, NOW_NS).total
    assert (total.calls, total.before_nano_usd - total.after_nano_usd, total.unpriced_after) == (1, 0, 0)


async def test_the_bill_says_why_it_is_whose_it_is(collector: httpx2.AsyncClient) -> None:
    await send(collector, *PAIRS["Groq"][0])
    (call,) = await stored(collector)
    assert (
        call["bill"]["why"]
        == "of those that have a usage it knows best whose call it was: groq, by another instrumentation"
    )


@pytest.mark.parametrize("response_id", ["chatcmpl-1", "1234", "resp_1", "chatcmpl-00000000000000000000000000001f2b"])
@pytest.mark.parametrize("reverse", [False, True])
async def test_ids_that_are_counted_are_one_providers(
    collector: httpx2.AsyncClient, response_id: str, reverse: bool
) -> None:
    await send_twice(collector, in_two_traces(told("openai", response_id), told("azure", response_id)), reverse)
    assert await bills(collector) == [("0.0035", 2)]  # Azure's are called through OpenAI's SDK
    await send_twice(collector, [at(3, 7, 0, 100, told("groq", response_id, **LLAMA), "litellm", trace=3)], reverse)
    assert await bills(collector) == [("0.000669", 1), ("0.0035", 2)]


async def test_three_names_of_one_answer_are_one_bill_in_any_order(collector: httpx2.AsyncClient) -> None:
    kinds = (("openai", SDK), ("anthropic", ANOTHER_SDK), ("openrouter", "litellm"))
    for number, order in enumerate(permutations(kinds)):
        for provider, scope in order:
            said = told(provider, f"{GEN}{number}", **CLAUDE)
            await send(collector, at(1, 8, 0, 100, said, scope, trace=number * 10 + len(provider)))
    calls = await stored(collector)
    assert [(call["provider"], call["cost_usd"], len(call["reports"])) for call in calls] == [
        ("openrouter", "0.0045", 3)
    ] * 6


@pytest.mark.parametrize("response_id", [GEN, "r1"])
@pytest.mark.parametrize("uncounted_first", [False, True])
@pytest.mark.parametrize("scopes", [(SDK, ANOTHER_SDK), (ANOTHER_SDK, SDK), ("outlay", "litellm")])
async def test_of_a_counted_and_an_uncounted_report_the_count_is_billed(
    collector: httpx2.AsyncClient, response_id: str, uncounted_first: bool, scopes: tuple[str, str]
) -> None:
    counted = told("openai", response_id)
    await send_twice(collector, in_two_traces(uncounted(counted), counted, scopes), not uncounted_first)
    assert await bills(collector) == [("0.0035", 2)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_an_id_that_a_proxy_made_up_is_its_clients_too(
    collector: httpx2.AsyncClient, order: tuple[int, ...]
) -> None:
    """LiteLLM translates Anthropic's answer and gives it an id: its client knows no other. Whoever stands around the
    proxy's span and tells of the same call has none."""
    client, proxy = in_two_traces(told("openai", UUID, **ITS_OWN), told("anthropic", UUID, **ITS_OWN))
    framework = at(3, 2, 0, 100, chat(**ITS_OWN, **{"gen_ai.provider.name": "anthropic"}), ANOTHER_SDK, trace=2)
    for each in order:
        await send_twice(collector, [(client, proxy, framework)[each]], False)
    (call,) = await stored(collector)
    assert (call["provider"], call["cost_usd"], len(call["reports"])) == ("anthropic", "0.0045", 3)


async def test_an_id_that_was_made_up_tells_no_calls_apart(collector: httpx2.AsyncClient) -> None:
    proxy = at(1, None, 0, 100, told("anthropic", UUID, **ITS_OWN), "litellm")
    sdk = at(2, 1, 10, 90, told("anthropic", "msg_01Kx7RbT4nVq9ZsPd2hYwG5c", **ITS_OWN), SDK)
    await send_twice(collector, [proxy, sdk], False)
    (call,) = await stored(collector)
    assert (call["response_id"], len(call["reports"])) == ("msg_01Kx7RbT4nVq9ZsPd2hYwG5c", 2)


NOTHING_SEEN = {
    "nothing, said as 0": {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0},
    "only what went in": {"gen_ai.usage.output_tokens": 0},
    "only what came out": {"gen_ai.usage.input_tokens": 0},
}


@pytest.mark.parametrize("said", NOTHING_SEEN.values(), ids=NOTHING_SEEN.keys())
@pytest.mark.parametrize("reverse", [False, True])
async def test_a_zero_of_what_was_not_seen_is_no_count_where_another_has_seen_it(
    collector: httpx2.AsyncClient, said: dict[str, int], reverse: bool
) -> None:
    await send_twice(collector, in_two_traces(told("openai", "r1", **said), told("openai", "r1")), reverse)
    assert await bills(collector) == [("0.0035", 2)]


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_count_that_contradicts_the_better_source_is_not_believed(
    collector: httpx2.AsyncClient, reverse: bool
) -> None:
    """999 tokens in cannot complete 1000 in, and out 0: 1000 at $2.50 a million."""
    better = told("openai", "r1", **{"gen_ai.usage.output_tokens": 0})
    other = told("openai", "r1", **{"gen_ai.usage.input_tokens": 999})
    await send_twice(collector, in_two_traces(better, other), reverse)
    assert await bills(collector) == [("0.0025", 2)]


ZEROS = {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}
NAMED = {
    "without a count": uncounted(told("openrouter", GEN, **CLAUDE)),
    "with zeros": told("openrouter", GEN, **CLAUDE, **ZEROS),
}


@pytest.mark.parametrize("named", NAMED.values(), ids=NAMED.keys())
@pytest.mark.parametrize("reverse", [False, True])
async def test_a_count_is_priced_as_whose_it_is_where_another_report_says_so(
    collector: httpx2.AsyncClient, engine: Engine, named: dict[str, Any], reverse: bool
) -> None:
    counted = told("openai", GEN, **CLAUDE)
    await send_twice(collector, in_two_traces(counted, named), reverse)
    (call,) = await stored(collector)
    assert (call["provider"], call["cost_usd"], call["input_tokens"]) == ("openrouter", "0.0045", 1000)
    asked = Asked(from_ns=NOW_NS - 10**12, to_ns=NOW_NS)
    total = reprice(engine, PriceBook.bundled(), asked, NOW_NS).total
    assert (total.calls, total.before_nano_usd - total.after_nano_usd, total.unpriced_after) == (1, 0, 0)


async def test_an_id_that_litellm_made_up_twice_is_one_call_and_refuses_no_other(
    collector: httpx2.AsyncClient,
) -> None:
    """Its cache answers again under one parent."""
    made_up = told("anthropic", UUID, **ITS_OWN)
    again = [at(n, 9, n, 100, made_up, "litellm") for n in (1, 2)]
    for batch in ([*again, Sent(trace=5, span=5, attributes=chat())], [again[1]]):
        answer = await send(collector, *batch)
        assert (answer.status_code, answer.content) == (200, b"")
    assert len(await stored(collector)) == 2


@pytest.mark.parametrize("order", [*permutations(range(3))])
async def test_an_id_given_to_calls_that_something_tells_apart_is_stored_all_the_same(
    order: tuple[int, ...], collector: httpx2.AsyncClient, engine: Engine
) -> None:
    """A gateway's span with an id of its own, the provider's below it, and a client's span with the gateway's id."""
    gateway = at(1, 9, 10, 1000, told("anthropic", UUID, **ITS_OWN), "litellm")
    provider = at(2, 1, 20, 900, told("anthropic", "msg_1", **ITS_OWN), "sdk")
    client = Sent(trace=3, span=3, scope="client", attributes=told("openai", UUID, **ITS_OWN))
    spans = (gateway, provider, client)
    for each in order:
        assert (await send(collector, spans[each])).status_code == 200
    calls = len(await stored(collector))
    assert calls in (1, 2)
    for each in order:
        assert (await send(collector, spans[each])).status_code == 200
    assert len(await stored(collector)) == calls
    sum_up_all(engine, NOW_NS)
    assert verify(engine) == []
