"""Whose model it is, where nobody says, or where a framework gives its own name instead of the provider's."""

from __future__ import annotations

import re
from typing import Any, Final

from outlay.providers.names import HOSTS, provider_of_host
from outlay.providers.registry import canonical_provider

from outlay_collector.billing import CHATS
from outlay_collector.dialects.carried import provider_of_answer
from outlay_collector.model_names import is_on_bedrock

PROVIDERS: Final = frozenset({"bedrock", *(provider for _, provider in HOSTS)})
"""Those that are known by name."""
FRAMEWORKS: Final = frozenset(
    {
        *("strands-agents", "langchain", "langgraph", "spring_ai", "gcp.vertex.agent", "autogen", "crewai", "haystack"),
        *("llama_index", "llamaindex", "semantic_kernel", "openai_agents", "agno", "smolagents", "dspy", "unknown"),
        *("litellm", "litellm_proxy", "pydantic_ai", "pydantic-ai", "mlflow", "instructor", "vercel", "ai"),
    }
)
"""What stands under `gen_ai.system` and is nobody who sends a bill."""
_BEFORE_MODEL: Final = frozenset(
    {
        *("openai", "anthropic", "google", "gemini", "azure", "azure_ai", "bedrock", "vertex_ai", "mistral", "groq"),
        *("xai", "deepseek", "cohere", "openrouter", "together_ai", "fireworks_ai", "ollama", "perplexity"),
    }
)
"""Providers that routers put before a model, with a slash between."""
_DOTTED: Final = re.compile("[.:]")
_ADDRESS: Final = re.compile(r":\d+$|^[\d.]+$")
_BY_AI_SDK: Final = (
    ("google.vertex", "google-vertex"),
    ("google.", "google"),
    ("vertex", "google-vertex"),
    ("azure", "azure"),
    ("amazon-bedrock", "bedrock"),
)
"""How names begin that Vercel's AI SDK gives its providers, where the part before the dot is not the provider's own."""


def operation_on_bedrock(operation: str, *models: str | None) -> str:
    """What a call of Bedrock's InvokeModel does: to those who tell of it each is a chat or a completion, an embedding
    too."""
    return "embeddings" if operation in CHATS and any("embed" in (model or "") for model in models) else operation


def provider_named(said: str | None, asked: str | None, served: str | None = None) -> str:
    """The provider by the name a span gives, else by its models; `unknown` where neither tells. Of a model asked for as
    `azure/gpt-4o` the part before the slash tells more than the `gpt-4o` that was served."""
    if said is not None and said.strip().lower() not in FRAMEWORKS and (named := _canonical(said)):
        return named
    routed = (asked or "").partition("/")[0].lower() in _BEFORE_MODEL
    return provider_of_model(asked if routed else served or asked) or "unknown"


def _canonical(said: str) -> str | None:
    """Who builds on Vercel's AI SDK hands its names on, in the conventions' place: `openai.responses`. LiveKit has the
    host that was asked there; None where that is nobody's name."""
    provider = canonical_provider(said.replace(" ", "_"))
    if provider in PROVIDERS or not _DOTTED.search(provider):
        return provider
    if told := provider_of_host(provider):
        return told
    if _ADDRESS.search(provider):
        return None
    known = provider_by_ai_sdk(provider, None)
    return known if known in PROVIDERS else provider


def provider_by_ai_sdk(said: str, model: str | None) -> str:
    """`openai.responses` as `openai`; of a gateway, who is behind it: it names models `anthropic/claude-opus-4-8`."""
    if said.startswith("gateway") and model and "/" in model:
        return canonical_provider(model.split("/", 1)[0])
    for beginning, provider in _BY_AI_SDK:
        if said.startswith(beginning):
            return provider
    return canonical_provider(said.split(".", 1)[0])


def provider_of_model(model: str | None, usage: Any = None) -> str | None:
    """Whose model goes by this name; None where it may be anybody's. `usage`: the usage object that came with it."""
    if routed := routed_provider(model):
        return routed
    if model and is_on_bedrock(model):
        return "bedrock"
    return provider_of_answer(model, usage or {})


def routed_provider(model: str | None) -> str | None:
    """The provider a router's name of a model begins with, as `openai` of `openai/gpt-4o`; None where none does."""
    before, slash, _ = (model or "").partition("/")
    return canonical_provider(before) if slash and before.lower() in _BEFORE_MODEL else None
