"""Anthropic: how to read a message, whole or streamed, from its own API, Bedrock or Vertex.

`input_tokens` leaves out what was read from or written to the cache: these buckets are disjoint as they come. What
Anthropic does not split (how long a cache write lives, beyond its breakdown) is inferred and said to be.

Source: anthropic 2.11.0 `types/usage.py`, `types/message_delta_usage.py`, `types/beta/beta_usage.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from outlay.model import Usage
from outlay.providers.base import Reading
from outlay.providers.counts import Contradiction, attempt, count, detail, remainder, usage_of, within
from outlay.providers.foreign import NOTHING, first_text, mapping, mappings, text, texts
from outlay.providers.tiers import served_terms
from outlay.providers.wire import Asked, Body, WireFormat, unfinished

_TOTALS: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
_REST_INFERRED: Final = "cache writes beyond the breakdown by lifetime are taken to be of five minutes"
_HOP_INFERRED: Final = "a declined attempt of another model is taken to be billed at that model's rates"


def fits(body: Body) -> bool:
    return body.get("type") == "message" or ("stop_reason" in body and "content" in body)


def read(body: Body, asked: Asked) -> Reading:
    return _reading(body, mapping(body.get("usage")), asked)


def _reading(message: Body, raw: Mapping[str, Any], asked: Asked) -> Reading:
    model = first_text(message, "model")
    usage, reason = attempt(lambda: read_usage(raw, model or asked.model) if raw else None)
    return Reading(
        model_served=model,
        response_id=first_text(message, "id"),
        finish_reasons=texts(message.get("stop_reason")),
        usage=usage,
        usage_raw=raw or None,
        reason_unread=reason,
        terms=served_terms(
            asked.request, raw.get("service_tier"), speed=raw.get("speed"), region=raw.get("inference_geo")
        ),
    )


def read_usage(raw: Mapping[str, Any], model: str | None = None) -> Usage:
    """Buckets of one finished message.

    `iterations` may bill a second model in the same usage: an advisor's tokens are in no total and are another model's
    (anthropic.messages.0c352f5e49cb: 2,529 tokens of Opus beside 2,417 of Sonnet), a compaction's are in no total and
    are this model's. A fallback's declined attempts are entries that name another model.
    """
    own, inferred = _buckets(raw)
    others: dict[str, dict[str, int]] = {}
    for entry in mappings(raw.get("iterations")):
        kind, other = entry.get("type"), text(entry.get("model"))
        if kind == "advisor_message":
            _add(others.setdefault(other or "an advisor model", {}), _buckets(entry)[0])
        elif kind == "compaction":
            _add(own, _buckets(entry)[0])
        elif kind == "message" and other and model and other != model:
            _add(others.setdefault(other, {}), _declined(raw, entry, own))
            inferred = inferred or _HOP_INFERRED
    searches = count(detail(raw, "server_tool_use"), "web_search_requests")
    thoughts = count(detail(raw, "output_tokens_details"), "thinking_tokens")
    within("thinking_tokens", thoughts, "output_tokens", count(raw, "output_tokens"))
    fees = {"reasoning": thoughts, "web_search": searches or None}
    return usage_of({**own, **fees}, inferred, {name: usage_of(found) for name, found in others.items()})


def _buckets(raw: Mapping[str, Any]) -> tuple[dict[str, int], str | None]:
    """The token buckets of a usage or of one of its iterations, and what in them is inferred.

    A stream's last usage has grown past the breakdown its first one gave, and has none of its own; older models give
    none at all. The breakdowns of the iterations close the gap where they are there. What is left of the total is
    priced as a five-minute write, the default of the API.
    """
    given, made = count(raw, "input_tokens"), count(raw, "output_tokens")
    if given is None or made is None:
        raise Contradiction(f"{'input_tokens' if given is None else 'output_tokens'} is missing")
    quantities: dict[str, int] = {"input": given, "output": made}
    if (cached := count(raw, "cache_read_input_tokens")) is not None:
        quantities["cache_read"] = cached
    short, long = _lifetimes(raw)
    written = count(raw, "cache_creation_input_tokens")
    if written is None and short is None and long is None:
        return quantities, None
    parts = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
    rest = 0 if written is None else remainder("cache_creation_input_tokens", written, parts)
    quantities["cache_write_5m"] = (short or 0) + rest
    if long is not None:
        quantities["cache_write_1h"] = long
    return quantities, _REST_INFERRED if rest else None


def _lifetimes(raw: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Cache writes of five minutes and of one hour, None where no breakdown tells."""
    own = _breakdown(raw)
    turns = [_breakdown(entry) for entry in mappings(raw.get("iterations")) if entry.get("type") == "message"]
    if not turns:
        return own
    written = count(raw, "cache_creation_input_tokens")
    by_turn = sum(short or 0 for short, _ in turns), sum(long or 0 for _, long in turns)
    return by_turn if sum(by_turn) == written else own


def _breakdown(raw: Mapping[str, Any]) -> tuple[int | None, int | None]:
    lifetimes = detail(raw, "cache_creation")
    return count(lifetimes, "ephemeral_5m_input_tokens"), count(lifetimes, "ephemeral_1h_input_tokens")


def _declined(raw: Mapping[str, Any], entry: Mapping[str, Any], own: dict[str, int]) -> dict[str, int]:
    """The buckets of an attempt another model declined, taken out of `own` where the totals hold them too."""
    turns = [e for e in mappings(raw.get("iterations")) if e.get("type") in ("message", "fallback_message")]
    buckets, _ = _buckets(entry)
    if all(sum(count(turn, field) or 0 for turn in turns) == (count(raw, field) or 0) for field in _TOTALS):
        for unit, quantity in buckets.items():
            own[unit] = remainder(unit, own.get(unit, 0), {"a declined attempt": quantity})
    return buckets


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for unit, quantity in more.items():
        total[unit] = total.get(unit, 0) + quantity


def fits_event(event: Body) -> bool:
    return event.get("type") in (
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
    )


class MessageStream:
    """Folds events. `message_delta` holds running totals, so each replaces what came before: nothing is summed."""

    __slots__ = ("_asked", "_message", "_stop_reason", "_usage", "finished", "output_characters")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._message: Body = NOTHING
        self._usage: dict[str, Any] = {}
        self._stop_reason: object = None
        self.finished = False
        self.output_characters = 0

    def feed(self, event: Body) -> None:
        kind = event.get("type")
        if kind == "content_block_delta":
            delta = event.get("delta")
            if type(delta) is dict:
                produced = delta.get("text") or delta.get("partial_json") or delta.get("thinking")
                if type(produced) is str:
                    self.output_characters += len(produced)
        elif kind == "message_start":
            self._message = mapping(event.get("message"))
            self._merge(self._message.get("usage"))
        elif kind == "message_delta":
            self._merge(event.get("usage"))
            self._stop_reason = mapping(event.get("delta")).get("stop_reason") or self._stop_reason
        elif kind == "message_stop":
            self.finished = True

    def _merge(self, usage: object) -> None:
        self._usage.update((field, value) for field, value in mapping(usage).items() if value is not None)

    @property
    def counted(self) -> bool:
        return bool(self._usage)

    def reading(self) -> Reading:
        """Until `message_delta` has come the output count is the opening's one or two tokens: a lower bound."""
        found = _reading({**self._message, "stop_reason": self._stop_reason}, self._usage, self._asked)
        return found if self._stop_reason else unfinished(found)


MESSAGES = WireFormat("anthropic.messages", "anthropic", fits, read, fits_event, MessageStream)
