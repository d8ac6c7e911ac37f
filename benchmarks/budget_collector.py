"""A collector whose clock jumps: forward by 45 seconds at SIGUSR1, back by 90 at SIGUSR2.

python budget_collector.py DATABASE_URL PORT
"""

from __future__ import annotations

import signal
import sys
import time

from outlay_collector.app import create_app
from outlay_collector.serving import Server
from outlay_collector.settings import Settings, Store

NANO = 10**9


def main() -> None:
    offset_ns = 0

    def jump(number: int, _frame: object) -> None:
        nonlocal offset_ns
        offset_ns += 45 * NANO if number == signal.SIGUSR1 else -90 * NANO

    signal.signal(signal.SIGUSR1, jump)
    signal.signal(signal.SIGUSR2, jump)
    app = create_app(Settings(store=Store(url=sys.argv[1])), clock=lambda: time.time_ns() + offset_ns)
    with Server(app, port=int(sys.argv[2]), log_level="critical"):
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
