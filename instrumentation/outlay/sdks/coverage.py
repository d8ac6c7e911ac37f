"""What of each SDK becomes a call, and what does not and why: docs/providers.md. Nothing here runs in a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

COVERED: Final[Mapping[str, str]] = {
    "openai": "Every method that asks a model: chat, responses, completions, embeddings, images, audio, moderations, "
    "beta, `parse`, `stream()`, raw and streaming responses, `client.post`; Azure, Bedrock and any base URL. Over "
    "websockets each response that `realtime.connect` or `responses.connect` reports as done",
    "anthropic": "Messages, `stream()`, beta, completions, raw and streaming responses, `client.post`; Bedrock, Vertex "
    "and Foundry",
    "google": "generate_content and its stream, chats, automatic function calling, embeddings, images, videos, the "
    "Interactions API; the Gemini API and Vertex, over httpx2, httpx, aiohttp and requests",
    "mistral": "Chat, `parse`, fim, agents, conversations, embeddings, OCR, moderation, classification, transcription "
    "and speech; the Azure and Google Cloud flavours; its own tracing is silenced while a call is made",
    "cohere": "Chat, chat_stream, embed, rerank, classify, generate, summarize and transcription, of the v1 and the v2 "
    "client",
    "boto3": "bedrock-runtime: `converse`, `converse_stream`, `invoke_model`, `invoke_model_with_response_stream`. "
    "Other AWS services are left alone",
    "litellm": "Completions, embeddings, reranking and whatever else it sends with its own HTTP client; what it sends "
    "through an SDK above is counted there",
}
"""By the name that `outlay.instrument()` takes."""

NOT_COVERED: Final[tuple[tuple[str, str], ...]] = (
    (
        "Budgets before a websocket's responses",
        "what is asked for over a connection is not tied to what comes back: calls are known once they are over",
    ),
    ("OpenAI `live.connect`, its forks and sidebands", "a live session counts up what it used, not what a call did"),
    ("Google `live` and `live_music`", "a session over a websocket, as above"),
    ("Mistral's realtime transcription and speech", "over a websocket"),
    ("aiobotocore and aioboto3", "they replace botocore's choke points by asynchronous ones of their own"),
    (
        "Bedrock's `apply_guardrail`, `start_async_invoke` and agents",
        "billed by text unit, by the finished job, or below other names",
    ),
    (
        "`cohere.BedrockClient`, `SagemakerClient` and `OciClient`",
        "the request is rewritten for another host below the choke point: their calls are taken for Cohere's own",
    ),
    ("Cohere's `/v2/parse`", "what a parsed document costs is not said in its response"),
    (
        "LiteLLM's `CustomLLM` handlers, and answers from its cache",
        "the first send as they like, the second nothing at all: `outlay.record` and `outlay.cache_hit` report them",
    ),
    (
        "The retries of LiteLLM's `num_retries`",
        "each is a call of its own, of which the refused ones cost nothing",
    ),
    (
        "OpenAI chat streams taken raw, also by LiteLLM from an unknown host",
        "what is taken raw is not ours to add to: without `stream_options` their usage is estimated",
    ),
    ("Batches", "a batch is billed when it is done: `outlay.record` or `outlay price` read its results"),
)
"""What makes no call, or less of one, and why."""
