"""Clients of the fake provider: the real SDKs, un-instrumented."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import anthropic
import openai
import pytest

if TYPE_CHECKING:
    from tests.conftest import Provider


@pytest.fixture
def chatter(fake_provider: Provider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=fake_provider.openai, api_key="synthetic") as client:
        yield client


@pytest.fixture
def messenger(fake_provider: Provider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=fake_provider.anthropic, api_key="synthetic") as client:
        yield client
