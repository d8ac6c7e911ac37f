"""Outlay: what every LLM API call costs, and who spent it.

    import outlay
    outlay.instrument()

The names below are the public API; what they do is done elsewhere, and loaded when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from outlay.context import context
from outlay.errors import BudgetExceeded, ConfigError, NotInstrumentable, OutlayError
from outlay.model import Usage
from outlay.response_cache import cache

__all__ = [
    "BudgetExceeded",
    "ConfigError",
    "NotInstrumentable",
    "OutlayError",
    "cache",
    "cache_hit",
    "context",
    "flush",
    "instrument",
    "record",
    "uninstrument",
]


def instrument(
    *names: str,
    service: str | None = None,
    environment: str | None = None,
    endpoint: str | None = None,
    api_key: str | None = None,
    prices: Sequence[Mapping[str, Any]] = (),
    redact: Sequence[str] = (),
) -> None:
    """Account for every call the application makes from now on, with clients it has and clients it will make.

    Without names: every SDK Outlay knows, quiet where one is missing. With names: those, and `NotInstrumentable` where
    one cannot be. `prices` are entries such as `{"provider": "openai", "model": "ft:x", "input": 3.0, "output": 12.0}`
    in USD per million tokens; they win over the bundled ones. `redact` are regular expressions for what else is taken
    out of prompts and answers, where `OUTLAY_CAPTURE_CONTENT=redacted` has them kept at all. What is not given is read
    from `OUTLAY_*` variables. A second call adds SDKs; the settings of the first stand until `uninstrument()`. Raises
    `ConfigError`.
    """
    from outlay.installation import instrument

    instrument(
        names,
        service=service,
        environment=environment,
        endpoint=endpoint,
        api_key=api_key,
        prices=prices,
        redact=redact,
    )


def uninstrument() -> None:
    """Send what waits, and leave everything as it was before `instrument()`."""
    from outlay.installation import uninstrument

    uninstrument()


def flush(timeout_s: float = 5) -> bool:
    """Send the finished calls that wait, and what they cost their budgets, now. False where some could not be sent in
    time; they go on waiting."""
    from outlay.flushing import flush

    return flush(timeout_s)


def record(
    *,
    response: Any,
    provider: str | None = None,
    request: Mapping[str, Any] | None = None,
    duration_s: float | None = None,
) -> None:
    """Account for a call made without a wrapped SDK: `response` is its body, or an object with `model_dump()`.

    `provider` is told from the response where it is not given. Raises `ValueError` where that cannot be told. Without
    `instrument()` before it, nothing is recorded.
    """
    from outlay.recording import record

    record(response=response, provider=provider, request=request, duration_s=duration_s)


def cache_hit(*, model: str, usage: Usage | Mapping[str, Any], provider: str | None = None) -> None:
    """Account for an answer from the application's own cache: it cost nothing, and avoided what a call would have cost.

    `usage` is the usage of the answer when it was bought: the provider's own usage object, or units such as
    `{"input": 1200, "output": 340}`. `provider` is told from the model where it is not given.
    """
    from outlay.recording import cache_hit

    cache_hit(model=model, usage=usage, provider=provider)
