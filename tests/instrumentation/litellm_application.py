"""An application that calls models through LiteLLM, in an environment of its own: LiteLLM pins another OpenAI SDK.

    python litellm_application.py PROVIDER COLLECTOR WAY

Prints one line of JSON: what it was answered, or the error it got.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from typing import Any

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OUTLAY_STRICT": "1"}

import litellm
import outlay

PROVIDER, COLLECTOR, WAY = sys.argv[1:]
KIND, _, HOW = WAY.partition("-")
CLIENTS: dict[str, dict[str, Any]] = {
    "openai": {"model": "openai/gpt-4o", "api_base": f"{PROVIDER}/openai/v1"},
    "anthropic": {"model": "anthropic/claude-sonnet-4-6", "api_base": f"{PROVIDER}/anthropic"},
}
ASKED: dict[str, Any] = {
    **CLIENTS[KIND],
    "api_key": "none",
    "messages": [{"role": "user", "content": "Which rivers end in the Black Sea?"}],
    "max_tokens": 50,
    "num_retries": 0,
    "max_retries": 0,
}


def ask() -> Any:
    if "stream" not in HOW:
        return litellm.completion(**ASKED).choices[0].message.content
    stream = litellm.completion(**ASKED, stream=True, stream_options={"include_usage": True})
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


async def ask_async() -> Any:
    if "stream" not in HOW:
        return (await litellm.acompletion(**ASKED)).choices[0].message.content
    stream = await litellm.acompletion(**ASKED, stream=True, stream_options={"include_usage": True})
    said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    del stream
    for _ in range(20):
        gc.collect()
        await asyncio.sleep(0)
    return said


def main() -> None:
    if "refused" in HOW:
        os.environ["OUTLAY_BUDGETS_REQUIRED"] = "1"
    outlay.instrument(endpoint=COLLECTOR)
    if "error" in HOW:
        ASKED["extra_headers"] = {"x-fault": "429"}
    try:
        answer = asyncio.run(ask_async()) if HOW.startswith("async") else ask()
    except Exception as error:  # noqa: BLE001 - which it is, is what the test looks at
        answer = f"{type(error).__module__.partition('.')[0]}.{type(error).__name__}"
    gc.collect()
    outlay.flush()
    sys.stdout.write(json.dumps({"answer": answer}) + "\n")
    sys.stdout.flush()
    os._exit(0)  # LiteLLM's logging threads are not worth the wait


if __name__ == "__main__":
    main()
