"""What delivery costs for each call, with the spool and without it: CPU time of all threads.

The queue is given finished calls, twenty at a time as in `overhead.py`; every batch is encoded, written down, posted to
a collector that takes everything, and taken off the disk. With and without take turns in short blocks; reported is
the median of the paired differences with its 95% interval. Marking a call as at risk is measured by itself: that is in
the application's call.

    python benchmarks/delivery.py [--rounds 150] [--calls 20]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outlay.export import Delivery, Finished
from outlay.model import Attribution, Call, Cost, CostStatus, Usage
from outlay.post import Outcome, Post
from outlay.settings import read_settings
from outlay.spans import identify
from outlay.tally import Tally


class Taker(Post):
    """A collector that takes everything at once."""

    def calls(self, body: bytes, timeout_s: float) -> Outcome:
        del body, timeout_s
        return "taken"


def finished_call() -> Call:
    return Call(
        provider="openai",
        operation="chat",
        model_requested="gpt-4o",
        model_served="gpt-4o-2024-08-06",
        response_id="chatcmpl-1",
        started_at_ns=1_790_000_000_000_000_000,
        ended_at_ns=1_790_000_001_000_000_000,
        http_status=200,
        usage=Usage({"input": 812, "cache_read": 256, "output": 110}),
        cost=Cost(nano_usd=3_450_000, status=CostStatus.EXACT),
        attribution=Attribution(service="shop", environment="prod", feature="chat", user="u1"),
    )


@contextmanager
def delivery(spool: str) -> Iterator[Delivery]:
    settings = read_settings({"OUTLAY_SPOOL_DIR": spool, "OUTLAY_EXPORT_INTERVAL_S": "3600"})
    sending = Delivery(settings)
    sending._backlog._post = Taker(settings)
    sending._is_awake = True  # no thread of its own: everything happens in flush, in this one
    sending._is_started = True
    try:
        yield sending
    finally:
        sending.close()


def us_a_call(sending: Delivery, call: Call, calls: int) -> float:
    began = time.process_time_ns()
    for _ in range(calls):
        ticket = sending.tally.begin()
        sending.tally.ended(ticket)
        sending.put(Finished(call, identify(), ticket))
    assert sending.flush(5)
    return (time.process_time_ns() - began) / calls / 1000


def us_a_mark(tally: Tally, calls: int = 500) -> float:
    """Of taking a ticket and saying that the call is over, without what the delivery's threads do."""
    began = time.process_time_ns()
    tickets = []
    for _ in range(calls):
        tickets.append(ticket := tally.begin())
        tally.ended(ticket)
    spent_ns = time.process_time_ns() - began
    tally.settled(tickets)
    return spent_ns / calls / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--calls", type=int, default=20)
    asked = parser.parse_args()
    call, pairs = finished_call(), []
    with tempfile.TemporaryDirectory() as folder, delivery(str(Path(folder) / "spool")) as on, delivery("off") as off:
        for _ in range(10):
            us_a_call(on, call, asked.calls)
            us_a_call(off, call, asked.calls)
        assert on._spool is not None
        assert on._spool.open()
        for _ in range(asked.rounds):
            pairs.append((us_a_call(on, call, asked.calls), us_a_call(off, call, asked.calls)))
        marks = [us_a_mark(on.tally) for _ in range(99)]
    with_spool, without = (statistics.median(side) for side in zip(*pairs, strict=True))
    differences = sorted(on - off for on, off in pairs)
    middle, reach = len(pairs) / 2, 0.98 * len(pairs) ** 0.5  # of the binomial distribution around the median
    low, high = differences[int(middle - reach)], differences[min(len(pairs) - 1, int(middle + reach))]
    print(f"delivery of a call, without the spool   {without:6.1f} us")
    print(f"delivery of a call, with the spool      {with_spool:6.1f} us")
    print(f"added by the spool                      {statistics.median(differences):6.1f} us [{low:.1f}..{high:.1f}]")
    print(f"of it in the application's call: marks  {statistics.median(marks):6.2f} us")


if __name__ == "__main__":
    main()
