"""What instrumentations say of Bedrock, each in its own way: synthetic, in the words each was seen to use."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from tests.collector.echoing import OURS, at, bills
from tests.collector.sending import send, stored
from tests.collector.telling import told, units

OPENLLMETRY = "opentelemetry.instrumentation.bedrock"
BOTOCORE = "opentelemetry.instrumentation.botocore.bedrock-runtime"
OPENINFERENCE = "openinference.instrumentation.bedrock"
BEDROCK = {"gen_ai.operation.name": "text_completion", "gen_ai.provider.name": "aws.bedrock"}
NOVA = {
    "openinference.span.kind": "LLM",
    "llm.provider": "aws",
    "llm.model_name": "amazon.nova-lite-v1:0",
    "llm.token_count.completion": 100,
    "llm.token_count.prompt_details.cache_read": 12,
}


@pytest.mark.parametrize(
    ("model", "whole"),
    [
        ("nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("qwen3-32b-v1:0", "qwen.qwen3-32b-v1:0"),
        ("gpt-oss-120b-1:0", "openai.gpt-oss-120b-1:0"),
        ("r1-v1:0", "deepseek.r1-v1:0"),
        ("v3.2", "deepseek.v3.2"),
        ("devstral-2-123b", "mistral.devstral-2-123b"),
        ("glm-4.7-flash", "zai.glm-4.7-flash"),
        ("kimi-k2-thinking", "moonshot.kimi-k2-thinking"),
        ("kimi-k2.5", "moonshotai.kimi-k2.5"),
        ("minimax-m2", "minimax.minimax-m2"),
        ("gemma-3-27b-it", "google.gemma-3-27b-it"),
        ("nemotron-nano-9b-v2", "nvidia.nemotron-nano-9b-v2"),
        ("palmyra-x5-v1:0", "writer.palmyra-x5-v1:0"),
        ("j2-mid-v1", "ai21.j2-mid-v1"),
    ],
)
def test_every_maker_that_openllmetry_leaves_out_is_put_back_and_the_call_has_a_price(model: str, whole: str) -> None:
    counts = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
    call = told(OPENLLMETRY, {**BEDROCK, "gen_ai.request.model": model, **counts}).call
    assert (call.model_requested, call.cost.status.value) == (whole, "estimated")


@pytest.mark.parametrize(
    ("name", "prompt", "total"), [("bedrock.invoke_model", 988, 1088), ("bedrock.converse", 1000, 1100)]
)
def test_openinference_counts_novas_cache_into_what_was_asked_of_converse_alone(
    name: str, prompt: int, total: int
) -> None:
    """Of InvokeModel it hands Nova's own counts on, and adds the total up itself."""
    said = {**NOVA, "llm.token_count.prompt": prompt, "llm.token_count.total": total}
    assert units(told(OPENINFERENCE, said, name=name)) == {"input": 988, "cache_read": 12, "output": 100}


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (OPENLLMETRY, {**BEDROCK, "gen_ai.request.model": "titan-embed-text-v2:0", "gen_ai.usage.input_tokens": 4}),
        (BOTOCORE, {**BEDROCK, "gen_ai.request.model": "cohere.embed-v4:0", "gen_ai.usage.input_tokens": 4}),
        (OPENINFERENCE, {**NOVA, "llm.model_name": "us.cohere.embed-v4:0", "llm.token_count.prompt": 4}),
    ],
    ids=["openllmetry", "opentelemetry", "openinference"],
)
def test_a_model_that_embeds_was_asked_to_embed_whatever_the_span_calls_it(scope: str, said: dict[str, Any]) -> None:
    counted = {k: v for k, v in said.items() if k not in ("llm.token_count.completion", *CACHES)}
    report = told(scope, counted)
    assert (report.call.operation, units(report), report.call.cost.status.value) == (
        "embeddings",
        {"input": 4},
        "exact",
    )


CACHES = ("llm.token_count.prompt_details.cache_read",)
EMBEDDED = {
    "gen_ai.operation.name": "embeddings",
    "gen_ai.provider.name": "aws.bedrock",
    "gen_ai.request.model": "amazon.titan-embed-text-v2:0",
    **OURS,
    "outlay.usage": json.dumps({"input": 4}),
    "outlay.cost.nano_usd": 80,  # $0.02 a million
}
FAILED = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "aws.bedrock", "error.type": "ThrottlingException"}


@pytest.mark.parametrize("reverse", [False, True])
async def test_an_embedding_that_another_calls_a_completion_is_one_bill_with_outlays(
    collector: httpx2.AsyncClient, reverse: bool
) -> None:
    theirs = {**BEDROCK, "gen_ai.request.model": "titan-embed-text-v2:0", "gen_ai.usage.input_tokens": 4}
    spans = [at(1, None, 0, 100, theirs, OPENLLMETRY), at(2, 1, 10, 90, EMBEDDED, "outlay")]
    for span in reversed(spans) if reverse else spans:
        await send(collector, span)
    assert await bills(collector) == [("0.00000008", 2)]


async def test_a_refusal_is_one_call_where_one_of_two_leaves_the_region_out(collector: httpx2.AsyncClient) -> None:
    inner = {**FAILED, "gen_ai.request.model": "us.amazon.nova-lite-v1:0"}
    outer = {**FAILED, "gen_ai.request.model": "nova-lite-v1:0"}
    await send(collector, at(1, None, 0, 100, outer, OPENLLMETRY), at(2, 1, 10, 90, inner, BOTOCORE))
    (call,) = await stored(collector)
    assert (len(call["reports"]), call["status"]) == (2, "error")
