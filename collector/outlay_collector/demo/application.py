"""The sample application: a company's assistant, written as its own engineers would write it.

It calls both providers through their real SDKs and knows of Outlay only what README tells: `instrument()` once at its
start, `context()` around each feature. Some of its calls are retried, some fail, and people leave some streams early.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Final, Self

import anthropic
import openai
import outlay

from outlay_collector.demo.visits import Visit

Around = Callable[[Visit], AbstractContextManager[object]]

API_KEY: Final = "synthetic"
CONCURRENT_VISITS: Final = 24
RETRIES: Final = 1

HANDBOOK: Final = "Section: answer in one paragraph, name the page you found it on, and never promise a date. " * 90
"""A system prompt of some 2,000 tokens, long enough for both providers to cache."""

LIBRARY: Final = (
    "Contract clause: the parties agree on seats, on a price for each, and on notice before renewal. " * 120
)
"""What the agent has read: some 3,000 tokens."""


class Application:
    """The assistant. `outcomes` counts visits by what came of them: answered, failed, blocked, left."""

    def __init__(self, openai_url: str, anthropic_url: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self._openai = openai.AsyncOpenAI(base_url=openai_url, api_key=API_KEY, max_retries=RETRIES)
        self._anthropic = anthropic.AsyncAnthropic(base_url=anthropic_url, api_key=API_KEY, max_retries=RETRIES)
        self._features: dict[str, Callable[[Visit], Awaitable[None]]] = {
            "chat": self._chat,
            "search": self._search,
            "summarise": self._summarise,
            "agent": self._agent,
            "labels": self._labels,
            "drafts": self._drafts,
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._openai.close()
        await self._anthropic.close()

    async def serve(self, visits: Iterable[Visit], around: Around) -> None:
        """Serves all visits, some at the same time, each inside the context that `around` makes of it."""
        waiting = iter(visits)

        async def desk() -> None:
            for visit in waiting:
                with around(visit):
                    await self.visit(visit)

        await asyncio.gather(*(desk() for _ in range(CONCURRENT_VISITS)))

    async def visit(self, visit: Visit) -> None:
        """Serves one visit. What fails is counted: the assistant says it is sorry and goes on."""
        with outlay.context(feature=visit.feature, tenant=visit.tenant, user=visit.user, session=visit.session):
            try:
                await self._features[visit.feature](visit)
            except outlay.BudgetExceeded:
                self.outcomes["blocked"] += 1
            except (openai.OpenAIError, anthropic.AnthropicError):
                self.outcomes["failed"] += 1
            else:
                self.outcomes["answered"] += 1

    async def _chat(self, visit: Visit) -> None:
        messages: list[Any] = [{"role": "system", "content": HANDBOOK}, {"role": "user", "content": visit.question}]
        stream = await self._openai.chat.completions.create(model="gpt-4.1", messages=messages, stream=True)
        async for _ in stream:
            pass

    async def _search(self, visit: Visit) -> None:
        texts = [visit.question, *(f"{visit.question} {word}" for word in ("policy", "invoice", "seat"))]
        await self._openai.embeddings.create(model="text-embedding-3-small", input=texts)

    async def _summarise(self, visit: Visit) -> None:
        system: Any = [{"type": "text", "text": HANDBOOK, "cache_control": {"type": "ephemeral"}}]
        messages: list[Any] = [{"role": "user", "content": f"{visit.question} {LIBRARY[:4000]}"}]
        await self._anthropic.messages.create(
            model="claude-haiku-4-5", max_tokens=1024, system=system, messages=messages
        )

    async def _agent(self, visit: Visit) -> None:
        """Plans, looks something up, and writes with a larger model that thinks."""
        plan = await self._openai.responses.create(
            model="gpt-5-mini", input=f"Plan: {visit.question}", max_output_tokens=1024
        )
        await self._search(visit)
        system: Any = [{"type": "text", "text": LIBRARY, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
        messages: list[Any] = [{"role": "user", "content": f"{visit.question} {plan.output_text}"}]
        async with self._anthropic.messages.stream(
            model="claude-sonnet-4-6",
            max_tokens=1536,
            system=system,
            messages=messages,
            thinking={"type": "enabled", "budget_tokens": 1024},
        ) as stream:
            await stream.get_final_message()

    async def _labels(self, visit: Visit) -> None:
        """A model of the company's own, behind an OpenAI-compatible address: nobody has told Outlay its price."""
        await self._openai.chat.completions.create(
            model="labels-7b", messages=[{"role": "user", "content": visit.question}], max_completion_tokens=8
        )

    async def _drafts(self, visit: Visit) -> None:
        """Somebody reads the first words of a draft and goes away."""
        stream = await self._openai.chat.completions.create(
            model="gpt-4.1-mini",
            messages=[{"role": "user", "content": f"Draft a reply. {visit.question}"}],
            stream=True,
            extra_headers={"x-fault": "pace=0.05"},
        )
        async with stream:
            await anext(aiter(stream))
            await anext(aiter(stream))
