"""What Outlay adds to a call of an SDK, beside a hand-written span with the same attributes, and beside its peers.

Bare, hand-written and Outlay take turns in short blocks within one process; reported is the median of the paired
differences in CPU time of all threads, with its 95% interval, and the median of the ratios to the hand-written span of
the same round with its own. The provider is the HTTP client's in-memory transport, so that nothing but Python is
measured; finished spans go to an exporter that throws them away, for all alike.

    python benchmarks/overhead.py [--rounds 120] [--calls 20] [--traced]
    python benchmarks/overhead.py --peers [--only logfire]

With `--peers` each of them is installed into an environment of its own, takes its turns there, and is told with its
versions, or with why it was not installed. Import times and memory are of fresh processes.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import anthropic
import openai
from footprint import footprint
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind
from outlay.budgets.gate import OpenGate
from outlay.emit import span_attributes, span_name
from outlay.export import Delivery, Finished
from outlay.patches import Patches
from outlay.prices import PriceBook
from outlay.runtime import Runtime
from outlay.sdks import SDKS
from outlay.settings import Settings, read_settings
from outlay.transport import patch_transport
from peers import PEERS, Patched, alone, environment, versions
from sdk_calls import Call, all_calls, http

Way = tuple[Callable[[], AbstractContextManager[None]], Call]
"""What is in place while calls are made, and what makes one."""


class Nowhere(SpanExporter):
    """Counts spans and forgets them."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


class Sink(Delivery):
    """Does what the delivery's thread does, and throws the outcome away. `batch` is how many calls come together before
    it looks at them: a block of them, so that each block pays for its own."""

    def __init__(self, settings: Settings, batch: int) -> None:
        super().__init__(settings)
        self._batch = batch
        self.last: Finished | None = None
        self._tasks: list[Callable[[], object]] = []
        self._finished: list[Finished] = []

    def do_later(self, task: Callable[[], object]) -> int:
        self._tasks.append(task)
        if len(self._tasks) >= self._batch:
            self.catch_up()
        return 0

    def catch_up(self) -> None:
        for task in self._tasks:
            task()
        self._tasks.clear()
        for finished in self._finished:
            span_attributes(finished.call)
        self.last = self._finished[-1] if self._finished else self.last
        self.tally.settled([finished.ticket for finished in self._finished])
        self._finished.clear()

    def put(self, finished: Finished) -> None:
        self._finished.append(finished)
        if len(self._finished) >= self._batch and not self._tasks:  # of calls that were read at once
            self.catch_up()


class Contenders:
    """The three ways of making a call."""

    def __init__(self, tracers: TracerProvider, batch: int) -> None:
        self._tracer = tracers.get_tracer("by hand")
        settings = read_settings({"OUTLAY_SPOOL_DIR": "off"})  # `delivery.py` measures what the spool costs
        self._sink = Sink(settings, batch)
        self._runtime = Runtime(settings, PriceBook.bundled(), OpenGate(), self._sink)

    @contextmanager
    def bare(self) -> Iterator[None]:
        yield

    @contextmanager
    def outlay(self) -> Iterator[None]:
        patches = Patches()
        patch_transport(patches, http._client)
        SDKS["openai"].patch(patches, self._runtime, openai._base_client)
        SDKS["anthropic"].patch(patches, self._runtime, anthropic._base_client)
        yield
        patches.undo()

    @contextmanager
    def outlay_alone(self) -> Iterator[None]:
        with alone(), self.outlay():
            yield

    def by_hand(self, call: Call) -> Call:
        """What a careful person writes around the call: one span, the attributes Outlay gives it, set at once."""
        with alone(), self.outlay():
            call()
            self._sink.catch_up()
        assert self._sink.last is not None
        name, attributes = span_name(self._sink.last.call), dict(span_attributes(self._sink.last.call))

        def spanned() -> Any:
            with self._tracer.start_as_current_span(name, kind=SpanKind.CLIENT) as span:
                answer = call()
                span.set_attributes(attributes)
            return answer

        return spanned


def block_us(call: Call, times: int) -> float:
    """CPU time of all threads for one call, in microseconds."""
    began = time.process_time_ns()
    for _ in range(times):
        call()
    return (time.process_time_ns() - began) / times / 1000


def added_us(ways: dict[str, Way], rounds: int, times: int) -> dict[str, list[float]]:
    """The cost of the bare call, and of each other way over the bare call of the same round."""
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        round_us = {}
        for name in random.sample(list(ways), len(ways)):
            patched, way = ways[name]
            with patched():
                round_us[name] = block_us(way, times)
        if number:  # the first warms up
            for name, took in round_us.items():
                costs[name].append(took - round_us["bare"] if name != "bare" else took)
    return costs


def interval(values: list[float]) -> tuple[float, float, float]:
    """The median and the 95% interval of it, by order statistics."""
    ordered, half = sorted(values), 0.98 * len(values) ** 0.5
    middle = len(ordered) / 2
    low, high = ordered[max(0, int(middle - half))], ordered[min(len(ordered) - 1, int(middle + half))]
    return statistics.median(ordered), low, high


def ratio(values: list[float], floor: list[float]) -> tuple[float, float, float]:
    """How many times the floor's cost: the ratio of the medians, with the 95% interval of it by resampling rounds."""
    draw = random.Random(1)
    rounds = range(len(values))
    resampled = []
    for _ in range(1000):
        picked = draw.choices(rounds, k=len(rounds))
        resampled.append(statistics.median(values[i] for i in picked) / statistics.median(floor[i] for i in picked))
    resampled.sort()
    return statistics.median(values) / statistics.median(floor), resampled[25], resampled[974]


def report(kind: str, costs: dict[str, list[float]]) -> None:
    """A line for each way: what it adds in microseconds, and how many hand-written spans that is."""
    bare = interval(costs["bare"])[0]
    for name, values in costs.items():
        if name == "bare":
            continue
        added = "{:.1f} [{:.1f}..{:.1f}]".format(*interval(values))
        times = "{:.2f} [{:.2f}..{:.2f}]".format(*ratio(values, costs["by hand"]))
        print(f"{kind:24}{bare:>10.1f}  {name:16}{added:>26}{times:>24}", flush=True)


def measure(peer: str | None, arguments: argparse.Namespace) -> None:
    """All ways of making a call, in turns, in this process. What the peer makes no span of is not measured for it."""
    exporter = Nowhere()
    processor = BatchSpanProcessor(exporter)
    tracers = TracerProvider()
    tracers.add_span_processor(processor)
    if arguments.traced:
        trace.set_tracer_provider(tracers)
    calls = all_calls()
    for call in calls.values():
        call()  # loads what the SDKs load late
    patched = None if peer is None else Patched(partial(PEERS[peer].switch_on, tracers, processor))
    if patched is not None:
        patched.take_away()
    contenders = Contenders(tracers, arguments.calls)
    print(f"{'':24}{'bare us':>10}  {'':16}{'adds us':>26}{'times by hand':>24}")
    for kind, call in calls.items():
        ways: dict[str, Way] = {
            "bare": (contenders.bare, call),
            "by hand": (contenders.bare, contenders.by_hand(call)),
            "outlay": (contenders.outlay if arguments.traced else contenders.outlay_alone, call),
        }
        if peer is not None and patched is not None and _traces(patched, call, tracers, exporter):
            ways[peer] = (patched.put, call)
        report(kind, added_us(ways, arguments.rounds, arguments.calls))
    tracers.shutdown()


def _traces(patched: Patched, call: Call, tracers: TracerProvider, exporter: Nowhere) -> bool:
    """Whether the peer makes a span of that call."""
    tracers.force_flush()
    before = exporter.spans
    with patched.put():
        call()
    tracers.force_flush()
    return exporter.spans > before


def measure_peers(arguments: argparse.Namespace) -> None:
    for name, peer in PEERS.items():
        if arguments.only in (None, name):
            try:
                with environment(peer) as python:
                    beside = ("--rounds", str(arguments.rounds), "--calls", str(arguments.calls), "--beside", name)
                    subprocess.run([python, __file__, *beside], check=True)
            except subprocess.CalledProcessError as error:
                print(f"{name}: not measured: {(error.stderr or str(error)).strip().splitlines()[-1]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--calls", type=int, default=20, help="in a block, and in a batch of the delivery")
    parser.add_argument("--traced", action="store_true", help="in an application that has a tracer provider")
    parser.add_argument("--peers", action="store_true", help="beside other instrumentations, each in its environment")
    parser.add_argument("--only", choices=PEERS, help="with --peers: beside this one")
    parser.add_argument("--beside", choices=PEERS, help="beside this one, which is installed here")
    arguments = parser.parse_args()
    if arguments.peers:
        measure_peers(arguments)
        return
    if arguments.beside:
        print(f"== {versions(PEERS[arguments.beside])}")
    measure(arguments.beside, arguments)
    footprint(arguments.beside)


if __name__ == "__main__":
    main()
