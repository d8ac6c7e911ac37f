"""What importing and switching on takes: CPU time and memory, each the median of fresh processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

_PROCESSES: Final = 5
_BEFORE: Final = """
import gc, sys, time
sys.path.insert(0, {folder!r})
{prepared}
def resident_mb():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
memory_mb, began = resident_mb(), time.process_time()
{measured}
print((time.process_time() - began) * 1000, resident_mb() - memory_mb)
"""
_SDKS: Final = """
import anthropic, openai
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from sdk_calls import all_calls
calls = all_calls()
for call in calls.values():
    call()
tracers, exporter = TracerProvider(), ConsoleSpanExporter()
"""
_OUTLAY: Final = "import outlay; outlay.instrument(endpoint='http://127.0.0.1:9')"


def footprint(peer: str | None) -> None:
    """Prints a line for the peer, or two for Outlay: by itself, and switched on where the SDKs have been in use."""
    lines = [("import outlay", "", "import outlay"), ("outlay, SDKs loaded", _SDKS, _OUTLAY)]
    if peer is not None:
        switched_on = f"PEERS[{peer!r}].switch_on(tracers, exporter)"
        lines = [(f"{peer}, SDKs loaded", _SDKS + "from peers import PEERS", switched_on)]
    for name, prepared, measured in lines:
        cpu_ms, memory_mb = zip(*(_once(prepared, measured) for _ in range(_PROCESSES)), strict=True)
        print(f"{name:32}{statistics.median(cpu_ms):>8.0f} ms{statistics.median(memory_mb):>8.1f} MB", flush=True)


def _once(prepared: str, measured: str) -> tuple[float, float]:
    program = _BEFORE.format(folder=str(Path(__file__).parent), prepared=prepared, measured=measured)
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    cpu_ms, memory_mb = said.split()[-2:]
    return float(cpu_ms), float(memory_mb)
