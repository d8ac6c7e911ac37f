"""The load of `budget_worker.py` under LiteLLM's own `max_budget`, which a process keeps for itself.

    python budget_litellm.py PROVIDER THREADS SEED USD

Runs in an environment that has LiteLLM and not Outlay. Prints the version and how many calls were held back; gives up
after 20 seconds, in which the load would have used up a budget that holds many times over.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from importlib.metadata import version

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

GIVE_UP_S, LONGEST_S = 3.0, 20.0


def main() -> None:
    provider, threads, seed, usd = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    litellm.max_budget = usd
    refusals = [0] * threads

    def call(index: int) -> None:
        draw = random.Random(seed * 1_000 + index)
        began = last = time.monotonic()
        while time.monotonic() - last < GIVE_UP_S and time.monotonic() - began < LONGEST_S:
            words = "word " * draw.randint(1, 200)
            try:
                litellm.completion(
                    model="openai/gpt-4o",
                    api_base=f"{provider}/openai/v1",
                    api_key="sk-test",
                    messages=[{"role": "user", "content": words}],
                    max_tokens=draw.randint(300, 800),
                    num_retries=0,
                )
                last = time.monotonic()
            except litellm.exceptions.BudgetExceededError:
                refusals[index] += 1
                time.sleep(0.05)

    running = [threading.Thread(target=call, args=(index,)) for index in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    print(version("litellm"), sum(refusals), flush=True)
    os._exit(0)  # its logging threads are not worth the wait


if __name__ == "__main__":
    main()
