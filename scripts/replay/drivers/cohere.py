"""Cohere's SDK, its first client and its second: what is asked of Cohere at `/v1` and `/v2`."""

from __future__ import annotations

import inspect
import re
from functools import lru_cache
from typing import Any, Final

import cohere

from replay.drivers import NotReplayable, Play
from replay.recording import Exchange

SDK: Final = "cohere"
_PATH: Final = re.compile(r"/(v[12])/(chat|embed|rerank|classify|generate|summarize|tokenize|detokenize)$")


def play(exchange: Exchange, url: str, is_async: bool) -> Play:
    found = _PATH.match(exchange.path)
    if exchange.provider != "cohere" or found is None or not isinstance(exchange.body, dict):
        raise NotReplayable("no SDK for it")
    streamed = exchange.is_streaming or exchange.body.get("stream") is True
    method = getattr(_client(url, found[1], is_async), found[2] + ("_stream" if streamed else ""), None)
    if method is None:
        raise NotReplayable("cohere has no method for it")
    given = _arguments(method, exchange.body)
    given["request_options"] = {"additional_headers": {"x-replay-id": exchange.id}, "max_retries": 0}
    if is_async:
        return lambda: _taken_async(method(**given))
    return lambda: _taken(method(**given))


@lru_cache(maxsize=8)
def _client(url: str, version: str, is_async: bool) -> Any:
    kind = getattr(cohere, f"{'Async' if is_async else ''}Client{'V2' if version == 'v2' else ''}")
    return kind(api_key="replay", base_url=url, timeout=30)


def _arguments(method: Any, body: dict[str, Any]) -> dict[str, Any]:
    known = inspect.signature(method).parameters
    takes_all = any(each.kind is each.VAR_KEYWORD for each in known.values())
    return {name: value for name, value in body.items() if name != "stream" and (takes_all or name in known)}


def _taken(result: Any) -> None:
    if inspect.isgenerator(result):
        for _ in result:
            pass


async def _taken_async(result: Any) -> None:
    if inspect.isasyncgen(result):
        async for _ in result:
            pass
    else:
        await result
