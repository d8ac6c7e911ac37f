"""An application of its own: makes calls under Outlay as it is told, for tests that end it one way or another.

    python application.py COLLECTOR PROVIDER ACT [COUNT]

It prints the id of every answer as soon as it has it. Settings come from the environment. One that waits makes as many
calls more as each line of its input says, and ends with its input.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import openai
import outlay

QUESTION: Any = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]


def ask(client: openai.OpenAI) -> str:
    return client.chat.completions.create(model="gpt-4.1-mini", messages=QUESTION).id


def tell(text: str) -> None:
    os.write(1, f"{text}\n".encode())  # one write: processes share the pipe


def call(provider: str, count: int) -> None:
    with openai.OpenAI(api_key="none", base_url=provider) as client:
        for _ in range(count):
            tell(ask(client))


def call_and_wait(provider: str, count: int) -> None:
    call(provider, count)
    tell("waiting")
    for line in sys.stdin:
        call(provider, int(line))
        tell("waiting")


def call_without_end(provider: str, count: int) -> None:
    """So many threads at once, until somebody ends the process."""

    def go_on() -> None:
        with openai.OpenAI(api_key="none", base_url=provider) as client:
            while True:
                tell(ask(client))

    for _ in range(count):
        threading.Thread(target=go_on, daemon=True).start()
    threading.Event().wait()


def call_and_flush(provider: str, count: int) -> None:
    call(provider, count)
    tell(f"flushed {outlay.flush()}")


ACTS: dict[str, Callable[[str, int], None]] = {
    "call": call,
    "wait": call_and_wait,
    "load": call_without_end,
    "flush": call_and_flush,
}


if __name__ == "__main__":
    collector, provider, act, *count = sys.argv[1:]
    outlay.instrument("openai", endpoint=collector, service="shop")
    ACTS[act](provider, int(*count) if count else 1)
