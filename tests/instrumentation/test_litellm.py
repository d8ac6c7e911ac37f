"""LiteLLM, in an environment of its own: one span a call, whichever of its two ways the request takes.

It sends to OpenAI through OpenAI's SDK, to Anthropic with an HTTP client of its own.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import REPOSITORY, Provider
from tests.instrumentation.doubles import Receiver
from tests.instrumentation.environments import environment_with

LITELLM: Final = "litellm==1.106.2"
APPLICATION: Final = Path(__file__).with_name("litellm_application.py")
PROVIDERS: Final = ("openai", "anthropic")


@dataclass(frozen=True, slots=True)
class Played:
    """What became of the calls, by way: what LiteLLM answered, the attributes of the spans."""

    answers: dict[str, Any]
    spans: dict[str, list[dict[str, Any]]]

    def only_call(self, way: str) -> dict[str, Any]:
        (call,) = self.spans[way]
        return call


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return environment_with(tmp_path_factory.mktemp("litellm") / "environment", LITELLM)


@pytest.fixture(scope="module")
def played(python: str, _provider: Provider, _receiver: Receiver) -> Played:
    """Every way played once: starting LiteLLM takes longer than all the calls."""
    _receiver.spans, _receiver.statuses = [], []
    _provider.log.entries.clear()
    command = [python, str(APPLICATION), _provider.url, _receiver.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    answers = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    spans: dict[str, list[dict[str, Any]]] = {way: [] for way in answers}
    for span in _receiver.spans:
        spans[span.attributes["outlay.tag.way"]].append(span.attributes)
    return Played(answers, spans)


every_provider = pytest.mark.parametrize("provider", PROVIDERS)
both_kinds = pytest.mark.parametrize("kind", ["sync", "async"])


@every_provider
@both_kinds
@pytest.mark.parametrize("how", ["whole", "stream"])
def test_a_call_through_litellm_is_one_span(provider: str, kind: str, how: str, played: Played) -> None:
    call = played.only_call(f"{provider} {kind} {how}")
    answer = played.answers[f"{provider} {kind} {how}"]
    assert call["gen_ai.provider.name"] == provider
    assert [call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]] == answer
    assert call["outlay.cost.status"] == "exact"
    assert [attempt["status"] for attempt in json.loads(call["outlay.attempts"])] == [200]


@every_provider
@both_kinds
def test_a_refused_call_is_litellms_own_error_and_one_span(provider: str, kind: str, played: Played) -> None:
    assert played.answers[f"{provider} {kind} error"] == "litellm.RateLimitError"
    call = played.only_call(f"{provider} {kind} error")
    assert call["http.response.status_code"] == 429
    assert call["error.type"] == ("RateLimitError" if provider == "openai" else "429")
    assert call["outlay.cost.nano_usd"] == 0


@every_provider
@both_kinds
def test_a_budgets_refusal_leaves_litellm_as_it_is(provider: str, kind: str, played: Played) -> None:
    assert played.answers[f"{provider} {kind} refused"] == "outlay.BudgetExceeded"
    assert played.spans[f"{provider} {kind} refused"] == []
