"""OpenAI's and Anthropic's clients, sync and async, and what they are asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import anthropic
import openai
import pytest
from pydantic import BaseModel

from tests.instrumentation.doubles import items, settled

QUESTION: Final = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]
both_kinds = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
Ask = Callable[[Any], Any]


class River(BaseModel):
    river: str


async def read_all(stream: Any) -> None:
    assert [item async for item in items(await settled(stream))]


def openai_at(url: str, is_async: bool) -> Any:
    return (openai.AsyncOpenAI if is_async else openai.OpenAI)(api_key="none", base_url=f"{url}/v1", max_retries=0)


def anthropic_at(url: str, is_async: bool) -> Any:
    kind = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
    return kind(api_key="none", base_url=url, max_retries=0)


async def made(client: Any, ask: Ask) -> Any:
    """What was asked for; a skip where this version of the SDK has no such method."""
    try:
        asked = ask(client)
    except (AttributeError, TypeError) as missing:
        pytest.skip(f"not in this version: {missing}")
    answer = await asked if isinstance(asked, Awaitable) else asked
    await settled(client.close())
    return answer
