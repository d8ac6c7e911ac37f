"""Recorded exchanges through the real SDKs: the span's usage is the recording's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent


def test_recordings_played_through_the_sdks_give_spans_with_their_usage(shared: Path) -> None:
    """One exchange in sixty, of every provider; the script alone takes all. A process of its own, as it instruments."""
    script = REPOSITORY / "scripts" / "recordings_replay.py"
    command = [sys.executable, str(script), str(shared / "recordings"), "--every", "60"]
    played = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert played.returncode == 0, played.stdout + played.stderr
    total = next(line.split() for line in played.stdout.splitlines() if line.startswith("total"))
    exchanges, replayable, equal = map(int, total[1:4])
    assert exchanges > replayable == equal > 30
