"""Which requests are calls: from the path and body of a request to what it says before it is sent.

One table of path endings for all providers, because they copied each other's paths. What the table does not list is not
billed by itself: models, files, batches and their polling, token counting, responses fetched a second time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from outlay.model import NOBODY, STANDARD_TERMS, Attribution
from outlay.providers.base import Request
from outlay.providers.foreign import first_text, mapping, mappings, text
from outlay.providers.prompt import Prompt
from outlay.providers.tiers import ASKING, asked_terms

_OPERATIONS: Final[tuple[tuple[str, str], ...]] = (
    (r"/chat/completions", "chat"),
    (r"/responses(?:/compact)?", "chat"),
    (r"(?:/v\d+|^)/messages", "chat"),
    (r"/(?:agents|fim)/completions", "chat"),
    (r"/v\d/chat", "chat"),
    (r"/converse(?:-stream)?", "chat"),
    (r":(?:stream)?rawPredict", "chat"),
    (r":(?:stream)?generateContent", "generate_content"),
    (r"/interactions", "generate_content"),
    (r"/(?:invoke|invoke-with-response-stream)", "chat"),
    (r"/api/chat", "chat"),
    (r"/complete|/completions|/api/generate|/v1/generate", "text_completion"),
    (r"/generation/text|/text/(?:generation|chat)(?:_stream)?", "text_completion"),
    (r"/embeddings|/embed|/multimodalembeddings|/api/embed(?:dings)?|:(?:batchE|e)mbedContents?", "embeddings"),
    (r"imagen[^/]*:predict", "image_generation"),
    (r":predictLongRunning", "video_generation"),
    (r":predict", "embeddings"),
    (r"/rerank", "rerank"),
    (r"/images/(?:generations|edits|variations)", "image_generation"),
    (r"/audio/(?:transcriptions|translations)", "transcription"),
    (r"/audio/speech", "speech"),
    (r"/moderations", "moderation"),
    (r"/classif(?:y|ications)", "classification"),
    (r"/summarize", "text_completion"),
    (r"/decisions", "chat"),
    (r"/videos(?:/edits|/extensions|/[^/]+/remix)?", "video_generation"),
    (r"/ocr", "ocr"),
)
_PATHS: Final = re.compile("|".join(f"(?P<o{i}>(?:{ending})$)" for i, (ending, _) in enumerate(_OPERATIONS)), re.I)
_MODEL_IN_PATH: Final = re.compile(
    r"/(?:models?|deployments)/(.+?)(?:/(?:invoke|converse|chat|completions|embed)|:\w+$)"
)
"""Google's `models/{id}:generateContent`, Bedrock's `model/{id}/converse`, Azure's `deployments/{name}/chat/...`."""
CONVERSATION: Final = re.compile(r"/v1/conversations(?:/[^/]+(?:/restart)?)?$")
"""Mistral's, where a turn is a chat; at OpenAI's path of that name only an empty one is made."""
_FORMS: Final = ("transcription", "image_generation", "video_generation")
_FETCHED: Final = re.compile(
    r"/(?:responses(?!/compact$)|videos(?!/(?:characters|edits|extensions)$))/[^/]+(?:/cancel)?$"
)
_STREAM_PATH: Final = re.compile(r"stream", re.I)

_CAPS: Final = (
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "maxOutputTokens",
    "maxTokens",
    "max_new_tokens",
    "max_tokens_to_sample",
    "maxTokenCount",
    "max_gen_len",
    "num_predict",
)
_NESTED_CAPS: Final = (
    "generationConfig",
    "generation_config",
    "inferenceConfig",
    "textGenerationConfig",
    "options",
    "parameters",
)
_CAPPING: Final = frozenset((*_CAPS, *_NESTED_CAPS))
_KNOWN_METADATA: Final = frozenset({"user_id", "user", "session_id", "feature", "tenant"})
_LONGEST_LABEL: Final = 128
"""Characters of a value of `metadata` that is taken for a tag; what is longer is a text."""
_NAMING: Final = frozenset({"metadata", "user", "safety_identifier", "conversation"})
"""Fields that may say who spends."""


def is_attempt(path: str) -> bool:
    """Whether a request to that path may be one of a call's: it asks a model, or for the answer of one."""
    path = path.partition("?")[0]
    return _route(path) is not None or is_fetched(path) or CONVERSATION.search(path) is not None


@lru_cache(maxsize=256)
def is_fetched(path: str) -> bool:
    """Whether what is found there was asked for by an earlier request, and may only now have its usage: a response that
    was made in the background, a video."""
    return _FETCHED.search("/" + path.partition("?")[0].lstrip("/")) is not None


@dataclass(frozen=True, slots=True)
class _Route:
    """What a path says by itself."""

    operation: str
    model: str | None
    streamed: bool


_BARE: Final = _Route("chat", None, streamed=False)


def read_request(path: str, body: Mapping[str, Any]) -> Request | None:
    """The call a request is, None where it is not one.

    An empty path is a bare body: a chat, as far as anyone knows. Without a body only a path that names its model, or
    one that takes a form, is a call: the rest are lists being fetched.
    """
    route = _route(path.partition("?")[0]) if path else _BARE
    if route is None:
        return None
    model = _model(route, body)
    if not body and model is None and route.operation not in _FORMS:
        return None
    return Request(
        operation=route.operation,
        model=model,
        streamed=route.streamed or body.get("stream") is True,
        max_output_tokens=None if _CAPPING.isdisjoint(body) else _cap(body),
        prompt=Prompt(body),
        terms=STANDARD_TERMS if ASKING.isdisjoint(body) else asked_terms(body),
        attribution=NOBODY if _NAMING.isdisjoint(body) else _attribution(body),
    )


@lru_cache(maxsize=256)
def _route(path: str) -> _Route | None:
    path = unquote("/" + path.lstrip("/"))
    found = _PATHS.search(path)
    if found is None or found.lastgroup is None:
        return None
    operation = _OPERATIONS[int(found.lastgroup[1:])][1]
    if operation == "chat" and "/model/" in path and "embed" in path:
        operation = "embeddings"
    model = _MODEL_IN_PATH.search(path)
    return _Route(operation, model[1] if model else None, _STREAM_PATH.search(path.rpartition("/")[2]) is not None)


def _model(route: _Route, body: Mapping[str, Any]) -> str | None:
    named = body.get("model")
    if type(named) is not str or not named:
        named = first_text(body, "model_id", "modelId") or route.model
    if named is None:
        named = next((text(each.get("model")) for each in mappings(body.get("requests"))), None)
    return named.removeprefix("models/") if named else None


def _cap(body: Mapping[str, Any]) -> int | None:
    """The most tokens the call may produce, all its alternatives together."""
    if cap := _cap_in(body):
        return cap * _alternatives(body.get("n"))
    for holder in (mapping(body.get(nested)) for nested in _NESTED_CAPS):
        if cap := _cap_in(holder):
            return cap * _alternatives(body.get("n") or holder.get("candidateCount"))
    return None


def _cap_in(holder: Mapping[str, Any]) -> int | None:
    for field in _CAPS:
        if type(cap := holder.get(field)) is int and cap > 0:
            return cap
    return None


def _alternatives(said: object) -> int:
    return said if type(said) is int and said > 1 else 1


def _attribution(body: Mapping[str, Any]) -> Attribution:
    """Whom the request itself names: OpenAI's `user` and `safety_identifier`, the `metadata` of both big APIs. What
    else stands in OpenAI's are labels the application chose, and so its tags."""
    metadata, conversation = mapping(body.get("metadata")), body.get("conversation")
    user = first_text(body, "user", "safety_identifier") or first_text(metadata, "user_id", "user")
    session = first_text(metadata, "session_id") or text(conversation) or first_text(mapping(conversation), "id")
    tags = {name: value for name, value in metadata.items() if name not in _KNOWN_METADATA and _is_label(value)}
    if not (user or session or tags or not _KNOWN_METADATA.isdisjoint(metadata)):
        return NOBODY
    feature, tenant = text(metadata.get("feature")), text(metadata.get("tenant"))
    return Attribution(user=user, session=session, feature=feature, tenant=tenant, tags=tags)


def _is_label(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_LABEL
