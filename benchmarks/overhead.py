"""What Outlay adds to a call of an SDK, beside a hand-written span with the same attributes, and beside its peers.

Bare, hand-written and Outlay take turns in short blocks within one process; compared are the lower quartiles of the CPU
time of all threads, for what else the machine does only adds to it. `by hand` sets attributes that are known before the
call is made, the least a span costs; `by hand, read` is what has to be written to know them (`by_hand.py`). The
provider is the HTTP client's in-memory transport, so that nothing but Python is measured. At the end of each block
finished spans are encoded, as OpenTelemetry's exporter and Outlay's delivery do, and the bytes thrown away: all that a
span costs before it is written and sent. With `--unencoded` they are thrown away as they are, for all.

    python benchmarks/overhead.py [--rounds 120] [--calls 20] [--traced] [--unencoded]
    python benchmarks/overhead.py --peers [--only logfire]

With `--peers` each of them is installed into an environment of its own, takes its turns there, and is told with its
versions, or with why it was not installed. Import times and memory are of fresh processes.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import anthropic
import openai
from by_hand import reading_by_hand
from footprint import footprint
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind
from outlay.budgets.gate import OpenGate
from outlay.emit import span_attributes, span_name
from outlay.export import Delivery, Finished
from outlay.otlp import encode
from outlay.patches import Patches
from outlay.prices import PriceBook
from outlay.runtime import Runtime
from outlay.sdks import SDKS
from outlay.settings import Settings, read_settings
from outlay.transport import patch_transport
from peers import PEERS, Patched, alone, environment, versions
from sdk_calls import SIZES, Call, all_calls, http

FLOORS = ("by hand", "by hand, read")
LONG = str(SIZES[-1])
"""Calls that end so take ten times as long as the others, and a quarter of the rounds."""

HANDED_ON_S = 0.5
"""How often processors hand spans on while peers are measured."""

Way = tuple[Callable[[], AbstractContextManager[None]], Call]
"""What is in place while calls are made, and what makes one."""


class Nowhere(SpanExporter):
    """Counts spans and forgets them, encoded or not."""

    def __init__(self, encoded: bool) -> None:
        self.spans = 0
        self._encoded = encoded

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        self.spans += len(spans)
        if self._encoded:
            encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


class Sink(Delivery):
    """Does what the delivery's threads do once it is told to, and throws the outcome away."""

    def __init__(self, settings: Settings, encoded: bool) -> None:
        super().__init__(settings)
        self._encoded = encoded
        self.last: Finished | None = None
        self._tasks: list[Callable[[], object]] = []
        self._finished: list[Finished] = []

    def do_later(self, task: Callable[[], object]) -> int:
        self._tasks.append(task)
        return 0

    def put(self, finished: Finished) -> None:
        self._finished.append(finished)

    def catch_up(self) -> None:
        for task in self._tasks:
            task()
        self._tasks.clear()
        if self._encoded:
            encode(self._finished)
        else:
            for finished in self._finished:
                span_attributes(finished.call)
        self.last = self._finished[-1] if self._finished else self.last
        self.tally.settled([finished.ticket for finished in self._finished])
        self._finished.clear()


class Contenders:
    """The ways of making a call."""

    def __init__(self, tracers: TracerProvider, encoded: bool) -> None:
        self._tracers = tracers
        self.tracer = tracers.get_tracer("by hand")
        settings = read_settings({"OUTLAY_SPOOL_DIR": "off"})  # `delivery.py` measures what the spool costs
        self._sink = Sink(settings, encoded)
        self._runtime = Runtime(settings, PriceBook.bundled(), OpenGate(), self._sink)
        self._patched = Patched(self._patch)
        self._patched.take_away()

    def hand_on(self) -> None:
        """Have all that has ended reach its exporter: each block of calls pays for its own."""
        self._sink.catch_up()
        self._tracers.force_flush()

    @contextmanager
    def bare(self) -> Iterator[None]:
        yield

    def _patch(self) -> None:
        patches = Patches()
        patch_transport(patches, http._client)
        SDKS["openai"].patch(patches, self._runtime, openai._base_client)
        SDKS["anthropic"].patch(patches, self._runtime, anthropic._base_client)

    def outlay(self) -> AbstractContextManager[None]:
        return self._patched.put()

    @contextmanager
    def outlay_alone(self) -> Iterator[None]:
        with alone(), self.outlay():
            yield

    def by_hand(self, call: Call) -> Call:
        """What a careful person writes around the call: one span, the attributes Outlay gives it, set at once."""
        with alone(), self.outlay():
            call()
        self.hand_on()
        assert self._sink.last is not None
        name, attributes = span_name(self._sink.last.call), dict(span_attributes(self._sink.last.call))

        def spanned() -> Any:
            with self.tracer.start_as_current_span(name, kind=SpanKind.CLIENT) as span:
                answer = call()
                span.set_attributes(attributes)
            return answer

        return spanned


def block_us(call: Call, times: int, hand_on: Callable[[], object]) -> float:
    """CPU time of all threads for one call, in microseconds, until its span is handed on. The first is not counted:
    putting patches in makes Python learn the patched classes anew."""
    call()
    hand_on()
    began = time.process_time_ns()
    for _ in range(times):
        call()
    hand_on()
    return (time.process_time_ns() - began) / times / 1000


def costs_us(ways: dict[str, Way], rounds: int, times: int, hand_on: Callable[[], object]) -> dict[str, list[float]]:
    """What a call costs each way, round by round; within a round the ways take turns in an order of chance."""
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name in random.sample(list(ways), len(ways)):
            patched, way = ways[name]
            with patched():
                took = block_us(way, times, hand_on)
            if number:  # the first warms up
                costs[name].append(took)
    return costs


def undisturbed(costs: Sequence[float]) -> float:
    """The lower quartile: what else runs on the machine only ever adds."""
    return sorted(costs)[len(costs) // 4]


def report(kind: str, costs: dict[str, list[float]]) -> None:
    """A line for each way: what it adds in microseconds, and how many hand-written spans of either kind that is, each
    with its 95% interval by resampling rounds."""
    rounds, draw = range(len(costs["bare"])), random.Random(1)
    samples = [tuple(rounds), *(draw.choices(rounds, k=len(rounds)) for _ in range(1000))]
    added: dict[str, list[float]] = {name: [] for name in costs}
    for sample in samples:
        base = {name: undisturbed([values[i] for i in sample]) for name, values in costs.items()}
        for name, cost in base.items():
            added[name].append(cost - base["bare"])
    for name in costs:
        if name != "bare":
            figures = f"{_interval(added[name], 1):>26}" + "".join(
                f"{_interval([_times(ours, floor) for ours, floor in zip(added[name], added[by], strict=True)], 2):>24}"
                for by in FLOORS
            )
            print(f"{kind:24}{undisturbed(costs['bare']):>10.1f}  {name:16}{figures}", flush=True)


def _times(ours: float, floor: float) -> float:
    return ours / floor if floor > 0 else math.inf


def _interval(values: list[float], digits: int) -> str:
    """The first, which is the measured one, and between which two 95% of the others lie."""
    ordered = sorted(values[1:])
    low, high = ordered[len(ordered) // 40], ordered[-len(ordered) // 40]
    return f"{values[0]:.{digits}f} [{low:.{digits}f}..{high:.{digits}f}]"


def measure(peer: str | None, arguments: argparse.Namespace) -> None:
    """All ways of making a call, in turns, in this process. What the peer makes no span of is not measured for it."""
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = str(int(HANDED_ON_S * 1000))
    exporter = Nowhere(not arguments.unencoded)
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(exporter))
    if arguments.traced:
        trace.set_tracer_provider(tracers)
    calls = all_calls()
    for call in calls.values():
        call()  # loads what the SDKs load late
    patched = None if peer is None else Patched(partial(PEERS[peer].switch_on, tracers, exporter))
    if patched is not None:
        patched.take_away()
    contenders = Contenders(tracers, not arguments.unencoded)
    print(f"{'':24}{'bare us':>10}  {'':16}{'adds us':>26}{'times by hand':>24}{'times by hand, read':>24}")
    for kind, call in calls.items():
        ways: dict[str, Way] = {
            "bare": (contenders.bare, call),
            "by hand": (contenders.bare, contenders.by_hand(call)),
            "by hand, read": (contenders.bare, reading_by_hand(contenders.tracer, call)),
            "outlay": (contenders.outlay if arguments.traced else contenders.outlay_alone, call),
        }
        if peer is not None and patched is not None and _traces(patched, call, exporter):
            ways[peer] = (patched.put, call)
        rounds = arguments.rounds // 4 if kind.endswith(LONG) else arguments.rounds
        report(kind, costs_us(ways, rounds, arguments.calls, contenders.hand_on))
    tracers.shutdown()


def _traces(patched: Patched, call: Call, exporter: Nowhere) -> bool:
    """Whether the peer makes a span of that call, be it through a processor of its own."""
    time.sleep(2 * HANDED_ON_S)
    before = exporter.spans
    with patched.put():
        call()
    time.sleep(2 * HANDED_ON_S)
    return exporter.spans > before


def measure_peers(arguments: argparse.Namespace) -> None:
    for name, peer in PEERS.items():
        if arguments.only in (None, name):
            try:
                with environment(peer) as python:
                    beside = ("--rounds", str(arguments.rounds), "--calls", str(arguments.calls), "--beside", name)
                    unencoded = ["--unencoded"] if arguments.unencoded else []
                    subprocess.run([python, __file__, *beside, *unencoded], check=True)
            except subprocess.CalledProcessError as error:
                print(f"{name}: not measured: {(error.stderr or str(error)).strip().splitlines()[-1]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--calls", type=int, default=20, help="in a block")
    parser.add_argument("--traced", action="store_true", help="in an application that has a tracer provider")
    parser.add_argument("--unencoded", action="store_true", help="throw finished spans away as they are")
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
