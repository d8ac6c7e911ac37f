"""A provider with every endpoint of OpenAI's and Anthropic's APIs, and of the platforms that resell them. Synthetic.

Each answers with the same counts: 100 tokens in, 40 of them read from the cache, 20 out, whatever is asked. A request
with the header `x-usage: plain` is answered as if nothing had been cached, with `x-usage: none` without usage, with
`x-end: error` by an error once a stream has begun.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.instrumentation.doubles import sse

CHAT_USAGE: Final = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 40},
}
RESPONSES_USAGE: Final = {
    "input_tokens": 100,
    "output_tokens": 20,
    "total_tokens": 120,
    "input_tokens_details": {"cached_tokens": 40},
    "output_tokens_details": {"reasoning_tokens": 0},
}
MESSAGE_USAGE: Final = {"input_tokens": 60, "cache_read_input_tokens": 40, "output_tokens": 20}
IMAGE_USAGE: Final = {
    "input_tokens": 100,
    "output_tokens": 20,
    "total_tokens": 120,
    "input_tokens_details": {"text_tokens": 100, "image_tokens": 0},
}
TRANSCRIPT_USAGE: Final = {
    "type": "tokens",
    "input_tokens": 100,
    "output_tokens": 20,
    "total_tokens": 120,
    "input_token_details": {"text_tokens": 0, "audio_tokens": 100},
}
TEXT: Final = '{"river":"Danube"}'


@dataclass
class Endpoints:
    """Answers every request; keeps method, path and body of each."""

    url: str = ""
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _ in self.requests]

    async def take(self, request: Request) -> Response:
        body, path = await request.body(), request.url.path
        self.requests.append((request.method, path, body))
        is_json = "json" in request.headers.get("content-type", "") and body
        said: dict[str, Any] = json.loads(body) if is_json else {"stream": b'name="stream"' in body}
        if request.query_params.get("stream") == "true":
            said["stream"] = True
        answer = _answer(path, said, request.method)
        if (usage := request.headers.get("x-usage")) or "x-end" in request.headers:
            return _altered(answer, usage, is_cut=request.headers.get("x-end") == "error")
        return answer


def _answer(path: str, said: dict[str, Any], method: str) -> Response:
    last = path.rpartition("/")[2]
    streamed = said.get("stream") is True
    if path.endswith("/token"):
        return JSONResponse({"access_token": "fresh", "token_type": "Bearer", "expires_in": 3600})
    if last == "invoke-with-response-stream":
        return Response(b"".join(map(_frame, _message_events())), media_type="application/vnd.amazon.eventstream")
    if last == "messages" or last == "invoke" or last.endswith("awPredict"):
        return sse(*_message_events(), done=False) if streamed else JSONResponse(_message(said))
    if path.endswith("chat/completions"):
        return sse(*_chunks(said)) if streamed else JSONResponse(_completion(said))
    if last in ("responses", "compact") or "/responses/" in path:
        return _response(path, said, method, streamed)
    return _other(path, said, streamed)


def _altered(answer: Response, usage: str | None, *, is_cut: bool) -> Response:
    body = bytes(answer.body).decode()
    if answer.media_type != "text/event-stream":
        return JSONResponse(_with_usage(json.loads(body), usage))
    events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    if is_cut:
        said = {"type": "overloaded_error", "message": "Overloaded"}
        error = {"error": said} if "choices" in events[0] else {**said, "type": "error", "error": said}
        return sse(*events[:1], *events[1:4][:-1], error, done=False)
    if usage == "none":  # who has no usage to tell sends no chunk for it
        events = [event for event in events if event.get("choices") != []]
    return sse(*(_with_usage(event, usage) for event in events), done="[DONE]" in body)


def _with_usage(said: Any, usage: str | None) -> Any:
    """The same with every usage in it as it is to be."""
    if isinstance(said, list):
        return [_with_usage(each, usage) for each in said]
    if not isinstance(said, dict) or usage is None:
        return said
    found = {name: _with_usage(value, usage) for name, value in said.items() if name != "usage"}
    if isinstance(counts := said.get("usage"), dict) and usage == "plain":
        given = {"input_tokens": 100} if "input_tokens" in counts else {}
        kept = {name: n for name, n in counts.items() if isinstance(n, int) and "cache" not in name}
        found["usage"] = {**kept, **given}
    elif "usage" in said and "type" in said and usage == "none" and said["type"] in ("message", "message_delta"):
        found["usage"] = {}
    return found


def _other(path: str, said: dict[str, Any], streamed: bool) -> Response:
    last = path.rpartition("/")[2]
    if last == "completions":
        text = {"id": "cmpl-1", "object": "text_completion", "model": said["model"], "usage": CHAT_USAGE}
        return JSONResponse({**text, "choices": [{"index": 0, "text": TEXT, "finish_reason": "stop"}]})
    if last == "embeddings":
        vector: Any = [0.5, 0.25]
        if said.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack("<2f", *vector)).decode()
        usage = {"prompt_tokens": 100, "total_tokens": 100}
        data = [{"object": "embedding", "index": 0, "embedding": vector}]
        return JSONResponse({"object": "list", "model": said["model"], "data": data, "usage": usage})
    if "/images/" in path:
        kind = "image_edit" if last == "edits" else "image_generation"
        if streamed:
            return sse({"type": f"{kind}.completed", "b64_json": "UE5H", "usage": IMAGE_USAGE})
        return JSONResponse({"created": 1, "data": [{"b64_json": "UE5H"}], "usage": IMAGE_USAGE})
    if last in ("transcriptions", "translations"):
        done = {"text": TEXT, "usage": TRANSCRIPT_USAGE}
        delta = {"type": "transcript.text.delta", "delta": TEXT}
        return sse(delta, {"type": "transcript.text.done", **done}) if streamed else JSONResponse(done)
    if last == "speech":
        return Response(b"ID3", media_type="audio/mpeg")
    if last == "moderations":
        flags = {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}
        return JSONResponse({"id": "modr-1", "model": "omni-moderation-latest", "results": [flags]})
    return _unbilled(path, said)


def _unbilled(path: str, said: dict[str, Any]) -> Response:
    """What costs nothing by itself, and what is not done yet."""
    last = path.rpartition("/")[2]
    if last == "count_tokens":
        return JSONResponse({"input_tokens": 60})
    if last == "batches":
        return JSONResponse({"id": "batch_1", "object": "batch", "type": "message_batch", "status": "validating"})
    if last == "results":
        line = {"custom_id": "a", "result": {"type": "succeeded", "message": _message({"model": "claude-sonnet-4-6"})}}
        return Response(json.dumps(line) + "\n", media_type="application/x-jsonl")
    if last in ("msgbatch_1", "files"):
        results = "/v1/messages/batches/msgbatch_1/results"
        return JSONResponse({"id": last, "type": "message_batch", "object": "file", "results_url": results})
    if "/videos" in path:
        status = "completed" if last == "video_1" else "queued"
        video = {"id": "video_1", "object": "video", "model": "sora-2", "seconds": "4", "size": "720x1280"}
        return JSONResponse({**video, "status": status, "progress": 0, "created_at": 1790000000, "completed_at": None})
    if last == "decisions":
        return JSONResponse({"answers": [], "model": said["model"], "usage": RESPONSES_USAGE})
    return JSONResponse({"object": "list", "data": []})


def _message(said: dict[str, Any]) -> dict[str, Any]:
    content = [{"type": "text", "text": TEXT}]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": said.get("model") or "claude-sonnet-4-6"}
    return {**message, "content": content, "stop_reason": "end_turn", "stop_sequence": None, "usage": MESSAGE_USAGE}


def _message_events() -> Iterator[dict[str, Any]]:
    opening = {**_message({}), "content": [], "stop_reason": None, "usage": {**MESSAGE_USAGE, "output_tokens": 1}}
    yield {"type": "message_start", "message": opening}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}}
    yield {"type": "content_block_stop", "index": 0}
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 20}}
    yield {"type": "message_stop"}


def _frame(event: dict[str, Any]) -> bytes:
    """One frame of an AWS event stream, checksums and all."""
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode()
    headers = b""
    for name, value in ((":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    head = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + payload
    return head + struct.pack(">I", binascii.crc32(head))


def _completion(said: dict[str, Any]) -> dict[str, Any]:
    answer = {"role": "assistant", "content": TEXT, "refusal": None}
    completion = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": said["model"]}
    choices = [{"index": 0, "message": answer, "finish_reason": "stop", "logprobs": None}]
    return {**completion, "choices": choices, "usage": CHAT_USAGE}


def _chunks(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": said["model"]}
    yield {**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": TEXT}, "finish_reason": None}]}
    yield {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    if (said.get("stream_options") or {}).get("include_usage"):
        yield {**chunk, "choices": [], "usage": CHAT_USAGE}


def _response(path: str, said: dict[str, Any], method: str, streamed: bool) -> Response:
    """In the background a response is queued when it is made, and completed when it is fetched."""
    is_queued = method == "POST" and said.get("background") is True
    is_background = is_queued or "resp_background" in path
    response: dict[str, Any] = {
        "id": "resp_background" if is_background else "resp_1",
        "object": "response.compaction" if path.endswith("/compact") else "response",
        "created_at": 1790000000,
        "completed_at": None if is_queued else 1790000007,
        "model": said.get("model", "gpt-4.1"),
        "status": "queued" if is_queued else "completed",
        "background": is_background,
        "output": [] if is_queued else [_output()],
        "usage": None if is_queued else RESPONSES_USAGE,
    }
    if not streamed:
        return JSONResponse(response)
    opening = {**response, "status": "in_progress", "output": [], "usage": None}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    return sse(
        {"type": "response.created", "response": opening, "sequence_number": 0},
        {"type": "response.output_item.added", "output_index": 0, "item": {**_output(), "content": []}},
        {"type": "response.content_part.added", **where, "part": part},
        {"type": "response.output_text.delta", **where, "delta": TEXT, "logprobs": []},
        {"type": "response.output_text.done", **where, "text": TEXT, "logprobs": []},
        {"type": "response.completed", "response": response, "sequence_number": 1},
        done=False,
    )


def _output() -> dict[str, Any]:
    content = [{"type": "output_text", "text": TEXT, "annotations": []}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}
