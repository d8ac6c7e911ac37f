"""Fixtures every part of the suite may use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from outlay_collector.demo.provider import FakeProvider, UsageLog
from outlay_collector.serving import Server

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference data kept beside a checkout: recordings, conformance cases, price tables, OTLP bodies."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"the reference data is not beside this checkout ({folder.name}/ is missing)")
    return folder


@dataclass(frozen=True, slots=True)
class Provider:
    """A fake provider that is being served. `log` holds what it sent since the test began."""

    url: str
    log: UsageLog

    @property
    def openai(self) -> str:
        """The base URL for OpenAI's SDK."""
        return f"{self.url}/openai/v1"

    @property
    def anthropic(self) -> str:
        """The base URL for Anthropic's SDK."""
        return f"{self.url}/anthropic"


@pytest.fixture(scope="session")
def _provider() -> Iterator[Provider]:
    log = UsageLog()
    with Server(FakeProvider(seed=1, log=log).app, log_level="critical") as server:
        yield Provider(server.url, log)


@pytest.fixture
def fake_provider(_provider: Provider) -> Provider:
    """OpenAI and Anthropic on loopback; nothing fails unless a request asks for it with the header `x-fault`."""
    _provider.log.entries.clear()
    return _provider
