"""Whatever words an instrumentation uses: the same call, with the provider's true usage, once."""

from __future__ import annotations

from decimal import Decimal

import httpx2
import pytest
from outlay.prices import PriceBook
from outlay_collector.dialects.registry import DIALECTS
from outlay_collector.ingest import read_batch

from tests.collector.sending import Sent, body_of, send, stored
from tests.collector.spoken import SPOKEN, STEPS, Spoken

BOOK = PriceBook.bundled()
# For a million: claude-opus-4-8 $5 in, $0.50 from and $6.25 to the cache, $25 out; gpt-4o $2.50, $1.25 cached, $10 out.
OPUS_USD = Decimal("0.00296")  # 12 x 5 + 800 x 0.5 + 200 x 6.25 + 50 x 25, over a million
GPT_USD = Decimal("0.00325")  # 800 x 2.5 + 200 x 1.25 + 100 x 10, over a million


def sent(spoken: Spoken, **others: int) -> Sent:
    said = {"scope": spoken.scope, "name": spoken.name, "attributes": spoken.attributes, "events": spoken.events}
    return Sent(**said, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize("spoken", SPOKEN.values(), ids=SPOKEN.keys())
async def test_a_dialect_is_read_with_the_providers_own_counts(collector: httpx2.AsyncClient, spoken: Spoken) -> None:
    await send(collector, sent(spoken))
    (call,) = await stored(collector)
    assert {name: call[name] for name in spoken.said} == spoken.said
    assert (call["provider"], call["reports"][0]["dialect"]) == (spoken.provider, spoken.dialect)
    if spoken.said["cache_write_tokens"] == 200:
        assert Decimal(call["cost_usd"]) == OPUS_USD
    if spoken.said["cache_read_tokens"] == 200:
        assert Decimal(call["cost_usd"]) == GPT_USD


@pytest.mark.parametrize(("kind", "scope", "attributes"), STEPS.values(), ids=STEPS.keys())
def test_a_step_is_kept_as_one_and_never_billed(kind: str, scope: str, attributes: dict[str, object]) -> None:
    batch = read_batch(body_of(Sent(scope=scope, attributes=attributes)), is_json=False, book=BOOK)
    assert not batch.reports
    assert [step.kind for step in batch.steps] == [kind]


def test_a_span_that_has_nothing_to_do_with_models_is_let_go() -> None:
    batch = read_batch(body_of(Sent(scope="http", attributes={"http.method": "GET"})), is_json=False, book=BOOK)
    assert (list(batch.reports), list(batch.steps)) == ([], [])


@pytest.mark.parametrize("outer", SPOKEN.values(), ids=SPOKEN.keys())
@pytest.mark.parametrize("reverse", [False, True])
async def test_an_sdk_span_inside_another_dialects_span_is_no_second_call(
    collector: httpx2.AsyncClient, outer: Spoken, reverse: bool
) -> None:
    (report,) = read_batch(body_of(sent(outer)), is_json=False, book=BOOK).reports
    inner = SPOKEN["anthropic's own" if outer.provider == "anthropic" else "openlit of openai"].attributes
    spans = [
        sent(outer, span=1),
        Sent(
            span=2,
            parent=1,
            scope="inner",
            attributes={**inner, "gen_ai.response.id": report.call.response_id or "msg_inner"},
        ),
    ]
    for span in reversed(spans) if reverse else spans:
        await send(collector, span)
    (call,) = await stored(collector)
    assert len(call["reports"]) == 2


async def test_a_price_of_the_senders_stands_only_where_we_have_none(collector: httpx2.AsyncClient) -> None:
    known = {**SPOKEN["openlit of openai"].attributes, "gen_ai.usage.cost": 9.0}
    unknown = {**known, "gen_ai.request.model": "made-up", "gen_ai.response.model": "made-up", "gen_ai.usage.cost": 0.5}
    await send(
        collector,
        Sent(trace=1, scope="openlit.x", attributes=known),
        Sent(trace=2, scope="openlit.x", attributes=unknown),
        Sent(trace=3, scope="openlit.x", attributes={**unknown, "gen_ai.usage.cost": 0}),
    )
    calls = {call["trace_id"][-1]: (call["cost_usd"], call["cost_status"]) for call in await stored(collector)}
    assert calls == {"1": ("0.00325", "exact"), "2": ("0.5", "estimated"), "3": (None, "unpriced")}


async def test_a_call_openlit_only_names_is_a_failed_call_that_cost_nothing(collector: httpx2.AsyncClient) -> None:
    await send(
        collector,
        Sent(
            scope="openlit.instrumentation.anthropic",
            name="chat claude-opus-4-8",
            failed=True,
            attributes={"error.type": "OverloadedError"},
        ),
    )
    (call,) = await stored(collector)
    assert (call["provider"], call["model"], call["cost_usd"]) == ("anthropic", "claude-opus-4-8", "0")


async def test_strands_tells_its_first_token_in_milliseconds(collector: httpx2.AsyncClient) -> None:
    first = {"gen_ai.server.time_to_first_token": 250}
    spoken = SPOKEN["strands, which names itself"]
    await send(collector, Sent(scope=spoken.scope, attributes={**spoken.attributes, **first}))
    (call,) = await stored(collector)
    assert call["ttft_ms"] == 250


def test_every_dialect_has_a_name_of_its_own() -> None:
    names = [dialect.name for dialect in DIALECTS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("dialect", [dialect.name for dialect in DIALECTS if dialect.name not in ("outlay",)])
def test_every_dialect_is_tried_here_or_only_renames_the_conventions(dialect: str) -> None:
    renamed = {"opentelemetry", "google-adk", "gemini-cli", "qwen-code", "codex"}
    assert dialect in {spoken.dialect for spoken in SPOKEN.values()} | renamed
