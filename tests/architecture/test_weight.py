"""`outlay` goes into other people's processes: what importing it may load."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {
    "anthropic",
    "fastapi",
    "genai_prices",
    "google.genai",
    "google.protobuf",
    "httpx",
    "httpx2",
    "openai",
    "opentelemetry.exporter.otlp.proto.http",
    "pandas",
    "pydantic",
    "requests",
    "sqlalchemy",
    "streamlit",
}


def modules_after(statement: str) -> set[str]:
    listing = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(json.loads(listing.stdout))


def test_importing_outlay_loads_no_sdk_no_framework_and_no_exporter() -> None:
    assert modules_after("import outlay") & HEAVY == set()


def test_handing_calls_over_loads_no_protobuf() -> None:
    """Everybody else in the process has an opinion on its version."""
    loaded = modules_after("import outlay.otlp, outlay.losses")
    assert not {name for name in loaded if name.startswith(("google", "opentelemetry.proto"))}


def test_importing_outlay_reads_no_prices() -> None:
    assert "outlay.prices.book" not in modules_after("import outlay")
