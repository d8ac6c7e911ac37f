"""What was said: the messages of a request and of its answer, in the shape of OpenTelemetry's GenAI conventions.

A message is `{"role", "parts"}`, a part `{"type": "text", "content"}`, `reasoning`, `tool_call` or
`tool_call_response`; pictures, sound and files are named, their data never carried. The formats copied each other's
field names, so they are told apart by those, part by part; what has none of them is left out. The source is
semantic-conventions-genai, `gen-ai-input-messages.json` and its siblings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from outlay.providers.foreign import first_text, is_mapping, mapping, mappings

Message = dict[str, Any]
Part = dict[str, Any]

_SYSTEM: Final = ("system", "instructions", "systemInstruction", "system_instruction", "preamble")
_SAID: Final = ("messages", "contents", "input", "prompt", "message", "inputText", "inputs", "texts", "query")
_MEDIA: Final = ("image", "audio", "video", "document", "file", "pdf")
_CALLS: Final = ("tool_use", "function_call", "server_tool_use", "mcp_call", "custom_tool_call")
_RESULTS: Final = ("tool_result", "function_call_output", "custom_tool_call_output", "mcp_tool_result")


def read_system(body: Mapping[str, Any]) -> list[Part]:
    """What the model was told to be, where that stands apart from the messages."""
    return [part for key in _SYSTEM for part in _parts(body.get(key))]


def read_input(body: Mapping[str, Any]) -> list[Message]:
    """The messages of a request, oldest first."""
    return [message for key in _SAID for message in _messages(body.get(key), "user")]


def read_output(body: Mapping[str, Any]) -> list[Message]:
    """The messages of a whole answer, one for each choice."""
    choices = [*mappings(body.get("choices")), *mappings(body.get("candidates")), *mappings(body.get("generations"))]
    if choices:
        return [message for choice in choices for message in _choice(choice)]
    output = mapping(body.get("output")).get("message") if is_mapping(body.get("output")) else body.get("output")
    for said in (output, body.get("message"), body.get("content"), body.get("text"), body.get("outputText")):
        found = list(_messages([said] if is_mapping(said) else said, "assistant"))
        if found:
            return _joined(found)
    return []


def _choice(choice: Mapping[str, Any]) -> Iterator[Message]:
    said = choice.get("message") or choice.get("content") or choice.get("text")
    reason = first_text(choice, "finish_reason", "finishReason")
    for message in _joined(list(_messages([said] if is_mapping(said) else said, "assistant"))):
        yield {**message, "finish_reason": reason} if reason else message


def _joined(messages: list[Message]) -> list[Message]:
    """The items of one answer as one message."""
    if len(messages) < 2:
        return messages
    return [{"role": messages[0]["role"], "parts": [part for message in messages for part in message["parts"]]}]


def _messages(said: object, role: str) -> Iterator[Message]:
    """Messages of whatever stands where messages may: a text, a list of texts, parts or messages."""
    loose: list[Part] = []
    for each in said if isinstance(said, list) else (said,):
        if is_mapping(each) and _is_message(each):
            parts = [*_parts(each.get("content")), *_parts(each.get("parts")), *_calls(each)]
            if reasoning := first_text(each, "reasoning_content", "reasoning"):
                parts.insert(0, {"type": "reasoning", "content": reasoning})
            if "tool_call_id" in each:
                parts = [_result(each)]
            if parts:
                yield {"role": str(each.get("role") or role), "parts": parts}
        else:
            loose.extend(_parts(each))
    if loose:
        yield {"role": role, "parts": loose}


def _is_message(each: Mapping[str, Any]) -> bool:
    return "role" in each or "parts" in each or each.get("type") == "message"


def _calls(message: Mapping[str, Any]) -> Iterator[Part]:
    for call in mappings(message.get("tool_calls")):
        yield _call(mapping(call.get("function")) or call, call.get("id"))
    if function := mapping(message.get("function_call")):
        yield _call(function, None)


def _parts(content: object) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield {"type": "text", "content": content}
    elif isinstance(content, list):
        for each in content:
            yield from _parts(each)
    elif is_mapping(content):
        yield from _part(content)


def _part(part: Mapping[str, Any]) -> Iterator[Part]:
    kind = str(part.get("type") or "")
    wrapped = mapping(part.get("functionCall")) or mapping(part.get("toolUse"))
    answered = mapping(part.get("functionResponse")) or mapping(part.get("toolResult"))
    if kind in _CALLS or wrapped:
        yield _call(wrapped or part, part.get("call_id") or part.get("id"))
    elif kind in _RESULTS or answered:
        yield _result(answered or part)
    elif kind in ("thinking", "reasoning", "summary_text") or "reasoningContent" in part or part.get("thought"):
        yield from _reasoning(part)
    elif (text := first_text(part, "text", "refusal", "transcript")) is not None:
        yield {"type": "text", "content": text}
    elif any(name in part or name in kind for name in _MEDIA) or "inlineData" in part or "fileData" in part:
        yield {"type": "blob", "modality": next((name for name in _MEDIA if name in part or name in kind), "file")}
    elif "content" in part or "parts" in part:
        yield from _parts(part.get("content") or part.get("parts"))


def _reasoning(part: Mapping[str, Any]) -> Iterator[Part]:
    inner = mapping(mapping(part.get("reasoningContent")).get("reasoningText"))
    text = first_text(inner or part, "thinking", "text")
    if text:
        yield {"type": "reasoning", "content": text}
    for each in mappings(part.get("summary")):
        yield from _reasoning(each)


def _call(call: Mapping[str, Any], identity: object) -> Part:
    given = next((call[key] for key in ("arguments", "input", "args", "parameters") if key in call), None)
    return {
        "type": "tool_call",
        "id": str(identity or call.get("toolUseId") or "") or None,
        "name": str(call.get("name") or ""),
        "arguments": _text(given),
    }


def _result(part: Mapping[str, Any]) -> Part:
    identity = first_text(part, "tool_call_id", "tool_use_id", "call_id", "toolUseId", "id")
    response = next((part[key] for key in ("content", "output", "response") if key in part), None)
    return {"type": "tool_call_response", "id": identity, "response": _text(response)}


def _text(value: object) -> str | None:
    """Whatever a tool is given or gives, as text."""
    if value is None or isinstance(value, str):
        return value
    said = [part["content"] for part in _parts(value) if part["type"] == "text"] if isinstance(value, list) else []
    return "\n".join(said) if said else json.dumps(value, ensure_ascii=False, default=str)


class StreamedText:
    """The text of a streamed answer, put together from its events; calls of tools as far as their arguments came."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._tools: list[str] = []
        self._whole: list[Message] = []

    def feed(self, event: Mapping[str, Any]) -> None:
        """Take the next event, of any format that streams."""
        if isinstance(whole := event.get("response"), Mapping) and "output" in whole:
            self._whole = read_output(whole) or self._whole
        for choice in mappings(event.get("choices")):
            self._delta(mapping(choice.get("delta")) or choice)
        for candidate in mappings(event.get("candidates")):
            self._delta(mapping(candidate.get("content")))
        delta = event.get("delta")
        if isinstance(delta, str):
            where = self._reasoning if "reasoning" in str(event.get("type")) else self._text
            (self._tools if "arguments" in str(event.get("type")) else where).append(delta)
        else:
            inner = mapping(mapping(event.get("contentBlockDelta")).get("delta"))
            self._delta(inner or mapping(delta) or mapping(event.get("message")))

    def _delta(self, delta: Mapping[str, Any]) -> None:
        content = delta.get("content", delta.get("parts"))
        for part in _parts(content if content is not None else first_text(delta, "text")):
            (self._reasoning if part["type"] == "reasoning" else self._text).append(part.get("content") or "")
        self._reasoning.append(first_text(delta, "thinking", "reasoning_content", "reasoning") or "")
        self._tools.append(first_text(delta, "partial_json") or "")
        for call in mappings(delta.get("tool_calls")):
            self._tools.append(first_text(mapping(call.get("function")), "arguments") or "")

    def messages(self) -> list[Message]:
        """The answer so far, in one message; the provider's own last word where it repeats the whole."""
        if self._whole:
            return self._whole
        said = (("reasoning", self._reasoning), ("text", self._text))
        parts: list[Part] = [{"type": kind, "content": "".join(text)} for kind, text in said if any(text)]
        if any(self._tools):
            parts.append({"type": "tool_call", "id": None, "name": "", "arguments": "".join(self._tools)})
        return [{"role": "assistant", "parts": parts}] if parts else []
