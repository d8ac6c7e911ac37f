"""What a provider reader is: pure functions from a provider's requests and responses to Outlay's words.

Readers never patch, emit, price or catch. They take decoded JSON (a `Mapping`), so the same reader serves the live
SDK, `outlay price`, batch results and tests. A response is told apart by its shape, not by who sent it, because forty
providers speak OpenAI's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from decimal import Decimal
from typing import Any, Protocol

from outlay.model import STANDARD_TERMS, Attribution, Terms, Usage
from outlay.providers.prompt import NO_PROMPT, Prompt
from outlay.records import record


@record(frozen=True, slots=True, kw_only=True)
class Request:
    """What a request says before it is sent.

    `operation` is `gen_ai.operation.name` (chat, text_completion, embeddings, ...). `terms` is what was asked for;
    what was served stands in the response. `max_output_tokens` is None where the request sets no cap.
    `prompt` is its text, measured when first asked for: what estimates rest on. `attribution` holds what the request
    itself says of its user or session (`user`, `metadata.user_id`): used where the application said nothing.
    """

    operation: str
    model: str | None
    streamed: bool = False
    max_output_tokens: int | None = None
    prompt: Prompt = field(default=NO_PROMPT, compare=False)
    terms: Terms = STANDARD_TERMS
    attribution: Attribution = field(default_factory=Attribution)


@record(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a response says of its call.

    `usage` is None where the provider gave no counts, or counts that contradict one another; `reason_unread` then says
    which. `usage_raw` is the provider's own object, unchanged. `provider_cost_usd` is the charge the provider itself
    reports, None where it reports none.
    """

    model_served: str | None = None
    response_id: str | None = None
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    usage_raw: Mapping[str, Any] | None = None
    reason_unread: str | None = None
    terms: Terms = STANDARD_TERMS
    provider_cost_usd: Decimal | None = None


class StreamReading(Protocol):
    """Folds the decoded events of one streamed response."""

    @property
    def finished(self) -> bool:
        """Whether the event that ends the response has been seen; a stream cut before it is incomplete."""

    @property
    def counted(self) -> bool:
        """Whether counts have come, so that none has to be estimated."""

    @property
    def output_characters(self) -> int:
        """How much text has come so far: what an estimate of an interrupted stream rests on."""

    def feed(self, event: Mapping[str, Any]) -> None:
        """Take the next event. Must be cheap: it runs on the application's own time."""

    def reading(self) -> Reading:
        """What the events so far say."""


class Reader(Protocol):
    """One provider family's requests and responses."""

    def read_request(self, path: str, body: Mapping[str, Any]) -> Request | None:
        """The call this request is, or None where it is not billable (listing models, polling a batch)."""

    def read_response(self, request: Request | None, body: object) -> Reading:
        """The reading of one whole response. `request` is None where only the response is at hand."""

    def start_stream(self, request: Request | None) -> StreamReading:
        """A fold for the events of one stream."""
