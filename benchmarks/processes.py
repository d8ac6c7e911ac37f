"""What a contender of a benchmark used, and how to ask that of a process: CPU time, memory, files."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """One contender's turn with so many spans. `seconds` until the last could be asked for, `answered_seconds` until
    the last request was answered; `rss` and `size` in bytes. None where there is nothing to say."""

    spans: int
    cpu_seconds: float
    seconds: float
    answered_seconds: float | None = None
    summing_seconds: float = 0.0
    rss: int | None = None
    size: int | None = None


def send(url: str, bodies: Sequence[bytes]) -> None:
    """Export requests in protobuf, one after another. Raises where one is not taken."""
    with httpx2.Client(headers={"content-type": "application/x-protobuf"}, timeout=120) as client:
        for body in bodies:
            client.post(f"{url}/v1/traces", content=body).raise_for_status()


def send_at_once(url: str, bodies: Sequence[bytes], senders: int) -> None:
    """The same by several senders; returns once all are answered."""
    with ThreadPoolExecutor(senders) as pool:
        list(pool.map(lambda n: send(url, bodies[n::senders]), range(senders)))


def settle(pid: int) -> None:
    """Returns once the process has finished what it does when it starts."""
    used = -1.0
    while (now := cpu_of(pid)) > used:
        used = now
        time.sleep(0.5)


def cpu_of(pid: int) -> float:
    """CPU seconds of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss(pid: int, which: str = "VmHWM") -> int:
    """Resident memory in bytes: the most there ever was or, `VmRSS`, now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{which}:")[2].split()[0]) * 1024


def size_of(folder: Path, pattern: str) -> int:
    return sum(file.stat().st_size for file in folder.glob(pattern))
