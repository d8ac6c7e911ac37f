"""Anthropic's SDK: messages of Anthropic, and of whoever serves them at its paths."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from anthropic import Anthropic, AsyncAnthropic

from replay.drivers import NotReplayable, Play, arguments, drain, drain_async
from replay.recording import Exchange

SDK: Final = "anthropic"
_PATH: Final = re.compile(r"(.*?)/v1/(messages|complete)(/.*)?$")


def play(exchange: Exchange, url: str, is_async: bool) -> Play:
    found = _PATH.match(exchange.path)
    if found is None or exchange.api not in ("messages", "complete", "count_tokens", "batches"):
        raise NotReplayable("no SDK for it")
    method, given = _method(_client(url + found[1], is_async), exchange, found[2], found[3] or "")
    chosen = {"x-replay-id": exchange.id}
    given |= {"options": {"headers": chosen}} if "cast_to" in given else {"extra_headers": chosen}
    if is_async:
        return lambda: drain_async(method(**given))
    return lambda: drain(method(**given))


@lru_cache(maxsize=64)
def _client(url: str, is_async: bool) -> Any:
    kind = AsyncAnthropic if is_async else Anthropic
    return kind(base_url=url, api_key="replay", max_retries=0, timeout=30)


def _method(client: Any, exchange: Exchange, resource: str, rest: str) -> tuple[Any, dict[str, Any]]:
    """The SDK's method for the request, and what it is given."""
    messages = client.beta.messages if exchange.query.get("beta") == "true" else client.messages
    body = exchange.body
    batch = re.fullmatch(r"/batches(?:/([^/]+))?(/results|/cancel)?", rest)
    if batch is not None:
        return _batch_method(messages.batches, exchange, batch[1], batch[2])
    if not isinstance(body, dict):
        raise NotReplayable("its body is no JSON object")
    if resource == "complete":
        return client.post, {"path": "/v1/complete", "cast_to": object, "body": body}
    method = messages.count_tokens if rest == "/count_tokens" else messages.create
    return method, arguments(method, body)


def _batch_method(batches: Any, exchange: Exchange, batch: str | None, verb: str | None) -> tuple[Any, dict[str, Any]]:
    if batch is None:
        return (
            (batches.create, arguments(batches.create, exchange.body))
            if exchange.method == "POST"
            else (batches.list, {})
        )
    method = {"/results": batches.results, "/cancel": batches.cancel, None: batches.retrieve}[verb]
    return method, {"message_batch_id": batch}
