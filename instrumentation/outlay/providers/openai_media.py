"""OpenAI's endpoints whose answer is not a chat: embeddings, images, audio, video, moderation.

Source: openai 3.52.0 `types/create_embedding_response.py`, `types/images_response.py`, `types/audio/transcription.py`,
`transcription_verbose.py`, `types/moderation_create_response.py`, `types/video.py`, and for streams
`types/image_gen_stream_event.py`, `types/image_edit_stream_event.py`, `types/audio/transcription_stream_event.py`,
`types/audio/speech_audio_done_event.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outlay.model import Quantity, Usage
from outlay.providers.base import Reading
from outlay.providers.charges import reported_cost
from outlay.providers.counts import Contradiction, attempt, count, detail, measure, remainder, usage_of
from outlay.providers.foreign import NOTHING, first_text, mapping, mappings, text
from outlay.providers.openai_usage import input_buckets
from outlay.providers.tiers import served_terms
from outlay.providers.wire import Asked, Body, WireFormat


def _fits_embeddings(body: Body) -> bool:
    return any("embedding" in item or "relevance_score" in item for item in mappings(body.get("data")))


def _read_embeddings(body: Body, asked: Asked) -> Reading:
    """Vectors and rankings are billed for what they read; `total_tokens` is the input again, or all there is of it.

    Voyage reports the total alone (voyageai.rerank.7726415adc14). Mistral and Azure add a `completion_tokens` of 0.
    """
    raw = mapping(body.get("usage"))

    def usage() -> Usage | None:
        given, made = count(raw, "prompt_tokens", "input_tokens"), count(raw, "completion_tokens", "output_tokens")
        total = count(raw, "total_tokens")
        if made:
            raise Contradiction(f"completion_tokens {made} on a call that produces no text")
        if given is not None and total is not None and given != total:
            raise Contradiction(f"total_tokens {total} is not prompt_tokens {given}")
        known = total if given is None else given
        return None if known is None else usage_of(input_buckets(raw, known))

    return _reading(body, raw, asked, *attempt(usage))


def _fits_images(body: Body) -> bool:
    pictures = mappings(body.get("data"))
    return "object" not in body and any("url" in each or "b64_json" in each or "svg" in each for each in pictures)


def _read_images(body: Body, asked: Asked) -> Reading:
    """Images are billed by token where the model counts any, else by the piece (dall-e; xai.images.28bae30089c3)."""
    raw = mapping(body.get("usage"))

    def usage() -> Usage:
        if count(raw, "input_tokens") is None and count(raw, "output_tokens") is None:
            return usage_of({"image": sum(1 for _ in mappings(body.get("data")))})
        svg = mapping(body.get("svg_usage"))
        others = {model: _text_usage(svg)} if (model := text(svg.get("model"))) else NOTHING
        return usage_of(image_buckets(raw), other_models=others)

    return _reading(body, raw, asked, *attempt(usage))


def image_buckets(raw: Mapping[str, Any]) -> dict[str, Quantity | None]:
    """Buckets of an image model's usage. What it makes is images where no breakdown says otherwise."""
    given, made = count(raw, "input_tokens") or 0, count(raw, "output_tokens") or 0
    details, made_details = detail(raw, "input_tokens_details"), detail(raw, "output_tokens_details")
    cached = detail(raw, "cached_tokens_details")
    seen, cached_seen = count(details, "image_tokens") or 0, count(cached, "cached_image_tokens")
    cached_text = count(cached, "cached_text_tokens") if cached else count(raw, "cached_tokens")
    read_text = remainder("input_tokens", given, {"image_tokens": seen})
    made_text = count(made_details, "text_tokens") or 0
    return {
        "input": remainder("text_tokens", read_text, {"cached_text_tokens": cached_text}),
        "input_image": remainder("image_tokens", seen, {"cached_image_tokens": cached_seen}),
        "cache_read": cached_text,
        "cache_read_image": cached_seen,
        "output": made_text if made_details else None,
        "output_image": remainder("output_tokens", made, {"text_tokens": made_text}),
    }


def _text_usage(raw: Mapping[str, Any]) -> Usage:
    fields = {"input": "input_tokens", "output": "output_tokens", "reasoning": "reasoning_tokens"}
    return usage_of({unit: count(raw, field) for unit, field in fields.items()})


def _fits_transcription(body: Body) -> bool:
    return isinstance(body.get("text"), str) and not ("choices" in body or "generation_id" in body or "meta" in body)


def _read_transcription(body: Body, asked: Asked) -> Reading:
    """Audio heard is billed by token (gpt-4o-transcribe) or by second (whisper), as the usage's `type` says."""
    raw = mapping(body.get("usage"))

    def usage() -> Usage | None:
        seconds = measure(raw, "seconds") if raw else measure(body, "duration")
        if seconds is not None:
            return usage_of({"audio_second": seconds})
        given, made = count(raw, "input_tokens", "prompt_tokens"), count(raw, "output_tokens", "completion_tokens")
        if given is None or made is None:
            return None
        return usage_of({**input_buckets(raw, given), "output": made})

    return _reading(body, raw, asked, *attempt(usage))


def _fits_moderation(body: Body) -> bool:
    return any("flagged" in item for item in mappings(body.get("results")))


def _read_moderation(body: Body, asked: Asked) -> Reading:
    """Moderation reports no tokens and is counted by request: free at OpenAI, which is a price like another."""
    return _reading(body, NOTHING, asked, usage_of({"request": 1}), None)


def _fits_video(body: Body) -> bool:
    return body.get("object") == "video"


def _read_video(body: Body, asked: Asked) -> Reading:
    """A video is billed by its seconds, once it is there."""
    status = text(body.get("status"))
    if status != "completed":
        return _reading(body, NOTHING, asked, None, f"the video is {status}")
    return _reading(body, NOTHING, asked, *attempt(lambda: usage_of({"video_second": measure(body, "seconds")})))


def read_speech(body: Body, asked: Asked) -> Reading:
    """Speech comes back as sound; what was asked for is billed, by character."""
    spoken = asked.request.prompt.characters if asked.request else 0
    return _reading(body, NOTHING, asked, *attempt(lambda: usage_of({"character": spoken}) if spoken else None))


def _reading(body: Body, raw: Mapping[str, Any], asked: Asked, usage: Usage | None, reason: str | None) -> Reading:
    return Reading(
        model_served=first_text(body, "model"),
        response_id=first_text(body, "id"),
        usage=usage,
        usage_raw=raw or None,
        reason_unread=reason,
        terms=served_terms(asked.request, body.get("service_tier")),
        provider_cost_usd=reported_cost(asked.provider, raw),
    )


def _fits_event(event: Body) -> bool:
    kind = event.get("type")
    return isinstance(kind, str) and kind.startswith(
        ("image_generation.", "image_edit.", "transcript.", "speech.audio.")
    )


class MediaStream:
    """Folds the events of images, transcripts and speech: the last is `completed` or `done` and holds the usage."""

    __slots__ = ("_asked", "_last", "finished", "output_characters")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._last: Body = NOTHING
        self.finished = False
        self.output_characters = 0

    def feed(self, event: Body) -> None:
        kind = str(event.get("type"))
        if kind.endswith((".completed", ".done")):
            self._last = event
            self.finished = True
        elif kind == "transcript.text.delta":
            self.output_characters += len(text(event.get("delta")) or "")

    @property
    def counted(self) -> bool:
        return bool(mapping(self._last.get("usage")))

    def reading(self) -> Reading:
        raw = mapping(self._last.get("usage"))
        if not raw:
            return _reading(self._last, NOTHING, self._asked, None, "the stream carried no usage")
        if str(self._last.get("type")).startswith("image"):
            return _reading(self._last, raw, self._asked, *attempt(lambda: usage_of(image_buckets(raw))))
        if self._asked.operation == "speech":
            return _reading(self._last, raw, self._asked, *attempt(lambda: _spoken(raw)))
        return _read_transcription(self._last, self._asked)


def _spoken(raw: Mapping[str, Any]) -> Usage | None:
    """Text in, sound out."""
    given, made = count(raw, "input_tokens"), count(raw, "output_tokens")
    return None if given is None or made is None else usage_of({"input": given, "output_audio": made})


EMBEDDINGS = WireFormat("openai.embeddings", "openai", _fits_embeddings, _read_embeddings)
IMAGES = WireFormat("openai.images", "openai", _fits_images, _read_images, _fits_event, MediaStream)
TRANSCRIPTION = WireFormat("openai.transcription", "openai", _fits_transcription, _read_transcription)
VIDEO = WireFormat("openai.video", "openai", _fits_video, _read_video)
MODERATION = WireFormat("openai.moderation", "openai", _fits_moderation, _read_moderation)
