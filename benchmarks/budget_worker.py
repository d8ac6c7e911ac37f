"""One process of `budget_stress.py`: threads and asyncio tasks that call until the budget holds them back for a while.

    python budget_worker.py PROVIDER COLLECTOR THREADS TASKS SEED

Prints how many calls were held back.
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time

import openai
import outlay

GIVE_UP_S, LONGEST_S = 6.0, 300.0


class Caller:
    """What one thread or task asks for, and how long it tries on."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._began = self._last = time.monotonic()
        self.refusals = 0

    @property
    def goes_on(self) -> bool:
        now = time.monotonic()
        return now - self._last < GIVE_UP_S and now - self._began < LONGEST_S

    def request(self) -> dict[str, object]:
        words = "word " * self._draw.randint(1, 200)
        messages = [{"role": "user", "content": words}]
        return {"model": "gpt-4o", "messages": messages, "max_tokens": self._draw.randint(300, 800)}

    def answered(self) -> None:
        self._last = time.monotonic()

    def refused(self, error: outlay.BudgetExceeded) -> None:
        self.refusals += 1
        if error.reason != "no_room":  # nobody could be asked: that is no verdict
            self._last = time.monotonic()


def call_in_thread(base_url: str, caller: Caller) -> None:
    client = openai.OpenAI(base_url=base_url, api_key="sk-test", max_retries=0)
    while caller.goes_on:
        try:
            client.chat.completions.create(**caller.request())  # type: ignore[call-overload]  # keys drawn at random
            caller.answered()
        except outlay.BudgetExceeded as error:
            caller.refused(error)
            time.sleep(0.05)


async def call_in_tasks(base_url: str, callers: list[Caller]) -> None:
    client = openai.AsyncOpenAI(base_url=base_url, api_key="sk-test", max_retries=0)

    async def call(caller: Caller) -> None:
        while caller.goes_on:
            try:
                await client.chat.completions.create(**caller.request())  # type: ignore[call-overload]  # as above
                caller.answered()
            except outlay.BudgetExceeded as error:
                caller.refused(error)
                await asyncio.sleep(0.05)

    await asyncio.gather(*map(call, callers))


def main() -> None:
    provider, collector, threads, tasks, seed = *sys.argv[1:3], *map(int, sys.argv[3:])
    outlay.instrument("openai", endpoint=collector, service=f"worker-{seed}")
    base_url = f"{provider}/openai/v1"
    callers = [Caller(seed * 1_000 + number) for number in range(threads + tasks)]
    running = [threading.Thread(target=call_in_thread, args=(base_url, caller)) for caller in callers[:threads]]
    for thread in running:
        thread.start()
    asyncio.run(call_in_tasks(base_url, callers[threads:]))
    for thread in running:
        thread.join()
    outlay.uninstrument()
    print(sum(caller.refusals for caller in callers))


if __name__ == "__main__":
    main()
