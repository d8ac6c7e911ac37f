"""`opentelemetry-instrument` loads this: the entry point `outlay` in the group `opentelemetry_instrumentor`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # it turns checking off

import outlay


class OutlayInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """`outlay.instrument()` in the form OpenTelemetry's own loader calls. Needs `opentelemetry-instrumentation`, which
    is there wherever that loader is; `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=outlay` keeps it out."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: which SDKs are there is looked for when they are imported."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        """Takes what `outlay.instrument` takes by name. The loader adds what it gives every instrumentation."""
        known = ("service", "environment", "endpoint", "api_key", "prices")
        outlay.instrument(**{name: kwargs[name] for name in known if name in kwargs})

    def _uninstrument(self, **kwargs: Any) -> None:
        outlay.uninstrument()
