"""How much a request may make its model read, from the request's body alone: text, pictures, sound, files, and what
the provider adds.

Everything that is text counts, names of parameters and of fields too. It is counted in tokens it could be at the
densest for its kind, which `estimate` then scales by provider and by experience: letters of words, letters without
words between them (base64, hashes), figures and signs, other scripts. Pictures, sound and files are told apart from
text, for they are priced by what they show and not by how long they are. What a body does not show (a file kept by the
provider, a conversation it continues, pages a search will find) makes the input `open_ended`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from outlay.providers.foreign import is_mapping

_PROSE: Final = 0.25
_DENSE: Final = 0.75
_SIGNS: Final = 0.7
_BEYOND_ASCII: Final = 0.5
_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ "
_SHORT: Final = 64
_LONGEST_WORDS: Final = 16
"""Text of so many letters a space has no words: it is data, and denser."""
_BRIEF: Final = 0.5
_SHORTEST: Final = 32
"""A text of so few letters is not worth a closer look. A field's name is taken for one token."""

_BASE64: Final = 3 / 4
_PDF_TOKENS_PER_BYTE: Final = 2.5
"""Text of a PDF is compressed, and each page is read as a picture too: a page of 2 kB comes to 5,000 tokens."""
_AUDIO_TOKENS_PER_BYTE: Final = 0.06
"""Gemini takes 32 tokens a second, and speech is seldom stored in fewer than 600 bytes a second."""
_VIDEO_TOKENS_PER_BYTE: Final = 0.1
_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]{0,100},")
_MEDIA_KEYS: Final = {
    "image": "image", "images": "image", "image_url": "image", "imageUrl": "image", "input_image": "image",
    "audio": "audio", "input_audio": "audio", "inputAudio": "audio", "audio_url": "audio",
    "video": "video", "video_url": "video", "input_video": "video",
    "file": "file", "document": "file", "document_url": "file", "input_file": "file",
    "inlineData": "file", "inline_data": "file", "fileData": "file", "file_data": "file",
}  # fmt: skip
_MEDIA_TYPES: Final = {
    "image": "image", "image_url": "image", "input_image": "image", "computer_screenshot": "image",
    "audio": "audio", "input_audio": "audio", "audio_url": "audio",
    "video": "video", "video_url": "video", "input_video": "video",
    "file": "file", "document": "file", "document_url": "file", "input_file": "file", "container_upload": "file",
}  # fmt: skip
_MIME_KEYS: Final = ("mimeType", "mime_type", "media_type", "mediaType")
_CONTENT_KEYS: Final = frozenset({"data", "bytes", "file_data", "fileData", "b64_json", "image_base64"})
_PLACE_KEYS: Final = frozenset({
    "url", "uri", "fileUri", "file_uri", "file_id", "fileId", "file_url", "image_url", "document_url", "audio_url",
    "video_url", "s3Location",
})  # fmt: skip
_KEPT: Final = frozenset({
    "previous_response_id", "conversation", "conversation_id", "previous_interaction_id", "cachedContent",
    "cached_content", "container", "vector_store_ids", "data_sources", "session_id", "thread_id",
})  # fmt: skip
"""Fields that name something the provider keeps and will have the model read."""
_TOOL_KEYS: Final = frozenset({"tools", "functions", "toolConfig"})
_MARKS: Final = frozenset({"cache_control", "cachePoint"})
_SCALARS: Final = frozenset({int, float, bool, type(None)})
_PLACES: Final = ("data:", "http://", "https://", "gs://", "s3://")
_SPECIAL: Final = frozenset({*_MEDIA_KEYS, *_MIME_KEYS, *_KEPT, *_TOOL_KEYS, *_MARKS, "source", "prompt", "bytes"})
"""Fields of objects that hold more than text."""


class Size:
    """What a body may come to: `text` in tokens at the densest, `images` a number, all else in tokens. `is_plain` says
    that there is text alone, `open_ended` that more will be read than the body shows.

    Most bodies are text alone: an instance holds no more than what differs from these."""

    images: int = 0
    audio: int = 0
    video: int = 0
    file_tokens: int = 0
    open_ended: bool = False
    has_audio: bool = False
    has_cache_mark: bool = False
    has_hour_mark: bool = False
    is_plain: bool = True

    def __init__(self, text: float = 0.0) -> None:
        self.text = text


def size_of(body: Mapping[str, Any]) -> Size:
    """Walk a body once. Runs before every call that a budget covers: what most bodies are made of comes first."""
    size = Size()
    text = 0.0
    pending: list[Any] = [body]
    for node in pending:  # which grows meanwhile
        kind = type(node)
        if kind is dict:
            if not _SPECIAL.isdisjoint(node):
                _walk_media(size, node, pending)
                continue
            text += len(node)
            for value in node.values():
                kind = type(value)
                if kind is str:
                    text += len(value) * _BRIEF if len(value) <= _SHORTEST and value.isascii() else weight(value)
                elif kind not in _SCALARS:
                    pending.append(value)
        elif kind is list or isinstance(node, (list, tuple)):
            if node and type(node[0]) is int:
                text += len(node)  # token numbers
            else:
                pending += node
        elif kind is str:
            text += weight(node)
        elif isinstance(node, (bytes, bytearray)):
            _add_bytes(size, "file", len(node))
        elif is_mapping(node):
            pending.append(dict(node))
    size.text += text
    return size


def weight(text: str) -> float:
    """The tokens a text may be, at the densest for its kind. About a nanosecond a character."""
    if text.isascii():
        raw, beyond = text.encode(), 0
    else:
        raw = text.encode("ascii", "ignore")
        beyond = len(text.encode("utf-8", "surrogatepass")) - len(raw)
    length = len(raw)
    signs = len(raw.translate(None, _LETTERS))
    letter = _PROSE if length < _SHORT or _has_words(raw, length) else _DENSE
    return (length - signs) * letter + signs * _SIGNS + beyond * _BEYOND_ASCII


def _has_words(raw: bytes, length: int) -> bool:
    """The first half of a text mostly tells."""
    half = length >> 1
    spaces = raw.count(b" ", 0, half) * _LONGEST_WORDS
    return spaces >= length or spaces + raw.count(b" ", half) * _LONGEST_WORDS >= length


def _walk_media(size: Size, found: Mapping[str, Any], plain: list[Any]) -> None:
    """An object that may hold more than text, or say that there is more than it holds; what is surely text is left to
    `plain`."""
    pending: list[tuple[Any, str]] = [(found, "")]
    while pending:
        node, kind = pending.pop()
        if is_mapping(node):
            _walk_object(size, node, _kind_of(node, kind), pending, plain)
        elif isinstance(node, (list, tuple)):
            pending += [(each, kind) for each in node]
        elif isinstance(node, (bytes, bytearray)):
            _add_bytes(size, kind, len(node))
        elif type(node) is str:
            _add_content(size, kind, node)


def _walk_object(
    size: Size, node: Mapping[str, Any], kind: str, pending: list[tuple[Any, str]], plain: list[Any]
) -> None:
    is_text = kind == "text" or node.get("type") in ("text", "content")
    size.text += len(node)
    for key, value in node.items():
        if key in _MARKS:
            size.has_cache_mark = True
            size.has_hour_mark |= is_mapping(value) and value.get("ttl") == "1h"
        elif key in _KEPT:
            if value:
                size.open_ended, size.is_plain = True, False
        elif key in _TOOL_KEYS:
            size.text += _schema_weight(value)
        elif type(value) is str:
            _add_field(size, key, value, "" if is_text else kind)
        elif value is not None and type(value) not in _SCALARS:
            if key == "prompt" and is_mapping(value) and "id" in value:
                size.open_ended, size.is_plain = True, False  # a prompt kept at OpenAI
            if within := _MEDIA_KEYS.get(key, kind):
                pending.append((value, within))
            else:
                plain.append(value)


def _add_field(size: Size, key: str, value: str, kind: str) -> None:
    """A text field of an object that may hold a picture, sound or a file."""
    kind = kind or (_MEDIA_KEYS.get(key, "") if value.startswith(_PLACES) else "")
    if not kind or (key not in _CONTENT_KEYS and key not in _PLACE_KEYS):
        size.text += weight(value)
    elif key in _CONTENT_KEYS or value.startswith("data:"):
        _add_content(size, kind, value)
    else:
        _add_remote(size, kind)


def _kind_of(node: Mapping[str, Any], kind: str) -> str:
    """What the content of an object is: by its type, else by the MIME type, else by where it stands."""
    for key in _MIME_KEYS:
        if type(mime := node.get(key)) is str:
            return _kind_of_mime(mime)
    said = node.get("type")
    if type(said) is str and said in _MEDIA_TYPES:
        return _MEDIA_TYPES[said]
    if kind and said == "text":
        return kind if "data" in node else ""
    return kind


def _kind_of_mime(mime: str) -> str:
    major = mime.partition("/")[0]
    return major if major in ("image", "audio", "video") else ("text" if major == "text" else "file")


def _add_content(size: Size, kind: str, value: str) -> None:
    """Content that stands in the body itself: base64, or a data URL of it."""
    if (found := _DATA_URL.match(value)) is not None and found[1]:
        kind = _kind_of_mime(found[1])
    elif value.startswith(_PLACES[1:]):
        _add_remote(size, kind)
        return
    _add_bytes(size, kind, int(len(value) * _BASE64))


def _add_bytes(size: Size, kind: str, length: int) -> None:
    size.is_plain = False
    if kind == "image":
        size.images += 1
    elif kind == "audio":
        size.audio += int(length * _AUDIO_TOKENS_PER_BYTE) + 1
        size.has_audio = True
    elif kind == "video":
        size.video += int(length * _VIDEO_TOKENS_PER_BYTE) + 1
        size.has_audio = True
    elif kind == "text":
        size.file_tokens += length
    else:
        size.file_tokens += int(length * _PDF_TOKENS_PER_BYTE) + 1


def _add_remote(size: Size, kind: str) -> None:
    """Content kept elsewhere. A picture comes to no more than its model's most; all else may be of any length."""
    size.is_plain = False
    if kind == "image":
        size.images += 1
        return
    size.open_ended = True
    size.has_audio |= kind in ("audio", "video")


def _schema_weight(tools: object) -> float:
    """Of tools everything is part of the prompt."""
    total = 0.0
    pending = [tools]
    while pending:
        node = pending.pop()
        if type(node) is str:
            total += weight(node) + 1
        elif is_mapping(node):
            total += 1 + sum(weight(name) for name in node if type(name) is str)
            pending.extend(node.values())
        elif isinstance(node, (list, tuple)):
            pending.extend(node)
        else:
            total += 1
    return total
