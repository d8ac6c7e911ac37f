"""Usage as charges in the columns of FOCUS 1.2, the FinOps Open Cost and Usage Specification, as CSV.

A row is the calls of one provider, model and operation in one period, and of whatever else was asked for. All 21
columns that FOCUS makes mandatory are there, of the conditional ones those that Outlay has something to say in; names
that begin with `x_` are Outlay's own, as the specification asks. What the rows say is in docs/reports.md.

Source: https://focus.finops.org/focus-specification/v1-2/, and FOCUS_Spec's `specification/columns`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from outlay_collector.money import usd_text
from outlay_collector.periods import edges, from_ns
from outlay_collector.reports.csv import safe_cell, taken
from outlay_collector.store.query import TAG, UsageRow

SERVICE: Final = ("provider", "model", "operation")
"""What every row is grouped by."""
_PREFIX: Final = "outlay/"
_ROWS_A_CHUNK: Final = 500
COLUMNS: Final = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart",
    "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
    "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "SkuId",
    "SkuMeter", "Tags", "x_Calls", "x_InputTokens", "x_OutputTokens", "x_UnpricedCalls",
)  # fmt: skip


def focus_csv(
    rows: Iterable[UsageRow], dimensions: Sequence[str], periods: Sequence[int], zone: ZoneInfo
) -> Iterator[bytes]:
    """The rows as charges, header first. `periods` are the edges of their buckets; billing periods are the months of
    `zone`, and all times are written in UTC."""
    page = io.StringIO()
    writer = csv.DictWriter(page, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    months: dict[int, tuple[int, int]] = {}
    for number, row in enumerate(rows, 1):
        start, end = periods[row.bucket or 0], periods[(row.bucket or 0) + 1]
        if start not in months:
            first, last = edges("month", start, start + 1, zone)
            months[start] = (first, last)
        charge = _charge(row, dict(zip(dimensions, row.group, strict=True)))
        charge |= _period("Charge", start, end) | _period("Billing", *months[start])
        writer.writerow({name: safe_cell(value) for name, value in charge.items()})
        if number % _ROWS_A_CHUNK == 0:
            yield taken(page)
    yield taken(page)


def _charge(row: UsageRow, named: Mapping[str, str | None]) -> dict[str, Any]:
    provider, model, operation = (named[name] or "" for name in SERVICE)
    cost = usd_text(row.cost_nano_usd)
    quantity, unit = _quantity(row)
    return {
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost),
        "BillingAccountId": provider,
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{operation} with {model or 'an unknown model'} of {provider}",
        "ChargeFrequency": "Usage-Based",
        **dict.fromkeys(("ConsumedQuantity", "PricingQuantity"), quantity),
        **dict.fromkeys(("ConsumedUnit", "PricingUnit"), unit),
        **dict.fromkeys(("InvoiceIssuerName", "ProviderName", "PublisherName"), provider),
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{provider} {operation}",
        "SkuId": f"{provider}/{model}" if model else None,
        "SkuMeter": operation,
        "Tags": _tags(named),
        "x_Calls": row.calls,
        "x_InputTokens": row.input_tokens,
        "x_OutputTokens": row.output_tokens,
        "x_UnpricedCalls": row.unpriced_calls,
    }


def _quantity(row: UsageRow) -> tuple[int, str]:
    """Tokens; where no call counted any, calls."""
    counted = [tokens for tokens in (row.input_tokens, row.output_tokens) if tokens is not None]
    return (sum(counted), "Tokens") if counted else (row.calls, "Requests")


def _tags(named: Mapping[str, str | None]) -> str:
    """The other dimensions: an application's own tags under their names, Outlay's with a prefix, as FOCUS asks."""
    tags = {
        name.removeprefix(TAG) if name.startswith(TAG) else f"{_PREFIX}{name}": value
        for name, value in named.items()
        if name not in SERVICE and value is not None
    }
    return orjson.dumps(tags).decode()


def _period(kind: str, start_ns: int, end_ns: int) -> dict[str, str]:
    return {
        f"{kind}Period{edge}": f"{from_ns(at_ns):%Y-%m-%dT%H:%M:%SZ}"
        for edge, at_ns in (("Start", start_ns), ("End", end_ns))
    }
