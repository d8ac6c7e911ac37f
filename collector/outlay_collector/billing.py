"""Which report is the bill: one call is billed once, however many spans tell of it.

A report is what one span said of a call. Reports with one key are one call; without a response id the spans' nesting
tells. Of several reports the better source wins field by field; what the bill rests on (usage, its terms and its cost)
is taken whole from one report, never mixed. Pure: the database is in `store`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final

from outlay.model import Attribution, Call, Cost, CostStatus
from outlay.records import record

from outlay_collector.model_names import bare
from outlay_collector.naming import doubt_of_provider
from outlay_collector.response_ids import key_of_response
from outlay_collector.usages import completes, tells_more

LONGEST_CALL_NS: Final = 600 * 1_000_000_000
"""What is told of one call in two traces lies no further apart than this."""
_STREAM_SLACK_NS: Final = 1_000_000
SELF_REPORTING: Final = frozenset({"anthropic", "mistral"})
"""Providers whose SDK makes spans of its own, beside any instrumentation's."""
SPLIT_STREAMS: Final = frozenset({"logfire"})
"""Dialects in which a streamed call is a span and a record apart from it."""
CHATS: Final = frozenset({"chat", "text_completion", "generate_content"})
_BILL: Final = ("usage", "usage_raw", "reason_unread", "terms", "cost")
_PRICED_BY: Final = ("provider", "model_requested", "model_served")
"""Whole from a report that names the provider, too, where reports name different ones: a cost is worked out by them."""
_STATED: Final = ("error_type", "attribution")  # no error is a statement; attribution is merged by its parts
_FILLED: Final = tuple(f.name for f in fields(Call) if f.name not in (*_BILL, *_STATED))
_ATTRIBUTION: Final = tuple(f.name for f in fields(Attribution) if f.name != "tags")


TO_BE_PRICED: Final = Cost(
    nano_usd=None,
    status=CostStatus.UNPRICED,
    reason="one report counts, and another says whose call it was: `outlay reprice` prices both together",
)


class Source(IntEnum):
    """How near a reporter is to the provider's own words. The lower wins."""

    OUTLAY = 0
    SDK = 1
    OFFICIAL = 2
    OTHER = 3
    RECORD = 4
    """A log record beside a span: what it adds is merged in, and where there is no span it is the call."""


_TOLD_BY: Final = {
    Source.OUTLAY: "Outlay",
    Source.SDK: "the SDK itself",
    Source.OFFICIAL: "OpenTelemetry's own instrumentation",
    Source.OTHER: "another instrumentation",
    Source.RECORD: "a log record",
}


@record(frozen=True, slots=True, kw_only=True)
class Report:
    """What one span said of one call. Ids in hex.

    `retries` is for spans that count them without listing the attempts. `provider_cost_usd` is what the span says the
    provider charged, `stated_cost_usd` what the sender worked out itself, which stands only where we have no price:
    both go into the call's cost when that is worked out. `clock_ahead_ms`: by how much the sender's clock was ahead of
    ours, where the call was moved for that. `gateways_id` is what a gateway made up for an answer that has an id of the
    provider's: its clients know the call by that one, others by the other, so that it tells no calls apart.
    """

    call: Call
    trace_id: str
    span_id: str
    parent_span_id: str | None
    dialect: str
    scope: str
    source: Source
    retries: int = 0
    provider_cost_usd: Decimal | None = None
    stated_cost_usd: Decimal | None = None
    clock_ahead_ms: int | None = None
    gateways_id: str | None = None

    @property
    def answer_id(self) -> str | None:
        """What its call is known by, if not by its span."""
        return self.call.response_id or self.gateways_id

    @property
    def span_key(self) -> str:
        """The key of a call that nothing else names."""
        return f"{self.trace_id}:{self.span_id}"

    @property
    def bill_key(self) -> str:
        """Two reports with one key are one call."""
        key = key_of_response(self.call.provider, self.answer_id)
        return self.span_key if key is None else key


def is_same_call(outer: Report, inner: Report) -> bool:
    """Whether a span and the span inside it tell of one call: the outer repeats what the inner did.

    Not where they are told apart by response id, by kind of operation, or by the model that was asked for: unless they
    count the same to the token, as where the outer names a deployment and the inner the model behind it.
    """
    a, b = outer.call, inner.call
    if a.response_id and b.response_id:
        return a.response_id == b.response_id
    if a.operation != b.operation and not {a.operation, b.operation} <= CHATS:
        return False
    asked = {bare(call.model_requested) for call in (a, b)} - {None}
    return len(asked) < 2 or (a.usage is not None and b.usage is not None and _count_alike(a, b))


def _count_alike(a: Call, b: Call) -> bool:
    """Whether the two count the same tokens, or one of them counts none."""
    if a.usage is None or b.usage is None:
        return True
    return (a.usage.input_tokens, a.usage.output_tokens) == (b.usage.input_tokens, b.usage.output_tokens)


def may_be_of_one_service(a: Call, b: Call) -> bool:
    """OpenTelemetry's SDKs call a service that nobody named `unknown_service:python`; of two reports of one call one
    may go through a tracer that was told the name, the other not."""
    one, other = a.attribution.service, b.attribution.service
    return one == other or _is_unnamed(one) or _is_unnamed(other)


def _is_unnamed(service: str | None) -> bool:
    return service is None or service.startswith("unknown_service")


def is_shadow(own: Report, other: Report) -> bool:
    """Whether an SDK's own span and an instrumentation's, in traces of their own, tell of one call without a shared id.

    Both begin a trace where the application has none, and a call that failed, or an instrumentation that leaves it
    out, has no response id: then what is left is that the instrumentation's span encloses the SDK's, in one service,
    and that both ask for the same model and count the same, where they count.
    """
    a, b = own.call, other.call
    return (
        own.source is Source.SDK
        and other.source in (Source.OFFICIAL, Source.OTHER)
        and not b.response_id
        and a.provider == b.provider
        and may_be_of_one_service(a, b)
        and bare(a.model_requested) in (bare(b.model_requested), bare(b.model_served))
        and b.started_at_ns <= a.started_at_ns
        and a.ended_at_ns <= b.ended_at_ns
        and _count_alike(a, b)
    )


def is_stream_of(record: Report, span: Report) -> bool:
    """Whether a record tells of the stream that a span's request began, by the same instrumentation.

    Logfire ends the span when the headers come, with nothing counted, and records the stream when it is left: beside
    the span where that has a parent, in a trace of its own where it has none.
    """
    head, tail = span.call, record.call
    beside = (record.trace_id, record.parent_span_id) == (span.trace_id, span.parent_span_id)
    return (
        record.source is Source.RECORD
        and span.source is not Source.RECORD
        and tail.streamed
        and record.scope == span.scope
        and (beside or record.parent_span_id is None is span.parent_span_id)
        and (head.usage, head.response_id, head.error_type) == (None, None, None)
        and (head.provider, head.attribution.service, head.model_requested)
        == (tail.provider, tail.attribution.service, tail.model_requested)
        and -_STREAM_SLACK_NS <= tail.started_at_ns - head.ended_at_ns <= LONGEST_CALL_NS
    )


def merge(reports: Sequence[Report]) -> Report:
    """One report out of several of one call. The order they come in does not matter.

    Among equal sources the span that started last, the innermost, is the better: it is the one nearer the provider.
    """
    if len(reports) == 1:
        return reports[0]
    ranked = _ranked(reports)
    best = ranked[0]
    calls = [report.call for report in ranked]
    billed, named = _billed(ranked).call, _of_the_provider(ranked)[0].call
    changes = {name: _first_said(calls, name) for name in _FILLED if not getattr(calls[0], name)}
    changes |= {name: getattr(billed, name) for name in _BILL}
    if any(call.provider != named.provider for call in calls):
        changes |= _priced_by(billed, named)
    changes["attribution"] = _merge_attributions([call.attribution for call in calls])
    if best.source > Source.SDK:
        left = [r.call.ended_at_ns for r in ranked if r.source is Source.RECORD and r.call.streamed]
        changes["ended_at_ns"] = max(best.call.ended_at_ns, *left) if left else best.call.ended_at_ns
    return replace(
        best,
        call=replace(calls[0], **changes),
        retries=max(report.retries for report in ranked),
        provider_cost_usd=None,
        stated_cost_usd=None,
    )


def _priced_by(billed: Call, named: Call) -> dict[str, Any]:
    """Provider, models and cost of a call that was named differently: of one report where one says all of it."""
    if billed.provider == named.provider:
        return {name: getattr(billed, name) for name in _PRICED_BY}
    charged = named.cost.status is CostStatus.PROVIDER_REPORTED
    said = {name: getattr(named if named.model else billed, name) for name in _PRICED_BY}
    return said | {"provider": named.provider, "cost": named.cost if charged else TO_BE_PRICED}


def bill_key_of(reports: Sequence[Report]) -> str:
    """The key of a call that all of these tell of: that of the best with a response id, never one made of what one says
    and another, which may be another call's."""
    if len(reports) == 1:
        return reports[0].bill_key
    ranked = _ranked(reports)
    known = [r for r in ranked if r.call.response_id] or [r for r in ranked if r.gateways_id] or ranked
    return known[0].bill_key


def bill_of(reports: Sequence[Report]) -> tuple[Report, str]:
    """Which of a call's reports the usage, the terms and the cost were taken from, and why, in words."""
    ranked = _ranked(reports)
    billed = _billed(ranked)
    told_by = _TOLD_BY[billed.source]
    if len(ranked) == 1:
        return billed, f"it is the only report, by {told_by}"
    if billed.call.usage is None:
        return billed, f"no report has a usage; it is the nearest to the provider, by {told_by}"
    counted = _counted(ranked)
    if billed.call.provider != counted[0].call.provider:
        return (
            billed,
            f"of those that have a usage it knows best whose call it was: {billed.call.provider}, by {told_by}",
        )
    if billed is counted[0]:
        rest = "has a usage" if len(counted) == 1 else "is the nearest to the provider of those that have a usage"
        return billed, f"of {len(ranked)} reports it {rest}, by {told_by}"
    return billed, f"it counts what the nearest to the provider counts and tells more of it, by {told_by}"


def _ranked(reports: Sequence[Report]) -> list[Report]:
    return sorted(reports, key=lambda r: (r.source, -r.call.started_at_ns, r.trace_id, r.span_id))


def _billed(ranked: Sequence[Report]) -> Report:
    """Whose usage is billed: the best that has one, or a lesser that agrees with it and knows more: fees, lifetimes."""
    counted = _counted(ranked)
    named = {report.call.provider for report in _of_the_provider(ranked)}
    alike = [report for report in counted if report.call.provider in named]
    best, *lesser = alike or _of_the_provider(counted or ranked)
    for report in lesser:
        usage, other = best.call.usage, report.call.usage
        if usage is None or other is None:
            continue
        if tells_more(usage, other) or (best.source is not Source.OUTLAY and completes(usage, other)):
            best = report
    return best


def _counted(ranked: Sequence[Report]) -> list[Report]:
    """Those that have a usage: one of nothing but zeros only where there is no other, or it is Outlay's."""
    having = [(report, report.call.usage) for report in ranked if report.call.usage is not None]
    counted = [r for r, usage in having if r.source is Source.OUTLAY or any(usage.quantities.values())]
    return counted or [report for report, _ in having]


def _of_the_provider(ranked: Sequence[Report]) -> Sequence[Report]:
    """Where they name different providers, those that name the one that is known best: the price is its."""
    if len({report.call.provider for report in ranked}) == 1:
        return ranked
    provider = min((report.call for report in ranked), key=doubt_of_provider).provider
    return [report for report in ranked if report.call.provider == provider]


def _merge_attributions(attributions: Sequence[Attribution]) -> Attribution:
    tags = {key: value for attribution in reversed(attributions) for key, value in attribution.tags.items()}
    return Attribution(**{name: _first_said(attributions, name) for name in _ATTRIBUTION}, tags=tags)


def _first_said(holders: Sequence[object], name: str) -> Any:
    """What the first holder that says anything says; what the best one has (None, False) where none does."""
    values = [getattr(holder, name) for holder in holders]
    return next(filter(None, values), values[0])
