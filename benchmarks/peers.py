"""Other instrumentations of the same SDKs: what to install, how each is switched on, and what that replaces.

Each is used as its own documentation begins, but without metrics and without a backend. Whether a peer can be switched
off again is left to nobody: what it has replaced in the SDKs is found by comparing them before and after, and put back
and in again from then on. So a peer takes turns with the others within one process.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

ROOT: Final = Path(__file__).parent.parent
_PATCHED: Final = ("openai", "anthropic", "httpx2", "httpx")
_OTEL: Final = "opentelemetry.instrumentation"

SwitchOn = Callable[[TracerProvider, SpanExporter], None]


@dataclass(frozen=True, slots=True)
class Peer:
    """`installs` are the distributions it comes as; `switch_on` tells it which provider, or exporter, takes spans."""

    installs: tuple[str, ...]
    switch_on: SwitchOn


def _instrumentors(*paths: str) -> SwitchOn:
    """Of OpenTelemetry's kind: `package:Class`."""

    def switch_on(tracers: TracerProvider, exporter: SpanExporter) -> None:
        for path in paths:
            module, _, name = path.partition(":")
            getattr(importlib.import_module(module), name)().instrument(tracer_provider=tracers)

    return switch_on


def _openlit(tracers: TracerProvider, exporter: SpanExporter) -> None:
    trace.set_tracer_provider(tracers)
    importlib.import_module("openlit").init(disable_metrics=True, disable_events=True)


def _logfire(tracers: TracerProvider, exporter: SpanExporter) -> None:
    logfire = importlib.import_module("logfire")
    logfire.configure(
        send_to_logfire=False, console=False, metrics=False, additional_span_processors=[BatchSpanProcessor(exporter)]
    )
    logfire.instrument_openai()
    logfire.instrument_anthropic()


def _langfuse(tracers: TracerProvider, exporter: SpanExporter) -> None:
    """It traces OpenAI's SDK alone."""
    langfuse = importlib.import_module("langfuse")
    langfuse.Langfuse(
        public_key="pk-lf-none",
        secret_key="sk-lf-none",
        base_url="http://127.0.0.1:9",
        tracer_provider=TracerProvider(),  # not the others': it adds a processor of its own
        span_exporter=exporter,
        flush_interval=0.5,
    )
    importlib.import_module("langfuse.openai")


PEERS: Final[Mapping[str, Peer]] = {
    "traceloop": Peer(
        ("opentelemetry-instrumentation-openai", "opentelemetry-instrumentation-anthropic"),
        _instrumentors(f"{_OTEL}.openai:OpenAIInstrumentor", f"{_OTEL}.anthropic:AnthropicInstrumentor"),
    ),
    "openinference": Peer(
        ("openinference-instrumentation-openai", "openinference-instrumentation-anthropic"),
        _instrumentors(
            "openinference.instrumentation.openai:OpenAIInstrumentor",
            "openinference.instrumentation.anthropic:AnthropicInstrumentor",
        ),
    ),
    "otel openai-v2": Peer(
        # It imports the last two without asking for them: OpenAI 3 brings no httpx, util-genai 1 lacks what it wants.
        ("opentelemetry-instrumentation-openai-v2", "httpx", "opentelemetry-util-genai<1"),
        _instrumentors(f"{_OTEL}.openai_v2:OpenAIInstrumentor"),
    ),
    "otel genai": Peer(
        ("opentelemetry-instrumentation-genai-openai", "opentelemetry-instrumentation-genai-anthropic"),
        _instrumentors(f"{_OTEL}.genai.openai:OpenAIInstrumentor", f"{_OTEL}.genai.anthropic:AnthropicInstrumentor"),
    ),
    "openlit": Peer(("openlit",), _openlit),
    "logfire": Peer(("logfire",), _logfire),
    "langfuse": Peer(("langfuse",), _langfuse),
}


class Patched:
    """What switching a peer on has replaced in those parts of the SDKs that have been loaded. Begins switched on."""

    def __init__(self, switch_on: Callable[[], None]) -> None:
        before = _attributes()
        switch_on()
        self._changed = [
            (owner, name, before[owner].get(name, _ABSENT), now)
            for owner, names in _attributes().items()
            if owner in before
            for name, now in names.items()
            if before[owner].get(name, _ABSENT) is not now and (isinstance(owner, type) or name in before[owner])
        ]

    def take_away(self) -> None:
        for owner, name, before, _ in self._changed:
            if before is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

    @contextmanager
    def put(self) -> Iterator[None]:
        """In for the length of a block."""
        for owner, name, _, now in self._changed:
            setattr(owner, name, now)
        yield
        self.take_away()


_ABSENT: Final = object()


def _attributes() -> dict[Any, dict[str, Any]]:
    """All that can be replaced in the SDKs: the attributes of their modules' classes, and of the modules."""
    modules = [m for name, m in list(sys.modules.items()) if m is not None and name.partition(".")[0] in _PATCHED]
    classes = {c for m in modules for c in vars(m).values() if isinstance(c, type) and c.__module__ == m.__name__}
    hidden = ("__", "_abc_")
    return {
        owner: {name: value for name, value in vars(owner).items() if not name.startswith(hidden)}
        for owner in (*modules, *classes)
    }


@contextmanager
def environment(peer: Peer | None) -> Iterator[str]:
    """The Python of an environment with the SDKs, Outlay as it stands here, and the peer. Raises OSError or
    CalledProcessError where it cannot be made."""
    wanted = [
        "openai",
        "anthropic",
        "opentelemetry-sdk",
        "opentelemetry-exporter-otlp-proto-common",
        *(peer.installs if peer else ()),
    ]
    with installed(*wanted, "-e", str(ROOT / "instrumentation")) as python:
        yield python


@contextmanager
def installed(*wanted: str) -> Iterator[str]:
    """The Python of a new environment with those distributions. Raises OSError or CalledProcessError."""
    uv = which("uv") or str(Path(sys.executable).with_name("uv"))
    with tempfile.TemporaryDirectory(prefix="outlay-peer-") as folder:
        python = f"{folder}/bin/python"
        for command in (
            [uv, "venv", "-q", "--python", sys.executable, folder],
            [uv, "pip", "install", "-q", "--python", python, *wanted],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
        yield python


def versions(peer: Peer | None) -> str:
    """Of what was installed for it, in this environment."""
    from importlib.metadata import version

    names = (*(peer.installs if peer else ("outlay",)), "openai", "anthropic")
    return ", ".join(f"{name} {version(name)}" for name in (each.partition("<")[0] for each in names))


@contextmanager
def alone() -> Iterator[None]:
    """As in an application without a tracer provider, where a peer has installed one."""
    installed, trace._TRACER_PROVIDER = trace._TRACER_PROVIDER, None
    try:
        yield
    finally:
        trace._TRACER_PROVIDER = installed
