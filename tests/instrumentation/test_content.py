"""Prompts and answers: nothing of them leaves unless it is asked for, and then in the form that was asked for."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anthropic
import openai
import outlay
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from outlay.errors import ConfigError

from tests.conftest import Provider
from tests.instrumentation.doubles import Answer, Answering, Receiver, sse

CANARY = "sk-canary-7f3A9bQ2xZ8LmN4pT6wR"
MAIL = "jo.doe@example.com"
ASKED = f"My key is {CANARY}, write to {MAIL} about the Danube."
START = Callable[[Answer], Answering]


@contextmanager
def capturing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, mode: str | None, **variables: str
) -> Iterator[None]:
    if mode is not None:
        monkeypatch.setenv("OUTLAY_CAPTURE_CONTENT", mode)
    for name, value in variables.items():
        monkeypatch.setenv(f"OUTLAY_{name.upper()}", value)
    outlay.instrument(endpoint=receiver.url, redact=[r"ACME-\d+"])
    yield
    outlay.uninstrument()


def completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4.1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def answers(body: dict[str, Any]) -> Any:
    from starlette.responses import JSONResponse

    text = f"Noted {CANARY} and {MAIL}, ACME-77."
    if not body.get("stream"):
        return JSONResponse(completion(text))
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1"}
    return sse(
        *({**chunk, "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces),
        {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**chunk, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}},
    )


def ask(client: openai.OpenAI, **options: Any) -> None:
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASKED}]
    answer = client.chat.completions.create(model="gpt-4.1", messages=messages, **options)
    if options.get("stream"):
        assert list(answer)


@pytest.mark.parametrize("mode", [None, "off"])
def test_nothing_is_kept_unless_it_is_asked_for(
    mode: str | None, receiver: Receiver, answering: START, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capturing(receiver, monkeypatch, mode), answering(answers).openai as client:
        ask(client)
    (span,) = receiver.spans
    assert not any("messages" in name or "content" in name for name in span.attributes)
    assert "Danube" not in str(span.attributes)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_redacted_keeps_the_text_without_what_must_not_leave(
    stream: bool, receiver: Receiver, answering: START, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capturing(receiver, monkeypatch, "redacted"), answering(answers).openai as client:
        ask(client, stream=stream)
    (span,) = receiver.spans
    asked, answered = span.json("gen_ai.input.messages"), span.json("gen_ai.output.messages")
    assert asked == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "My key is [key], write to [email] about the Danube."}]},
    ]
    assert [part["content"] for part in answered[0]["parts"]] == ["Noted [key] and [email], [redacted]."]
    assert span.attributes["outlay.content"] == "redacted"


def test_full_keeps_it_as_it_was(receiver: Receiver, answering: START, monkeypatch: pytest.MonkeyPatch) -> None:
    with capturing(receiver, monkeypatch, "full"), answering(answers).openai as client:
        ask(client)
    (span,) = receiver.spans
    assert ASKED in span.attributes["gen_ai.input.messages"]
    assert span.json("gen_ai.output.messages")[0]["finish_reason"] == "stop"


def test_long_texts_are_cut_after_they_are_redacted(
    receiver: Receiver, answering: START, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        capturing(receiver, monkeypatch, "redacted", content_max_chars="20"),
        answering(answers).openai as client,
    ):
        ask(client)
    (span,) = receiver.spans
    assert span.json("gen_ai.input.messages")[1]["parts"][0]["content"] == "My key is [key], wri[cut]"


def test_a_long_conversation_loses_its_beginning(
    receiver: Receiver, answering: START, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: Any = [{"role": "user", "content": f"{number:04d} {'x' * 995}"} for number in range(40)]
    with (
        capturing(receiver, monkeypatch, "full", content_max_chars="1000"),
        answering(answers).openai as client,
    ):
        client.chat.completions.create(model="gpt-4.1", messages=said)
    (span,) = receiver.spans
    kept = [message["parts"][0]["content"][:4] for message in span.json("gen_ai.input.messages")]
    assert kept == [f"{number:04d}" for number in range(25, 40)]


def test_sampling_content_does_not_sample_the_cost(
    receiver: Receiver, answering: START, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capturing(receiver, monkeypatch, "full", content_sample="0"), answering(answers).openai as client:
        ask(client)
    (span,) = receiver.spans
    assert "gen_ai.input.messages" not in span.attributes
    assert span.attributes["outlay.cost.status"] == "exact"


def test_pictures_are_named_and_never_carried(
    receiver: Receiver, fake_provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD" * 99}}
    with (
        capturing(receiver, monkeypatch, "full"),
        anthropic.Anthropic(api_key="none", base_url=fake_provider.anthropic) as client,
    ):
        client.messages.create(
            model="claude-sonnet-4-6",
            max_tokens=20,
            system="Be brief.",
            messages=[{"role": "user", "content": [picture, {"type": "text", "text": "What is it?"}]}],
        )
    (span,) = receiver.spans
    assert span.json("gen_ai.system_instructions") == [{"type": "text", "content": "Be brief."}]
    assert span.json("gen_ai.input.messages") == [
        {
            "role": "user",
            "parts": [{"type": "blob", "modality": "image"}, {"type": "text", "content": "What is it?"}],
        }
    ]
    assert "QUJD" not in json.dumps(span.attributes)


@pytest.mark.parametrize("mode", ["off", "redacted"])
@pytest.mark.parametrize("end", ["answered", "streamed", "refused", "broken"])
def test_a_secret_in_a_prompt_leaves_on_no_path(
    mode: str,
    end: str,
    receiver: Receiver,
    answering: START,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The spans sent, the spans of the application's own tracer, what is logged and what is written to disk."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    caplog.set_level(logging.DEBUG, "outlay")

    def respond(body: dict[str, Any]) -> Any:
        from starlette.responses import JSONResponse

        if end == "refused":
            return JSONResponse({"error": {"message": f"bad key {CANARY}", "code": CANARY, "type": MAIL}}, 400)
        return JSONResponse({"choices": CANARY, "id": [CANARY]}) if end == "broken" else answers(body)

    receiver.statuses = [503]
    with capturing(receiver, monkeypatch, mode, spool_dir=str(tmp_path)), answering(respond).openai as client:
        with suppress(openai.BadRequestError):
            ask(client, stream=end == "streamed")
        outlay.flush()
    left = [
        str(span.attributes) + str(span.events) + str(span.status.description) for span in exporter.get_finished_spans()
    ]
    left += [str(span) for span in receiver.spans] + [caplog.text]
    left += [file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file()]
    assert receiver.spans
    assert CANARY not in "".join(left)
    assert MAIL not in "".join(left)
    provider.shutdown()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("CAPTURE_CONTENT", "redact", "expected one of off, redacted, full (did you mean redacted?)"),
        ("CONTENT_SAMPLE", "2", "expected a share from 0 to 1"),
        ("REDACT", "(", "expected a regular expression"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_do(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OUTLAY_{name}", value)
    with pytest.raises(ConfigError) as raised:
        outlay.instrument()
    assert f"OUTLAY_{name} = '{value}'" in str(raised.value)
    assert message in str(raised.value)
