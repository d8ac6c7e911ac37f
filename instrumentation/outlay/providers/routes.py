"""Which requests are calls: from the path and body of a request to what it says before it is sent.

One table of path endings for all providers, because they copied each other's paths. What the table does not list is not
billed by itself: models, files, batches and their polling, token counting, responses fetched a second time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from outlay.model import Attribution
from outlay.providers.base import Request
from outlay.providers.foreign import first_text, mapping, mappings, text
from outlay.providers.tiers import asked_terms

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
    (r":predict", "embeddings"),
    (r"/rerank", "rerank"),
    (r"/images/(?:generations|edits|variations)", "image_generation"),
    (r"/audio/(?:transcriptions|translations)", "transcription"),
    (r"/audio/speech", "speech"),
    (r"/moderations", "moderation"),
    (r"/ocr", "ocr"),
)
_PATHS: Final = re.compile("|".join(f"(?P<o{i}>(?:{ending})$)" for i, (ending, _) in enumerate(_OPERATIONS)), re.I)
_MODEL_IN_PATH: Final = re.compile(
    r"/(?:models?|deployments)/(.+?)(?:/(?:invoke|converse|chat|completions|embed)|:\w+$)"
)
"""Google's `models/{id}:generateContent`, Bedrock's `model/{id}/converse`, Azure's `deployments/{name}/chat/...`."""
_FORMS: Final = ("transcription", "image_generation")
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
_PROMPT: Final = frozenset(
    {
        "arguments",
        "content",
        "contents",
        "documents",
        "input",
        "inputText",
        "inputs",
        "instances",
        "instructions",
        "message",
        "messages",
        "parts",
        "prompt",
        "query",
        "requests",
        "system",
        "systemInstruction",
        "system_instruction",
        "text",
        "texts",
        "thinking",
    }
)
_TOOLS: Final = ("tools", "functions", "toolConfig")
_NOBODY: Final = Attribution()
_CHARACTERS_PER_TOKEN: Final = 4
"""Of English text, for prompts that are given as token numbers."""


def read_request(path: str, body: Mapping[str, Any]) -> Request | None:
    """The call a request is, None where it is not one.

    An empty path is a bare body: a chat, as far as anyone knows. Without a body only a path that names its model, or
    one that takes a form, is a call: the rest are lists being fetched.
    """
    route = unquote("/" + path.partition("?")[0].lstrip("/"))
    operation = _operation(route) if path else "chat"
    if operation is None:
        return None
    model = _model(route, body)
    if not body and model is None and operation not in _FORMS:
        return None
    return Request(
        operation=operation,
        model=model,
        streamed=body.get("stream") is True or _STREAM_PATH.search(route.rpartition("/")[2]) is not None,
        max_output_tokens=_cap(body),
        input_characters=_characters(body),
        terms=asked_terms(body),
        attribution=_attribution(body),
    )


def _operation(route: str) -> str | None:
    found = _PATHS.search(route)
    if found is None or found.lastgroup is None:
        return None
    operation = _OPERATIONS[int(found.lastgroup[1:])][1]
    return "embeddings" if operation == "chat" and "/model/" in route and "embed" in route else operation


def _model(route: str, body: Mapping[str, Any]) -> str | None:
    named = first_text(body, "model", "model_id", "modelId")
    if named is None and (found := _MODEL_IN_PATH.search(route)):
        named = found[1]
    if named is None:
        named = next((text(each.get("model")) for each in mappings(body.get("requests"))), None)
    return named.removeprefix("models/") if named else None


def _cap(body: Mapping[str, Any]) -> int | None:
    """The most tokens the call may produce, all its alternatives together."""
    for holder in (body, *(mapping(body.get(nested)) for nested in _NESTED_CAPS)):
        for field in _CAPS:
            cap = holder.get(field)
            if type(cap) is int and cap > 0:
                alternatives = body.get("n") or holder.get("candidateCount")
                return cap * alternatives if type(alternatives) is int and alternatives > 1 else cap
    return None


def _characters(body: Mapping[str, Any]) -> int:
    """How much text the prompt holds: strings under the keys that carry prompts, never the data of images or sound."""
    total = _schema_characters([body[key] for key in _TOOLS if key in body])
    pending: list[object] = [body]
    while pending:
        node = pending.pop()
        if type(node) is dict or isinstance(node, Mapping):
            for key, value in node.items():
                if key in _PROMPT:
                    if type(value) is str:
                        total += len(value)
                    else:
                        pending.append(value)
        elif isinstance(node, list | tuple):
            if node and type(node[0]) is int:
                total += len(node) * _CHARACTERS_PER_TOKEN
            else:
                pending.extend(node)
        elif type(node) is str:
            total += len(node)
    return total


def _schema_characters(tools: object) -> int:
    """Of tools everything counts, names of parameters included: their schemas are part of the prompt."""
    total = 0
    pending = [tools]
    while pending:
        node = pending.pop()
        if type(node) is str:
            total += len(node)
        elif isinstance(node, Mapping):
            total += sum(len(name) for name in node if type(name) is str)
            pending.extend(node.values())
        elif isinstance(node, list | tuple):
            pending.extend(node)
    return total


def _attribution(body: Mapping[str, Any]) -> Attribution:
    """Whom the request itself names: OpenAI's `user` and `safety_identifier`, the `metadata` of both big APIs."""
    metadata = mapping(body.get("metadata"))
    user = first_text(body, "user", "safety_identifier") or first_text(metadata, "user_id", "user")
    conversation = body.get("conversation")
    session = first_text(metadata, "session_id") or text(conversation) or first_text(mapping(conversation), "id")
    return Attribution(user=user, session=session) if user or session else _NOBODY
