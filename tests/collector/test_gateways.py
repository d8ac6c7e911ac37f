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
from outlay_collector.ingest import read_batch
from outlay_collector.repricing import Asked, reprice
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import downgrade, migrate
from outlay_collector.store.schema import CALLS
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.verifying import verify
from outlay_collector.store.writing import Written
from sqlalchemy import Engine, select

from tests.collector.echoing import ANOTHER_SDK, SDK, at, bills
from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, chat, send, stored

pytestmark = BOTH_BACKENDS

GEN = "gen-1770000000-x4nQ9ui2wVbWnx7Z5hVM"
UUID = "chatcmpl-3f2b8c71-9d4e-4a06-b5c8-1e7f0a92d36b"
CLAUDE = {"gen_ai.request.model": "anthropic/claude-sonnet-4.5", "gen_ai.response.model": "anthropic/claude-sonnet-4.5"}
LLAMA = {"gen_ai.request.model": "llama-3.3-70b-versatile", "gen_ai.response.model": "llama-3.3-70b-versatile"}
ITS_OWN = {"gen_ai.request.model": "claude-sonnet-4-5", "gen_ai.response.model": "claude-sonnet-4-5"}
OURS = {"outlay.usage": '{"input":1000,"output":100}', "outlay.cost.status": "exact"}


def told(provider: str, response_id: str, **said: Any) -> dict[str, Any]:
    return chat(**{"gen_ai.provider.name": provider, "gen_ai.response.id": response_id, **said})


def uncounted(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if "usage" not in name}


def in_two_traces(one: dict[str, Any], other: dict[str, Any], scopes: tuple[str, str] = (SDK, "litellm")) -> list[Sent]:
    """Each below a span of its own, so that nothing but the id says that they are one."""
    return [at(1, 8, 10, 90, one, scopes[0], trace=1), at(2, 9, 0, 100, other, scopes[1], trace=2)]


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


def write(engine: Engine, *spans: Sent, received_at_ns: int = NOW_NS) -> Written:
    reports = read_batch(body_of(*spans), is_json=False, book=PriceBook.bundled()).reports
    return SqlStore(engine).write(reports, received_at_ns)


def keys(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(CALLS.c.bill_key).order_by(CALLS.c.id)).scalars())


def moved_back(span: Sent, days: int) -> Sent:
    return Sent(**{**vars(span), "started_at_ns": span.started_at_ns - days * 86_400 * 10**9})


BEFORE = "0027_write_turns"
SPANS = in_two_traces(told("openai", GEN, **CLAUDE), told("openrouter", GEN, **CLAUDE))


def test_keys_of_before_are_written_anew_and_back_again(engine: Engine) -> None:
    write(engine, SPANS[0], at(3, None, 0, 100, told("azure", "r1"), SDK, trace=3), at(4, None, 0, 9, chat(), SDK))
    now = [f"*:{GEN}", "openai:r1", f"{1:032x}:{4:016x}"]
    assert keys(engine) == now
    downgrade(engine, BEFORE)
    assert keys(engine) == [f"openai:{GEN}", *now[1:]]
    migrate(engine)
    assert keys(engine) == now
    assert write(engine, SPANS[1]) == Written(0, 1, 0)


def test_two_bills_of_before_are_one_when_a_report_finds_both(engine: Engine) -> None:
    """The earlier kept its key, and a span without an id that belongs to it changes nothing of that."""
    write(engine, SPANS[0])
    downgrade(engine, BEFORE)
    renamed = CALLS.update().values(bill_key=f"old:{GEN}")
    with engine.begin() as connection:
        connection.execute(renamed)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(renamed.values(bill_key=f"openai:{GEN}"))
    write(engine, SPANS[1])
    assert sorted(keys(engine)) == [f"*:{GEN}", f"openai:{GEN}"]
    inner = at(5, 1, 20, 80, chat(**CLAUDE), ANOTHER_SDK)
    assert write(engine, inner) == Written(0, 1, 0)
    assert sorted(keys(engine)) == [f"*:{GEN}", f"openai:{GEN}"]
    late = at(6, 5, 0, 100, told("openai", GEN, **CLAUDE), ANOTHER_SDK, trace=6)
    assert write(engine, late, received_at_ns=NOW_NS + 2 * 86_400 * 10**9) == Written(0, 1, 0)
    assert keys(engine) == [f"*:{GEN}"]


def test_a_late_report_finds_a_call_that_was_too_old_for_a_new_key(engine: Engine) -> None:
    old = [moved_back(span, 9) for span in SPANS]
    write(engine, old[0], received_at_ns=old[0].started_at_ns + 10**9)
    write(engine, at(7, None, 0, 100, told("openai", UUID), SDK, trace=7))
    downgrade(engine, BEFORE)
    migrate(engine)
    assert keys(engine) == [f"openai:{GEN}", f"*:{UUID}"]
    again = Sent(**{**vars(old[0]), "trace": 77, "scope": ANOTHER_SDK})
    assert write(engine, again) == Written(0, 1, 0)


def test_a_database_without_a_call_goes_both_ways(database_url: str, engine: Engine) -> None:
    downgrade(engine, BEFORE)
    migrate(engine)
    other = open_engine(database_url)
    assert keys(other) == []
    other.dispose()
