"""Providers by name and by host.

Outlay's names are short (`google`, `azure`, `bedrock`); how the GenAI conventions and other tools spell them is said
here and nowhere else. A name nobody knows is kept as it is: a provider needs no entry to be read and priced.
"""

from __future__ import annotations

import re
from typing import Final

_ALIASES: Final[dict[str, str]] = {
    "aws": "bedrock",
    "aws.bedrock": "bedrock",
    "aws_bedrock": "bedrock",
    "amazon": "bedrock",
    "amazon-bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "azure-openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gemini": "google",
    "google-gla": "google",
    "google_ai_studio": "google",
    "google_genai": "google",
    "gcp.vertex_ai": "google-vertex",
    "google_vertexai": "google-vertex",
    "vertex": "google-vertex",
    "vertex_ai": "google-vertex",
    "vertexai": "google-vertex",
    "fireworks_ai": "fireworks",
    "hugging_face": "huggingface",
    "ibm.watsonx.ai": "watsonx",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "moonshot_ai": "moonshot",
    "moonshotai": "moonshot",
    "together_ai": "together",
    "togetherai": "together",
    "voyage": "voyageai",
    "x_ai": "xai",
    "x-ai": "xai",
    "z.ai": "zai",
    "zhipu": "zai",
}
_CONVENTIONAL: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""Well-known values of `gen_ai.provider.name` that differ from ours (semantic-conventions-genai, November 2026)."""
HOSTS: Final[tuple[tuple[str, str], ...]] = (
    ("api.openai.com", "openai"),
    ("openai.azure.com", "azure"),
    ("services.ai.azure.com", "azure"),
    ("cognitiveservices.azure.com", "azure"),
    ("models.ai.azure.com", "azure"),
    ("inference.ai.azure.com", "azure"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "google"),
    ("aiplatform.googleapis.com", "google-vertex"),
    ("api.mistral.ai", "mistral"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.groq.com", "groq"),
    ("api.x.ai", "xai"),
    ("api.deepseek.com", "deepseek"),
    ("openrouter.ai", "openrouter"),
    ("api.perplexity.ai", "perplexity"),
    ("api.together.ai", "together"),
    ("api.together.xyz", "together"),
    ("api.cerebras.ai", "cerebras"),
    ("api.fireworks.ai", "fireworks"),
    ("api.voyageai.com", "voyageai"),
    ("huggingface.co", "huggingface"),
    ("ml.cloud.ibm.com", "watsonx"),
    ("api.writer.com", "writer"),
    ("snowflakecomputing.com", "snowflake"),
    ("inference.heroku.com", "heroku"),
    ("api.replicate.com", "replicate"),
    ("api.z.ai", "zai"),
    ("open.bigmodel.cn", "zai"),
    ("api.moonshot.ai", "moonshot"),
    ("crusoecloud.com", "crusoe"),
    ("ollama.com", "ollama"),
)
_BEDROCK_HOST: Final = re.compile(
    r"bedrock-(?:runtime|mantle|agent-runtime)[^/]*\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$"
)


def canonical_provider(name: str) -> str:
    """Outlay's name of a provider."""
    lowered = name.strip().lower()
    return _ALIASES.get(lowered, lowered)


def conventional_provider(name: str) -> str:
    """How the GenAI conventions spell one of Outlay's names: what stands on a span."""
    return _CONVENTIONAL.get(name, name)


def provider_of_host(host: str) -> str | None:
    """The provider behind a host of a base URL, None where the host is nobody's we know (a proxy, a gateway)."""
    name = host.lower().partition(":")[0].rstrip(".")
    for suffix, provider in HOSTS:
        if name == suffix or name.endswith(("." + suffix, "-" + suffix)):
            return provider
    return "bedrock" if _BEDROCK_HOST.match(name) else None
