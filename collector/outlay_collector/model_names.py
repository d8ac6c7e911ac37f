"""What a model is called, and what is put before and behind its name: a router's provider, Bedrock's region and maker,
the edition. Pure."""

from __future__ import annotations

import re
from typing import Final

_BY_MAKER: Final = (
    (("nova-", "titan-"), "amazon"),
    (("claude-",), "anthropic"),
    (("llama",), "meta"),
    (("mistral-", "mixtral-", "pixtral-", "ministral-", "magistral-", "voxtral-", "devstral-"), "mistral"),
    (("command-", "embed-", "rerank-"), "cohere"),
    (("jamba-", "j2-"), "ai21"),
    (("r1-", "v3-", "v3."), "deepseek"),
    (("gpt-",), "openai"),
    (("qwen",), "qwen"),
    (("gemma-",), "google"),
    (("minimax-",), "minimax"),
    (("kimi-k2-",), "moonshot"),
    (("kimi-",), "moonshotai"),
    (("nemotron-",), "nvidia"),
    (("palmyra-",), "writer"),
    (("glm-",), "zai"),
)
"""How the models on Bedrock begin, and who stands before them there."""
_REGION: Final = r"(?:us|us-gov|eu|apac|jp|au|ca|global)\."
_MAKER: Final = rf"(?:{'|'.join(maker for _, maker in _BY_MAKER)})\."
_IN_A_REGION: Final = re.compile(rf"{_REGION}(?=.*\.)")
_ON_BEDROCK: Final = re.compile(f"(?:{_REGION})?{_MAKER}")
_EDITION: Final = re.compile(r"(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|latest|\d{3}))?(?:-v\d+(?::\d+)?)?$")


def is_on_bedrock(model: str) -> bool:
    """Whether it is called as Bedrock calls its models: `us.anthropic.claude-…`."""
    return _ON_BEDROCK.match(model) is not None


def with_maker(model: str | None) -> str | None:
    """A model on Bedrock with its maker before it, which its price is listed under and OpenLLMetry leaves out."""
    for beginnings, maker in _BY_MAKER:
        if model and model.startswith(beginnings):
            return f"{maker}.{model}"
    return model


def bare(model: str | None) -> str | None:
    """`openai/gpt-4o` as `gpt-4o`: routers put the provider in front; and Bedrock's without the region of its profile,
    which an instrumentation may leave out."""
    return None if not model else _behind(_IN_A_REGION, model.rsplit("/", 1)[-1].lower())


def without_edition(model: str) -> str:
    """The same without its maker and its date or version either: what all that tell of a call call it."""
    return _EDITION.sub("", _behind(_ON_BEDROCK, model.rsplit("/", 1)[-1].lower()))


def _behind(before: re.Pattern[str], name: str) -> str:
    found = before.match(name)
    return name[found.end() :] if found else name
