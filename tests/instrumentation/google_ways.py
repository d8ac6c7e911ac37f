"""Gemini as google-genai reaches it, what it is asked, and what the double's answers cost."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from google import genai

from tests.instrumentation.google_double import GoogleDouble

IS_OLD: Final = int(importlib.metadata.version("google-genai").partition(".")[0]) < 3
QUESTION: Final = "Which rivers end in the Black Sea? Name them all."
MODEL: Final = "gemini-2.5-flash"

# Gemini 2.5 Flash: $0.30 in, $0.03 read from the cache, $2.50 out, each a million tokens; 20 are said, 30 thought.
EXACT: Final = {"": 300_000 + 125_000, "cache": 120_000 + 18_000 + 125_000}
"""Nano-USD of a whole answer."""
CUT: Final = {"": 300_000 + 100_000, "cache": 120_000 + 18_000 + 100_000, "none": 13 * 300 + 10 * 2_500}
"""After two chunks: 10 said, 30 thought by Google's counts; without them 49 characters in and 40 out, four a token."""
FIRST: Final = {"": 300_000 + 87_500, "cache": 120_000 + 18_000 + 87_500, "none": 13 * 300 + 5 * 2_500}
"""After one."""
Clients = Callable[..., genai.Client]
"""`scene` and `http` go into the HTTP options of a client, the rest to the client."""


@dataclass(frozen=True, slots=True)
class Google:
    """Gemini as one of the SDK's HTTP clients reaches it."""

    url: str
    double: GoogleDouble
    transport: str

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Any]:
        """The half of the client that goes over the transport."""
        http: dict[str, Any] = {"base_url": self.url, **options}
        if self.transport == "httpx":
            import httpx
            import httpx2

            http["httpx_async_client"] = (httpx if IS_OLD else httpx2).AsyncClient()
        client = genai.Client(api_key="none", http_options=http)
        yield client if self.transport == "sync" else client.aio
        client.close()
        await client.aio.aclose()
        if self.transport == "httpx":
            await http["httpx_async_client"].aclose()


_sessions = itertools.count()


def config(scene: str, **more: Any) -> dict[str, Any]:
    return {"http_options": {"headers": {"x-scene": scene, "x-session": str(next(_sessions))}}, **more}


def seen(answer: Any) -> Any:
    """What the application has of an answer, but for the time it came at."""
    shown = answer.model_dump(mode="json", exclude={"sdk_http_response": {"headers": {"date", "Date"}}})
    return type(answer), shown


def ask(client: genai.Client, **options: Any) -> Any:
    return client.models.generate_content(model=MODEL, contents=QUESTION, **options)


def statuses(call: dict[str, Any]) -> list[int | None]:
    return [attempt["status"] for attempt in json.loads(call["outlay.attempts"])]
