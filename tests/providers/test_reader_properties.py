"""What holds for every reader whatever comes: buckets add up, nonsense is refused, nothing crashes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from outlay.providers.base import Reading
from outlay.providers.eventstream import decode_events
from outlay.providers.registry import reader_for, sniff
from outlay.providers.sse import decode_sse
from outlay.units import UNITS

PROVIDERS = st.sampled_from(
    ["openai", "anthropic", "google", "bedrock", "cohere", "openrouter", "xai", "perplexity", "ollama", "acme"]
)
FIELDS = st.sampled_from(
    [
        "id",
        "model",
        "object",
        "type",
        "choices",
        "data",
        "usage",
        "usageMetadata",
        "candidates",
        "output",
        "content",
        "results",
        "predictions",
        "text",
        "delta",
        "message",
        "response",
        "interaction",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "input_tokens_details",
        "cached_tokens",
        "audio_tokens",
        "reasoning_tokens",
        "cache_creation",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "ephemeral_5m_input_tokens",
        "iterations",
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "totalTokenCount",
        "promptTokensDetails",
        "modality",
        "tokenCount",
        "groundingMetadata",
        "webSearchQueries",
        "inputTokens",
        "outputTokens",
        "billed_units",
        "tokens",
        "embedding",
        "url",
        "cost",
        "is_byok",
        "cost_in_usd_ticks",
        "service_tier",
        "stop_reason",
        "finish_reason",
        "finishReason",
        "stopReason",
        "inputTextTokenCount",
        "generation",
        "eval_count",
        "done",
        "created_at",
        "custom_id",
        "result",
        "body",
        "key",
        "batch_result",
        "metadata",
        "contentBlockDelta",
        "contentBlockStart",
        "messages",
        "input",
        "tools",
        "max_tokens",
        "n",
        "metadata",
        "user",
        "conversation",
        "server_tool_use",
        "web_search_requests",
        "tool_usage",
        "action",
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**12),
    st.floats(),
    st.sampled_from(["message", "response", "message_start", "message_delta", "chunk", "TEXT", "AUDIO", "flex", ""]),
    st.text(max_size=5),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(FIELDS, inner, max_size=6)),
    max_leaves=25,
)
OBJECTS = st.dictionaries(FIELDS, JSON, max_size=8)


def assert_sound(reading: Any) -> None:
    """A reading either has countable quantities of known units or says why it has none."""
    assert isinstance(reading, Reading)
    if reading.usage is None:
        assert reading.reason_unread
        return
    for usage in (reading.usage, *reading.usage.other_models.values()):
        for unit, quantity in usage.quantities.items():
            assert unit in UNITS
            assert type(quantity) in (int, Decimal)
            assert quantity >= 0


@settings(max_examples=120)
@given(PROVIDERS, OBJECTS, OBJECTS)
def test_any_json_gets_a_reading(provider: str, asked: dict[str, Any], body: dict[str, Any]) -> None:
    reader = reader_for(provider)
    request = reader.read_request("", asked)
    assert_sound(reader.read_response(request, body))
    sniff(body)


@settings(max_examples=80)
@given(PROVIDERS, st.lists(OBJECTS, max_size=6))
def test_any_events_get_a_reading(provider: str, events: list[dict[str, Any]]) -> None:
    stream = reader_for(provider).start_stream(None)
    for event in events:
        stream.feed(event)
    assert isinstance(stream.finished, bool)
    assert stream.output_characters >= 0
    reading = stream.reading()
    assert_sound(reading)
    assert not stream.counted or reading.usage is not None or reading.usage_raw is not None  # else it is estimated


@given(st.text())
def test_any_text_is_decoded_or_left(body: str) -> None:
    found = list(decode_sse(f'data: {{"first": 1}}\n\n{body}\n\ndata: {{"last": 1}}\n\ndata: [DONE]'))

    assert (found[0], found[-1]) == ({"first": 1}, {"last": 1})


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_left(body: bytes) -> None:
    for event in decode_events(body):
        assert isinstance(event, Mapping)


COUNTS = st.integers(0, 1_000_000)


@given(cached=COUNTS, written=COUNTS, audio=COUNTS, plain=COUNTS, spoken=COUNTS, thought=COUNTS, said=COUNTS)
def test_openai_s_parts_add_up_to_its_totals(
    cached: int, written: int, audio: int, plain: int, spoken: int, thought: int, said: int
) -> None:
    prompt, completion = cached + written + audio + plain, spoken + thought + said
    usage = {
        "prompt_tokens": prompt,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio},
        "completion_tokens": completion,
        "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": spoken},
        "total_tokens": prompt + completion,
    }
    found = reader_for("openai").read_response(None, {"choices": [], "usage": usage}).usage
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (prompt, completion)
    assert (found.cache_read_tokens, found.cache_write_tokens) == (cached, written)
    assert found.reasoning_tokens == thought


@given(plain=COUNTS, read=COUNTS, short=COUNTS, long=COUNTS, rest=COUNTS, output=COUNTS)
def test_anthropic_s_buckets_hold_all_it_counted(
    plain: int, read: int, short: int, long: int, rest: int, output: int
) -> None:
    usage = {
        "input_tokens": plain,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": short + long + rest,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        "output_tokens": output,
    }
    found = reader_for("anthropic").read_response(None, {"type": "message", "usage": usage}).usage
    assert found is not None
    assert found.input_tokens == plain + read + short + long + rest
    assert (found.output_tokens, found.cache_write_tokens) == (output, short + long + rest)
    assert (found.inferred is None) == (rest == 0)


@given(text=COUNTS, audio=COUNTS, cached=COUNTS, tool=COUNTS, said=COUNTS, thought=COUNTS)
def test_gemini_s_buckets_hold_all_it_counted(
    text: int, audio: int, cached: int, tool: int, said: int, thought: int
) -> None:
    prompt = text + audio
    usage = {
        "promptTokenCount": prompt,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": text},
            {"modality": "AUDIO", "tokenCount": audio},
        ],
        "cachedContentTokenCount": min(cached, prompt),
        "toolUsePromptTokenCount": tool,
        "candidatesTokenCount": said,
        "thoughtsTokenCount": thought,
        "totalTokenCount": prompt + tool + said + thought,
    }
    found = reader_for("google").read_response(None, {"usageMetadata": usage}).usage
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (prompt + tool, said + thought)
    assert found.cache_read_tokens == min(cached, prompt)


@given(prompt=COUNTS, excess=st.integers(1, 1000))
def test_more_cached_than_given_is_never_clamped(prompt: int, excess: int) -> None:
    details = {"cached_tokens": prompt + excess}
    usage = {"prompt_tokens": prompt, "completion_tokens": 1, "prompt_tokens_details": details}
    reading = reader_for("openai").read_response(None, {"choices": [], "usage": usage})
    assert reading.usage is None
    assert str(prompt + excess) in (reading.reason_unread or "")
