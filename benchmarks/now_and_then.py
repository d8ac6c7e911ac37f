"""What the threads of an application use that makes a call now and then, whose caches are cold each time.

`overhead.py` and `delivery.py` make calls as fast as they can, and twenty are read and encoded at once. Here an
application makes a few a second, and what its other threads use is counted for each call: Outlay's, which read, price,
encode, write down and send, and keep its budgets; beside them the one of OpenTelemetry's SDK that encodes and sends a
hand-written span with as many attributes, every five seconds and nothing on disk. Both to the same collector, each in
processes of their own, in turns.

    python benchmarks/now_and_then.py [--rate 5] [--seconds 30] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import outlay
from delivery import finished_call
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from outlay.emit import span_attributes, span_name
from sdk_calls import all_calls

_STARTED_S: Final = 12.0
"""Until all that is loaded at the first call, the first request and the first look at budgets has been."""


@contextmanager
def collector(folder: str) -> Iterator[str]:
    command = [str(Path(sys.executable).with_name("outlay")), "up", "--no-dashboard", "--port", "0"]
    command += ["--grpc-port", "off", "--db", f"sqlite:///{folder}/outlay.db"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield next(line.split()[1] for line in process.stdout if line.startswith("Collector"))
    finally:
        process.terminate()
        process.wait(30)


def with_outlay(url: str) -> Callable[[], object]:
    outlay.instrument("openai", endpoint=url)
    return all_calls()["openai unary"]


def by_hand(url: str) -> Callable[[], object]:
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces")))
    tracer, call = tracers.get_tracer("by hand"), all_calls()["openai unary"]
    name, attributes = span_name(finished_call()), dict(span_attributes(finished_call()))

    def spanned() -> object:
        with tracer.start_as_current_span(name) as span:
            answer = call()
            span.set_attributes(attributes)
        return answer

    return spanned


WAYS: Final = {"outlay": with_outlay, "by hand": by_hand}


def us_a_call(call: Callable[[], object], rate: float, seconds: float) -> float:
    """CPU time of all threads but this one."""
    _make(call, rate, _STARTED_S)
    before = _others_ns()
    calls = _make(call, rate, seconds)
    return (_others_ns() - before) / calls / 1000


def _make(call: Callable[[], object], rate: float, seconds: float) -> int:
    calls, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        call()
        calls += 1
        time.sleep(1 / rate)
    return calls


def _others_ns() -> int:
    this = threading.get_native_id()
    tasks = (task for task in Path("/proc/self/task").iterdir() if task.name != str(this))
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=5.0, help="calls a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", nargs=2, metavar=("WAY", "URL"), help="one turn, in this process")
    options = parser.parse_args()
    if options.way:
        way, url = options.way
        print(us_a_call(WAYS[way](url), options.rate, options.seconds))
        return
    used: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder, collector(folder) as url:
        for _ in range(options.rounds):
            for way, figures in used.items():
                asked = ["--rate", str(options.rate), "--seconds", str(options.seconds), "--way", way, url]
                said = subprocess.run([sys.executable, __file__, *asked], check=True, stdout=subprocess.PIPE, text=True)
                figures.append(float(said.stdout))
    for way, figures in used.items():
        print(
            f"{way:10}{statistics.median(figures):8.0f} us a call of other threads' CPU, at {options.rate:g} a second"
        )


if __name__ == "__main__":
    main()
