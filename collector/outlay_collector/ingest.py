"""From a body of spans to priced calls: pure, and run on a pool of threads. `writer` stores them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from outlay.model import Call, Cost, CostStatus
from outlay.prices import PriceBook, nano_usd
from outlay.prices.match import priced_model
from outlay.unbilled import NOBODY, reached_nobody

from outlay_collector.billing import Report
from outlay_collector.dialects.records import EVENTS, RECORDS, read_record
from outlay_collector.dialects.registry import WANTED, read_span
from outlay_collector.otlp.json import decode_json
from outlay_collector.otlp.logs import decode_logs
from outlay_collector.otlp.protobuf import decode_protobuf
from outlay_collector.otlp.span import Decoded, Span
from outlay_collector.steps import Step, read_step
from outlay_collector.store.losses import ClientLoss

_LATEST_NS: Final = 2**63 - 1
_REFUSALS: Final = (
    *("AuthenticationError", "BadRequestError", "ConflictError", "InternalServerError", "NotFoundError"),
    *("OverloadedError", "PermissionDeniedError", "RateLimitError", "UnprocessableEntityError", "UnauthorizedError"),
    *("ForbiddenError", "TooManyRequestsError", "ServiceUnavailableError", "ContextWindowExceededError"),
    *("AccessDeniedException", "ResourceNotFoundException", "ServiceQuotaExceededException", "ThrottlingException"),
    *("ValidationException", "ModelHTTPError", "ModelServerError"),
    *("ModelQuotaExceededError", "ModelRequestRejectedError", "ModelUnavailableError"),
    *("authentication_error", "invalid_request_error", "not_found_error", "overloaded_error", "permission_error"),
    *("rate_limit_error", "api_error"),
)
"""Errors that are a provider's answer, by the names that providers, SDKs and frameworks give them. A framework's own
class of one ends with its name: LangChain's `OpenAIRateLimitError`."""
_ANSWERS: Final = frozenset(
    {
        *("AI_APICallError", "APIStatusError", "AnthropicAPIError", "ClientError", "OpenAIAPIError", "ServerError"),
        *("HttpResponseError", "azure.core.exceptions.HttpResponseError"),
    }
)
"""Likewise, by their whole names: Vercel's, LangChain's, google-genai's, botocore's, Azure's. A `HTTPClientError` got
none."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The calls a body tells of, and how many of its spans could not be taken and why."""

    reports: Sequence[Report]
    rejected: int = 0
    reason: str = ""
    steps: Sequence[Step] = ()
    losses: Sequence[ClientLoss] = ()
    """Calls that will never come: what a client could not deliver."""


def read_batch(body: bytes, *, is_json: bool, book: PriceBook) -> Batch:
    """The priced calls of an export request. Raises `otlp.span.BadBody` where it is none.

    The whole body is decoded, then read, then priced: what one of these works with is then at hand for all its spans.
    """
    decoded = decode_json(body, WANTED) if is_json else decode_protobuf(body, WANTED)
    reports: list[Report] = []
    steps: list[Step] = []
    for span in decoded.spans:
        if not _has_times(span, decoded):
            continue
        if (report := read_span(span)) is not None:
            reports.append(report)
        elif (step := read_step(span)) is not None:
            steps.append(step)
    return Batch([priced(report, book) for report in reports], decoded.rejected, decoded.reason, steps)


def read_logs(body: bytes, *, is_json: bool, book: PriceBook) -> Batch:
    """The priced calls that log records tell of. Raises `otlp.span.BadBody` where the body is no export request."""
    decoded = decode_logs(body, RECORDS, EVENTS, is_json=is_json)
    reports = [report for record in decoded.spans if _has_times(record, decoded) and (report := read_record(record))]
    return Batch([priced(report, book) for report in reports], decoded.rejected, decoded.reason)


def _has_times(span: Span, decoded: Decoded) -> bool:
    if 0 < span.started_at_ns <= span.ended_at_ns <= _LATEST_NS:
        return True
    decoded.reject(f"span {span.name!r}: it must start after 1970 and end after it has started")
    return False


def priced(report: Report, book: PriceBook) -> Report:
    """The report with a cost, where it came without one."""
    call = report.call
    if call.cost.nano_usd is not None:
        return report
    if call.usage is None and (refusal := _refusal(call, report.retries)):
        return _with_cost(report, Cost(nano_usd=0, status=CostStatus.EXACT, reason=refusal))
    cost = book.cost(
        call.usage,
        provider=call.provider,
        model=priced_model(call.model_served, call.model_requested),
        at_ns=call.started_at_ns,
        terms=call.terms,
        provider_cost_usd=report.provider_cost_usd,
        reason_unread=call.reason_unread,
    )
    if cost.nano_usd is None and report.stated_cost_usd is not None:
        cost = _stated(report.stated_cost_usd, cost)
    return _with_cost(report, cost)


def _with_cost(report: Report, cost: Cost) -> Report:
    """The report itself, its call now with a cost. Nobody else has seen either yet, and to make both anew for one field
    of a hundred takes 9 us."""
    object.__setattr__(report.call, "cost", cost)
    return report


def _stated(usd: Decimal, ours: Cost) -> Cost:
    """What the sender worked out, where we have nothing: better than no figure, and said to be theirs."""
    reason = f"{ours.reason}; the sender's own figure stands instead"
    return Cost(nano_usd=nano_usd(usd), status=CostStatus.ESTIMATED, reason=reason)


def _refusal(call: Call, retries: int) -> str | None:
    """Why a failed call is known to have cost nothing: the provider answered with an error, which none bills, or its
    only attempt reached nobody, by the rule that Outlay's own calls are judged by.

    Not said of calls that got no answer: a provider may have worked, and billed, for a client that hung up.
    """
    if call.http_status is not None:
        return f"the provider answered {call.http_status}, which it does not bill" if call.http_status >= 400 else None
    said = call.error_type
    if said and not retries and reached_nobody(said):
        return NOBODY
    if said and (said in _ANSWERS or said.endswith(_REFUSALS) or re.fullmatch("[45][0-9]{2}", said)):
        return f"the provider answered with {said}, which it does not bill"
    return None
