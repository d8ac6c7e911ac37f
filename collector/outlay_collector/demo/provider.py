"""A provider on loopback: OpenAI under `/openai/v1`, Anthropic under `/anthropic`, and a log of the usage it sent.

The log is the independent witness of the tests: one entry an attempt, with the usage as it went out,
written before the client can see it. What an answer says is decided in `answers`, its format in the `_wire` modules,
what goes wrong in `faults`; this module serves, and keeps the books.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from outlay_collector.demo import anthropic_wire, openai_wire
from outlay_collector.demo.answers import Draws, PromptCache, hexadecimal, identifier
from outlay_collector.demo.faults import Chances, Fault, asked

REQUESTS_PER_MINUTE: Final = 10_000
TOKENS_PER_MINUTE: Final = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One attempt as the provider served it.

    `usage` is what was sent, None where nothing was; of a stream's usage objects the later count stands. `complete` is
    False for a stream the client left, or that was cut, before its end. `at` is the time of the request, RFC 3339 UTC.
    """

    at: str
    provider: str
    operation: str
    model: str
    status: int
    request_id: str
    response_id: str | None = None
    usage: Mapping[str, Any] | None = None
    streamed: bool = False
    complete: bool = True


class UsageLog:
    """Entries in memory and, where a path is given, as JSON lines in that file."""

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[Entry] = []
        self._path = path

    def record(self, entry: Entry) -> None:
        self.entries.append(entry)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(entry)) + "\n")


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One request on its way through: who asks what, and the draws that decide its answer."""

    provider: str
    operation: str
    body: Mapping[str, Any]
    draw: Random
    fault: Fault
    started_at: float
    request_id: str

    def entry(self, **fields: Any) -> Entry:
        at = datetime.fromtimestamp(self.started_at, UTC).isoformat()
        served = {"model": str(self.body.get("model")), "streamed": bool(self.body.get("stream")), **fields}
        return Entry(at=at, provider=self.provider, operation=self.operation, request_id=self.request_id, **served)


@dataclass(frozen=True, slots=True)
class _Reply:
    """What the handler of an operation made: the whole body, and its events where a stream was asked for."""

    whole: Mapping[str, Any]
    events: Iterator[tuple[str | None, dict[str, Any]]] | None = None
    done: bytes = b""


class FakeProvider:
    """Both providers in one ASGI application, `app`; what it sent is in `log`.

    It repeats with its seed: the same requests, each as often as before, get the same answers and the same faults.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        chances: Chances | None = None,
        log: UsageLog | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.log = log or UsageLog()
        self._chances = chances or Chances()
        self._draws = Draws(seed)
        self._cache = PromptCache()
        self._clock = clock
        self._minute = 0
        self._requests = 0
        self._tokens = 0
        self.app = Starlette(
            routes=[
                Route("/openai/v1/chat/completions", self._route("openai", "chat", self._chat), methods=["POST"]),
                Route("/openai/v1/responses", self._route("openai", "chat", self._response), methods=["POST"]),
                Route("/openai/v1/embeddings", self._route("openai", "embeddings", self._embeddings), methods=["POST"]),
                Route("/anthropic/v1/messages", self._route("anthropic", "chat", self._message), methods=["POST"]),
            ]
        )

    def _route(self, provider: str, operation: str, answer: Callable[[_Attempt], _Reply]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            raw = await request.body()
            draw = self._draws.of(request.url.path, raw)
            request_id = f"req_{hexadecimal(draw, 32)}" if provider == "openai" else f"req_011C{identifier(draw, 20)}"
            try:
                body = json.loads(raw)
                fault = asked(request.headers) or self._chances.draw(draw)
            except ValueError as problem:
                return self._refusal(provider, 400, str(problem), request_id)
            attempt = _Attempt(provider, operation, body, draw, fault, self._clock(), request_id)
            if not {"authorization", "x-api-key"}.intersection(request.headers.keys()):
                return self._failure(attempt, 401)
            await asyncio.sleep(fault.slow_s)
            return self._failure(attempt, fault.status) if fault.status else self._answer(attempt, answer(attempt))

        return endpoint

    def _chat(self, attempt: _Attempt) -> _Reply:
        made = openai_wire.answer(attempt.draw, self._cache, attempt.body)
        whole = openai_wire.chat_completion(attempt.draw, made, int(attempt.started_at))
        if not attempt.body.get("stream"):
            return _Reply(whole)
        with_usage = bool((attempt.body.get("stream_options") or {}).get("include_usage"))
        return _Reply(whole, openai_wire.chat_chunks(whole, made, with_usage=with_usage), b"data: [DONE]\n\n")

    def _response(self, attempt: _Attempt) -> _Reply:
        made = openai_wire.answer(attempt.draw, self._cache, attempt.body)
        whole = openai_wire.response(attempt.draw, made, attempt.body, int(attempt.started_at))
        return _Reply(whole, openai_wire.response_events(whole, made) if attempt.body.get("stream") else None)

    def _embeddings(self, attempt: _Attempt) -> _Reply:
        return _Reply(openai_wire.embeddings(attempt.draw, attempt.body))

    def _message(self, attempt: _Attempt) -> _Reply:
        made = anthropic_wire.answer(attempt.draw, self._cache, attempt.body)
        whole = anthropic_wire.message(attempt.draw, made)
        return _Reply(whole, anthropic_wire.message_events(whole, made) if attempt.body.get("stream") else None)

    def _answer(self, attempt: _Attempt, reply: _Reply) -> Response:
        headers = self._headers(attempt, reply.whole["usage"])
        known = {"status": 200, "model": reply.whole["model"], "response_id": reply.whole.get("id")}
        if reply.events is None:
            self.log.record(attempt.entry(**known, usage=reply.whole["usage"]))
            return JSONResponse(reply.whole, headers=headers)
        body = self._stream(attempt, reply, known)
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)

    async def _stream(self, attempt: _Attempt, reply: _Reply, known: dict[str, Any]) -> AsyncIterator[bytes]:
        """The events, and the entry of the log: before the last event, or when the stream ends without it."""
        assert reply.events is not None
        events = list(reply.events)
        usage: dict[str, Any] = {}
        complete = False
        try:
            for number, event in enumerate(events):
                if number == attempt.fault.cut:
                    raise ConnectionResetError("the stream is cut on purpose")
                usage = {**usage, **_usage_in(event[1])}
                if number == len(events) - 1:
                    complete = True
                    self.log.record(attempt.entry(**known, usage=usage or None))
                yield _sse(event)
                await asyncio.sleep(attempt.fault.pace_s)
            yield reply.done
        finally:
            if not complete:
                self.log.record(attempt.entry(**known, usage=usage or None, complete=False))

    def _failure(self, attempt: _Attempt, status: int) -> Response:
        self.log.record(attempt.entry(status=status))
        message = f"synthetic {status} of the fake provider"
        return self._refusal(attempt.provider, status, message, attempt.request_id, self._headers(attempt, {}))

    def _refusal(
        self, provider: str, status: int, message: str, request_id: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        kind, code = _ERRORS[provider].get(status, _ERRORS[provider][500])
        if provider == "openai":
            body = openai_wire.error(kind, message, code)
        else:
            body = anthropic_wire.error(kind, message, request_id)
        wait = self._chances.retry_after_s
        retry = {"retry-after": f"{wait:g}", "retry-after-ms": f"{wait * 1000:g}"} if status in _RETRIED else {}
        return JSONResponse(body, status, {**(headers or {}), **retry})

    def _headers(self, attempt: _Attempt, usage: Mapping[str, Any]) -> dict[str, str]:
        """Request id and headroom, in the provider's own names, after this request has taken its share."""
        minute = int(attempt.started_at // 60)
        if minute != self._minute:
            self._minute, self._requests, self._tokens = minute, 0, 0
        self._requests += 1
        self._tokens += sum(
            v for k, v in usage.items() if k.endswith("_tokens") and k != "total_tokens" and isinstance(v, int)
        )
        limits = {
            "requests": (REQUESTS_PER_MINUTE, max(0, REQUESTS_PER_MINUTE - self._requests)),
            "tokens": (TOKENS_PER_MINUTE, max(0, TOKENS_PER_MINUTE - self._tokens)),
        }
        reset_s = (minute + 1) * 60 - attempt.started_at
        if attempt.provider == "openai":
            return _openai_headers(attempt.request_id, limits, reset_s)
        return _anthropic_headers(attempt.request_id, limits, attempt.started_at + reset_s)


_RETRIED: Final = (429, 500, 503, 529)
_ERRORS: Final[dict[str, dict[int, tuple[str, str | None]]]] = {
    "openai": {
        400: ("invalid_request_error", None),
        401: ("invalid_request_error", "invalid_api_key"),
        429: ("requests", "rate_limit_exceeded"),
        500: ("server_error", None),
    },
    "anthropic": {
        400: ("invalid_request_error", None),
        401: ("authentication_error", None),
        429: ("rate_limit_error", None),
        500: ("api_error", None),
        529: ("overloaded_error", None),
    },
}


def _openai_headers(request_id: str, limits: Mapping[str, tuple[int, int]], reset_s: float) -> dict[str, str]:
    headers = {"x-request-id": request_id, "openai-version": "2020-10-01", "openai-processing-ms": "1"}
    for name, (limit, remaining) in limits.items():
        headers[f"x-ratelimit-limit-{name}"] = str(limit)
        headers[f"x-ratelimit-remaining-{name}"] = str(remaining)
        headers[f"x-ratelimit-reset-{name}"] = f"{reset_s:.3f}s"
    return headers


def _anthropic_headers(request_id: str, limits: Mapping[str, tuple[int, int]], reset_at: float) -> dict[str, str]:
    reset = (datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(reset_at))).strftime("%Y-%m-%dT%H:%M:%SZ")
    headers = {"request-id": request_id}
    for name, (limit, remaining) in limits.items():
        headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        headers[f"anthropic-ratelimit-{name}-remaining"] = str(remaining)
        headers[f"anthropic-ratelimit-{name}-reset"] = reset
    return headers


def _usage_in(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The usage object of an event, wherever its format keeps it; empty where it has none."""
    for holder in (event, event.get("message"), event.get("response")):
        if holder and holder.get("usage"):
            usage: Mapping[str, Any] = holder["usage"]
            return usage
    return {}


def _sse(event: tuple[str | None, dict[str, Any]]) -> bytes:
    name, data = event
    text = json.dumps(data, separators=(",", ":"))
    return (f"event: {name}\ndata: {text}\n\n" if name else f"data: {text}\n\n").encode()
