"""Usage as Parquet and as charges of FOCUS 1.2; CSV is in test_query_api."""

from __future__ import annotations

import csv
import io
import sys
from datetime import UTC, datetime
from decimal import Decimal

import httpx2
import orjson
import pytest
from pyarrow import parquet  # type: ignore[import-untyped]  # ships no types

from tests.collector.sending import NOW_NS, Sent, chat, send

DAY_NS = 24 * 3600 * 10**9
NOVEMBER = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
MANDATORY = {
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
    *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd"),
    *("ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity"),
    *("PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
}


@pytest.fixture
async def filled(collector: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """Two chats of $0.0035 each on 20 November, and the day before one with a model that has no price."""
    await send(collector, Sent(trace=1, attributes=chat(**{"outlay.feature": "=1+1", "outlay.tag.tier": "free"})))
    await send(collector, Sent(trace=2, attributes=chat(**{"outlay.feature": "=1+1", "outlay.tag.tier": "free"})))
    unknown = chat(**{"gen_ai.response.model": "zeta-9", "gen_ai.request.model": "zeta-9"})
    await send(collector, Sent(trace=3, attributes=unknown, started_at_ns=NOW_NS - DAY_NS))
    return collector


async def export(client: httpx2.AsyncClient, **params: str) -> httpx2.Response:
    return await client.get("/api/v1/export", params={**NOVEMBER, **params})


async def test_parquet_keeps_times_counts_and_money_as_what_they_are(filled: httpx2.AsyncClient) -> None:
    answer = await export(filled, format="parquet", by="model,feature", interval="day", timezone="Asia/Kathmandu")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = parquet.read_table(io.BytesIO(answer.content))
    unpriced, priced = table.to_pylist()
    assert priced["bucket"] == datetime(2026, 11, 19, 18, 15, tzinfo=UTC)
    assert (priced["model"], priced["feature"], priced["calls"]) == ("gpt-4o-2024-08-06", "=1+1", 2)
    # 2 x (1000 tokens x $2.50 + 100 tokens x $10.00) / 1,000,000
    assert priced["cost_usd"] == Decimal("0.007")
    assert (unpriced["cost_usd"], unpriced["unpriced_calls"]) == (None, 1)
    assert str(table.schema.field("cost_usd").type) == "decimal128(38, 9)"


async def test_parquet_of_nothing_is_a_file_without_rows(collector: httpx2.AsyncClient) -> None:
    answer = await export(collector, format="parquet")
    assert parquet.read_table(io.BytesIO(answer.content)).num_rows == 0


async def test_without_pyarrow_the_answer_names_the_extra(
    filled: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = await export(filled, format="parquet")
    assert answer.status_code == 501
    assert "outlay-collector[parquet]" in answer.json()["error"]["message"]


async def test_focus_has_every_mandatory_column_and_the_spend(filled: httpx2.AsyncClient) -> None:
    answer = await export(filled, format="focus", by="feature,tag.tier")
    unpriced, priced = csv.DictReader(io.StringIO(answer.text))
    assert set(priced) >= MANDATORY
    assert {priced[name] for name in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")} == {"0.007"}
    assert (priced["ChargePeriodStart"], priced["ChargePeriodEnd"]) == ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z")
    assert (priced["BillingPeriodStart"], priced["BillingPeriodEnd"]) == (
        "2026-11-01T00:00:00Z",
        "2026-12-01T00:00:00Z",
    )
    assert (priced["ConsumedQuantity"], priced["ConsumedUnit"]) == ("2200", "Tokens")
    assert (priced["ServiceCategory"], priced["ServiceName"]) == ("AI and Machine Learning", "openai chat")
    assert (priced["SkuId"], priced["ProviderName"]) == ("openai/gpt-4o-2024-08-06", "openai")
    assert orjson.loads(priced["Tags"]) == {"outlay/feature": "=1+1", "tier": "free"}
    assert priced["ChargeClass"] == ""
    assert (unpriced["BilledCost"], unpriced["x_UnpricedCalls"]) == ("", "1")


async def test_months_of_focus_are_those_of_the_time_zone_written_in_utc(filled: httpx2.AsyncClient) -> None:
    answer = await export(filled, format="focus", timezone="America/New_York", interval="month")
    row = next(csv.DictReader(io.StringIO(answer.text)))
    assert (row["BillingPeriodStart"], row["ChargePeriodStart"]) == ("2026-11-01T04:00:00Z", "2026-11-01T04:00:00Z")
    assert row["BillingPeriodEnd"] == "2026-12-01T05:00:00Z"


async def test_a_charge_without_a_period_is_refused(collector: httpx2.AsyncClient) -> None:
    answer = await export(collector, format="focus", interval="none")
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "interval")
