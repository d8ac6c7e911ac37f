"""Bedrock's formats and its event streams. All bodies are synthetic."""

from __future__ import annotations

import base64
import json
from binascii import crc32
from struct import pack
from typing import Any

import pytest
from outlay.providers.eventstream import decode_events


def converse(**usage: Any) -> dict[str, Any]:
    return {"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "end_turn", "usage": usage}


def test_converse_counts_the_cache_beside_its_input(quantities: Any, read: Any) -> None:
    body = converse(
        inputTokens=4, outputTokens=50, cacheReadInputTokens=12345, cacheWriteInputTokens=100, totalTokens=12499
    )
    assert quantities("bedrock", body) == {"input": 4, "cache_read": 12345, "cache_write_5m": 100, "output": 50}
    assert read("bedrock", body).finish_reasons == ("end_turn",)
    assert "five minutes" in read("bedrock", body).usage.inferred


def test_converse_splits_writes_by_lifetime(read: Any) -> None:
    details = [{"ttl": "1h", "inputTokens": 60}, {"ttl": "5m", "inputTokens": 40}]
    usage = read(
        "bedrock", converse(inputTokens=4, outputTokens=5, cacheWriteInputTokens=100, cacheDetails=details)
    ).usage
    assert (usage.quantities["cache_write_1h"], usage.quantities["cache_write_5m"]) == (60, 40)
    assert usage.inferred is None


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        (
            {"inputTokens": 4, "outputTokens": 5, "totalTokens": 8},
            "totalTokens 8 is not inputTokens 4 + outputTokens 5",
        ),
        ({"inputTokens": 4.5, "outputTokens": 5}, "inputTokens is not a count: 4.5"),
        ({"inputTokens": 4}, "outputTokens is missing"),
        (
            {"inputTokens": 1, "outputTokens": 1, "cacheWriteInputTokens": 1, "cacheDetails": [{"inputTokens": 2}]},
            "exceeds cacheWriteInputTokens 1",
        ),
    ],
)
def test_counts_that_cannot_be_true_are_refused(read: Any, usage: dict[str, Any], reason: str) -> None:
    reading = read("bedrock", converse(**usage))
    assert reading.usage is None
    assert reason in reading.reason_unread


def test_the_tier_of_converse_is_the_one_served(read: Any) -> None:
    body = {**converse(inputTokens=1, outputTokens=1), "serviceTier": {"type": "flex"}}
    assert read("bedrock", body).terms.service_tier == "flex"


def test_nova_titan_and_llama_answer_invoke_model_in_their_own_words(quantities: Any) -> None:
    assert quantities("bedrock", converse(inputTokens=13, outputTokens=3, cacheReadInputTokenCount=7)) == {
        "input": 13,
        "cache_read": 7,
        "output": 3,
    }
    titan = {"inputTextTokenCount": 18.0, "results": [{"tokenCount": 50.0, "completionReason": "LENGTH"}]}
    assert quantities("bedrock", titan) == {"input": 18, "output": 50}
    assert quantities("bedrock", {"inputTextTokenCount": 4, "embedding": [0.1]}) == {"input": 4}
    llama = {"generation": "hi", "prompt_token_count": 6, "generation_token_count": 18, "stop_reason": "stop"}
    assert quantities("bedrock", llama) == {"input": 6, "output": 18}


def test_what_is_kept_of_titan_s_usage_holds_no_text(read: Any) -> None:
    titan = {"inputTextTokenCount": 1, "results": [{"tokenCount": 2, "outputText": "secret"}]}
    assert read("bedrock", titan).usage_raw == {"inputTextTokenCount": 1, "results": [{"tokenCount": 2}]}


def test_a_stream_of_converse_ends_with_its_metadata(fold: Any) -> None:
    events = [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "hey"}}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": "{}"}}}},
        {"contentBlockDelta": {"delta": {"reasoningContent": {"text": "hm"}}}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": {"inputTokens": 5, "outputTokens": 9, "totalTokens": 14}}},
    ]
    stream = fold("bedrock", events)
    assert (stream.finished, stream.output_characters) == (True, 7)
    assert dict(stream.reading().usage.quantities) == {"input": 5, "output": 9}
    assert stream.reading().finish_reasons == ("end_turn",)
    assert fold("bedrock", events[:2]).reading().usage is None


def test_bedrock_s_own_metrics_count_where_a_model_does_not(fold: Any) -> None:
    metrics = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 10}}
    last = {"outputText": "hello", "completionReason": "FINISH", **metrics}
    stream = fold("bedrock", [{"outputText": "ab", "inputTextTokenCount": 5}, last])
    assert (stream.finished, stream.output_characters) == (True, 7)
    assert dict(stream.reading().usage.quantities) == {"input": 5, "output": 10}


def frame(kind: str, payload: object, header: str = ":event-type") -> bytes:
    """One frame as AWS writes it, with a header of another type before the string ones."""
    name, value = header.encode(), kind.encode()
    headers = b"\x04true\x00" + bytes([len(name)]) + name + b"\x07" + pack(">H", len(value)) + value
    body = json.dumps(payload).encode()
    prelude = pack(">II", 16 + len(headers) + len(body), len(headers))
    whole = prelude + pack(">I", crc32(prelude)) + headers + body
    return whole + pack(">I", crc32(whole))


def test_frames_are_decoded_into_events() -> None:
    inner = {"type": "message_stop"}
    chunk = {"bytes": base64.b64encode(json.dumps(inner).encode()).decode(), "p": "abc"}
    body = (
        frame("metadata", {"usage": {}})
        + frame("chunk", chunk)
        + frame("throttlingException", {}, header=":exception-type")
    )
    assert list(decode_events(body)) == [{"metadata": {"usage": {}}}, inner, {"throttlingException": {}}]


def test_a_body_that_was_cut_ends_with_the_last_whole_frame() -> None:
    whole = frame("messageStart", {"role": "assistant"})
    for kept in range(len(whole)):
        assert list(decode_events(whole + whole[:kept])) == [{"messageStart": {"role": "assistant"}}]


def test_frames_that_hold_no_object_are_left_out() -> None:
    assert list(decode_events(frame("chunk", {"no": "bytes"}) + frame("chunk", {"bytes": 1}) + frame("x", [1]))) == []
