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
from tests.instrumentation.doubles import ReceivedSpan, Receiver
from tests.instrumentation.environments import environment_with

LITELLM: Final = "litellm==1.106.2"
APPLICATION: Final = Path(__file__).with_name("litellm_application.py")
PROVIDERS: Final = ("openai", "anthropic")


@dataclass(frozen=True, slots=True)
class Played:
    """What became of the calls, by way: what LiteLLM answered and when it was all there, the spans."""

    answers: dict[str, Any]
    answered_at_ns: dict[str, int]
    spans: dict[str, list[ReceivedSpan]]

    def only_call(self, way: str) -> dict[str, Any]:
        (span,) = self.spans[way]
        return span.attributes


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return environment_with(tmp_path_factory.mktemp("litellm") / "environment", LITELLM)


@pytest.fixture(scope="module")
def played(python: str, _provider: Provider, _receiver: Receiver) -> Played:
    """Every way played once: starting LiteLLM takes longer than all the calls."""
    _receiver.spans, _receiver.statuses = [], []
    _provider.log.begin()
    command = [python, str(APPLICATION), _provider.url, _receiver.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    spans: dict[str, list[ReceivedSpan]] = {way: [] for way, _, _ in lines}
    for span in _receiver.spans:
        spans[span.attributes["outlay.tag.way"]].append(span)
    return Played({way: answer for way, answer, _ in lines}, {way: at_ns for way, _, at_ns in lines}, spans)


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
def test_a_stream_is_over_when_its_last_event_has_come_and_not_when_it_is_let_go_of(
    provider: str, kind: str, played: Played
) -> None:
    way = f"{provider} {kind} stream"
    (span,) = played.spans[way]
    assert span.started_at_ns < span.ended_at_ns <= played.answered_at_ns[way]
    assert span.attributes["outlay.stream.end"] == "drained"


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
