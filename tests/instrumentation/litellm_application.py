"""An application that calls models through LiteLLM, in an environment of its own: LiteLLM pins another OpenAI SDK.

    python litellm_application.py PROVIDER COLLECTOR

Makes a call in every way and tags it with the way. Prints a line of JSON each: the way, the tokens LiteLLM was told of,
in and out, or the error the application got, and when it had all of it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from typing import Any

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OUTLAY_STRICT": "1"}

import litellm
import outlay

PROVIDER, COLLECTOR = sys.argv[1:]
CLIENTS: dict[str, dict[str, Any]] = {
    "openai": {"model": "openai/gpt-4o", "api_base": f"{PROVIDER}/openai/v1"},
    "anthropic": {"model": "anthropic/claude-sonnet-4-6", "api_base": f"{PROVIDER}/anthropic"},
}
ASKED: dict[str, Any] = {
    "api_key": "none",
    "messages": [{"role": "user", "content": "Which rivers end in the Black Sea?"}],
    "max_tokens": 50,
    "num_retries": 0,
    "max_retries": 0,
}


def asked(provider: str, how: str) -> dict[str, Any]:
    found = {**ASKED, **CLIENTS[provider]}
    if "stream" in how:
        found |= {"stream": True, "stream_options": {"include_usage": True}}
    if "error" in how:
        found |= {"extra_headers": {"x-fault": "429"}}
    return found


def told(answers: list[Any]) -> tuple[list[int], int]:
    """The tokens, and what time it is."""
    now_ns = time.time_ns()
    usage = next(answer.usage for answer in reversed(answers) if getattr(answer, "usage", None))
    return [usage.prompt_tokens, usage.completion_tokens], now_ns


def ask(provider: str, how: str) -> tuple[list[int], int]:
    answer = litellm.completion(**asked(provider, how))
    return told(list(answer) if "stream" in how else [answer])


async def ask_async(provider: str, how: str) -> tuple[list[int], int]:
    answer = await litellm.acompletion(**asked(provider, how))
    found = told([chunk async for chunk in answer] if "stream" in how else [answer])
    del answer
    for _ in range(20):
        gc.collect()
        await asyncio.sleep(0)  # in which the loop closes what was dropped
    return found


def play(provider: str, how: str) -> None:
    way = f"{provider} {how}"
    try:
        with outlay.context(tags={"way": way}):
            answer: Any
            answer, at_ns = asyncio.run(ask_async(provider, how)) if "async" in how else ask(provider, how)
    except Exception as error:  # noqa: BLE001 - which it is, is what the test looks at
        answer, at_ns = f"{type(error).__module__.partition('.')[0]}.{type(error).__name__}", time.time_ns()
    gc.collect()
    sys.stdout.write(json.dumps([way, answer, at_ns]) + "\n")


def main() -> None:
    outlay.instrument(endpoint=COLLECTOR)
    for provider in CLIENTS:
        for kind in ("sync", "async"):
            for how in ("whole", "stream", "error"):
                play(provider, f"{kind} {how}")
    outlay.flush(timeout_s=30)
    outlay.uninstrument()
    os.environ["OUTLAY_BUDGETS_REQUIRED"] = "1"
    outlay.instrument(endpoint=COLLECTOR)
    for provider in CLIENTS:
        for kind in ("sync", "async"):
            play(provider, f"{kind} refused")
    outlay.flush(timeout_s=30)
    sys.stdout.flush()
    os._exit(0)  # LiteLLM's logging threads are not worth the wait


if __name__ == "__main__":
    main()
