"""What delivery costs for each call, with the spool and without it: CPU time of all threads.

The queue is given finished calls, twenty at a time as in `overhead.py`; every batch is encoded, written down, posted to
a collector that takes everything, and taken off the disk. With and without take turns in short blocks; reported is
the median of the paired differences with its 95% interval. Marking a call as at risk is measured by itself: that is in
the application's call. So is encoding, beside what OpenTelemetry's exporter takes for a span with the same attributes.

    python benchmarks/delivery.py [--rounds 150] [--calls 20]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from outlay.emit import span_attributes, span_name
from outlay.export import Delivery, Finished
from outlay.model import Attempt, Attribution, Call, Usage
from outlay.otlp import encode
from outlay.post import Outcome, Post
from outlay.prices import PriceBook
from outlay.settings import read_settings
from outlay.spans import identify
from outlay.tally import Tally


class Taker(Post):
    """A collector that takes everything at once."""

    def calls(self, body: bytes, timeout_s: float) -> Outcome:
        del body, timeout_s
        return "taken"


def finished_call() -> Call:
    started_at_ns, model = 1_790_000_000_000_000_000, "gpt-4o-2024-08-06"
    usage = Usage({"input": 812, "cache_read": 256, "output": 110})
    return Call(
        provider="openai",
        operation="chat",
        model_requested="gpt-4o",
        model_served=model,
        response_id="chatcmpl-1",
        request_id="req_1",
        server_address="api.openai.com",
        started_at_ns=started_at_ns,
        ended_at_ns=1_790_000_001_000_000_000,
        finish_reasons=("stop",),
        http_status=200,
        attempts=(Attempt(status=200, duration_ms=998.2),),
        usage=usage,
        usage_raw={
            "prompt_tokens": 1068,
            "completion_tokens": 110,
            "total_tokens": 1178,
            "prompt_tokens_details": {"cached_tokens": 256},
        },
        cost=PriceBook.bundled().cost(usage, provider="openai", model=model, at_ns=started_at_ns),
        attribution=Attribution(service="shop", environment="prod", feature="chat", user="u1"),
    )


@contextmanager
def delivery(spool: str) -> Iterator[Delivery]:
    settings = read_settings({"OUTLAY_SPOOL_DIR": spool, "OUTLAY_EXPORT_INTERVAL_S": "3600"})
    sending = Delivery(settings)
    sending._backlog._post = Taker(settings)
    sending._is_awake = True  # no thread of its own: everything happens in flush, in this one
    sending.is_started = True
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


def as_span(call: Call) -> ReadableSpan:
    """What a tracer of OpenTelemetry's SDK makes of it."""
    span = TracerProvider().get_tracer("outlay").start_span(span_name(call), attributes=span_attributes(call))
    span.end()
    assert isinstance(span, ReadableSpan)
    return span


def us_to_encode(encode_all: Callable[[], object], calls: int) -> float:
    began = time.process_time_ns()
    encode_all()
    return (time.process_time_ns() - began) / calls / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--calls", type=int, default=20)
    asked = parser.parse_args()
    call, pairs = finished_call(), []
    finished, spans = [Finished(call, identify())] * asked.calls, [as_span(call)] * asked.calls
    ours, theirs = zip(
        *(
            (
                us_to_encode(lambda: encode(finished), asked.calls),
                us_to_encode(lambda: encode_spans(spans).SerializeToString(), asked.calls),
            )
            for _ in range(asked.rounds)
        ),
        strict=True,
    )
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
    print(f"encoding a call                         {statistics.median(ours):6.1f} us")
    print(f"encoding its span, by the exporter      {statistics.median(theirs):6.1f} us")
    print(f"delivery of a call, without the spool   {without:6.1f} us")
    print(f"delivery of a call, with the spool      {with_spool:6.1f} us")
    print(f"added by the spool                      {statistics.median(differences):6.1f} us [{low:.1f}..{high:.1f}]")
    print(f"of it in the application's call: marks  {statistics.median(marks):6.2f} us")


if __name__ == "__main__":
    main()
