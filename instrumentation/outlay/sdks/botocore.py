"""Amazon Bedrock through boto3 and botocore: one wrapper at `BaseClient._make_api_call`, which contains the retries.

Every AWS service goes through it; what is not `bedrock-runtime` costs one comparison. A whole answer comes decoded. A
stream of events is read as botocore decodes it. The body of `invoke_model` stays the `StreamingBody` it is and is read
as the application reads it: where it does not, the token counts of Bedrock's headers say what was used.
Checked against botocore 1.44.5, `client.py`, `endpoint.py`, `eventstream.py` and `response.py`.
"""

from __future__ import annotations

import functools
import json
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from outlay.body import MOST_BYTES
from outlay.guard import shielded
from outlay.headers import raw_headers
from outlay.intercept import Interception, Sending
from outlay.live import LiveCall
from outlay.patches import Patches
from outlay.providers.foreign import is_mapping, mapping
from outlay.runtime import Runtime
from outlay.stream import Watch, body_closed, ended, tap
from outlay.transport import MARK
from outlay.under_way import under_way

if TYPE_CHECKING:
    from outlay.sdks import Sdk

_SERVICE: Final = "bedrock-runtime"
_PATHS: Final = {
    "Converse": "converse",
    "ConverseStream": "converse-stream",
    "InvokeModel": "invoke",
    "InvokeModelWithResponseStream": "invoke-with-response-stream",
}
"""What is billed by the token, and how its path ends."""
_COUNTED: Final = (
    ("inputTokens", "x-amzn-bedrock-input-token-count"),
    ("outputTokens", "x-amzn-bedrock-output-token-count"),
    ("cacheReadInputTokens", "x-amzn-bedrock-cache-read-input-token-count"),
    ("cacheWriteInputTokens", "x-amzn-bedrock-cache-write-input-token-count"),
)


def patch(patches: Patches, sdk: Sdk, runtime: Runtime, module: ModuleType) -> None:
    """Put the wrappers in place in one of botocore's modules."""
    if client := getattr(module, "BaseClient", None):
        patches.replace(client, "_make_api_call", _ChokePoint(Interception(runtime, sdk.provider)).wrap)
    if endpoint := getattr(module, "Endpoint", None):
        patches.replace(endpoint, "_do_get_response", _wrap_attempt)
    if module.__name__.endswith(".eventstream"):
        patches.replace(module.EventStream, "_parse_event", _wrap_decoder)
        patches.replace(module.EventStream, "close", _wrap_close)


class _ChokePoint:
    """The wrapper of the client's calls."""

    def __init__(self, interception: Interception) -> None:
        self._interception = interception

    def wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def _make_api_call(client: Any, operation_name: str, api_params: Any) -> Any:
            if client._service_model.service_name != _SERVICE or operation_name not in _PATHS:
                return original(client, operation_name, api_params)
            call = self._start(client, operation_name, api_params)
            if call is None:
                return original(client, operation_name, api_params)
            with Sending(call):
                answer = original(client, operation_name, api_params)
            _answered(call, answer)
            return answer

        return _make_api_call

    @shielded
    def _start(self, client: Any, operation: str, params: Any) -> LiveCall | None:
        """The call this request is. Raises `BudgetExceeded` where a budget forbids it."""
        if not is_mapping(params):
            return None
        path = f"/model/{params.get('modelId')}/{_PATHS[operation]}"
        body = _body_of(params.get("body")) if operation.startswith("Invoke") else params
        host = urlsplit(client.meta.endpoint_url).hostname or ""
        return self._interception.begin(path, host, body, "bedrock")


def _body_of(sent: Any) -> Mapping[str, Any]:
    """What invoke_model is asked, in the format of the model; nothing where it is no JSON or a file to be read once."""
    try:
        return mapping(json.loads(sent)) if isinstance(sent, (str, bytes, bytearray)) else {}
    except ValueError:
        return {}


def _wrap_attempt(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _do_get_response(endpoint: Any, request: Any, operation_model: Any, context: Any) -> Any:
        call = under_way.get()
        # Credentials may be fetched from other services while a call of ours is under way.
        if call is None or operation_model.service_model.service_name != _SERVICE:
            return original(endpoint, request, operation_model, context)
        began_ns = time.perf_counter_ns()
        result = original(endpoint, request, operation_model, context)
        _attempted(call, operation_model, result, began_ns)
        return result

    return _do_get_response


@shielded
def _attempted(call: LiveCall, operation: Any, result: Any, began_ns: int) -> None:
    """A try came back: with an answer, or with the error that kept it from coming.

    A whole answer is read as it was sent: botocore leaves out what its own release does not know, such as the cached
    tokens of its later days.
    """
    success, error = result
    if success is None:
        call.attempt_failed(error, began_ns)
        return
    response = success[0]
    call.attempt_answered(response.status_code, response.headers, raw_headers(response.headers), began_ns)
    if response.status_code < 300 and not (operation.has_event_stream_output or operation.has_streaming_output):
        call.payload(response.text)


@shielded
def _answered(call: LiveCall, answer: Any) -> None:
    """The SDK has returned: the call is over, unless its body is still to come."""
    if not call.was_sent:
        call.abandon()  # answered by a stub, or by a handler of the application's
        return
    stream = answer.get("stream") if "stream" in answer else answer.get("body")
    if hasattr(stream, "_event_generator"):
        call.start_stream()
        setattr(stream, MARK, call)
        stream._event_generator = tap(stream._event_generator, call)
    elif hasattr(stream, "_raw_stream"):
        _Reading(call, stream, mapping(answer.get("ResponseMetadata", {}).get("HTTPHeaders")))
    else:
        call.end()


def _wrap_decoder(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _parse_event(stream: Any, event: Any) -> Any:
        call = getattr(stream, MARK, None)
        if call is None:
            return original(stream, event)
        try:
            parsed = original(stream, event)
        except Exception as error:
            ended(call, error)
            raise
        _decoded(call, event, parsed)
        return parsed

    return _parse_event


@shielded
def _decoded(call: LiveCall, message: Any, event: Any) -> None:
    """The next event: Converse's own, of which the one that counts is read as it was sent, or a chunk that holds one in
    the format of the model."""
    if message.headers.get(":event-type") == "metadata":
        call.payload({"metadata": json.loads(message.payload)})
        return
    chunk = event.get("chunk") if event else None
    call.payload(json.loads(chunk["bytes"]) if chunk and "bytes" in chunk else event)


def _wrap_close(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def close(stream: Any) -> Any:
        call = getattr(stream, MARK, None)
        if call is not None and call.is_read_on_the_way:
            _closed(call)
        return original(stream)

    return close


_closed = shielded(body_closed)


class _Reading(Watch):
    """Stands in for the reading and closing of the one raw stream below a `StreamingBody`, and goes with it.

    Whatever else urllib3 offers comes down to `read`, but for a body in chunks that is iterated over.
    """

    __slots__ = ("_headers", "_kept", "_left", "_raw")

    def __init__(self, call: LiveCall, body: Any, headers: Mapping[str, str]) -> None:
        super().__init__(call)
        raw = body._raw_stream
        length = headers.get("content-length", "")
        self._headers = headers
        self._kept = bytearray()
        self._left = int(length) if length.isdigit() and "content-encoding" not in headers else None
        self._raw = weakref.ref(raw)  # it holds this: a cycle would keep what the application drops
        raw.read, raw.read_chunked, raw.close = self._read, self._read_chunked, self._close

    def _read(self, *args: Any, **kwargs: Any) -> Any:
        raw: Any = self._raw()
        try:
            piece = type(raw).read(raw, *args, **kwargs)
        except BaseException as error:
            self._end(error)
            raise
        most = args[0] if args else kwargs.get("amt")
        if most != 0:
            self._seen(piece, everything=most is None or most < 0)
        return piece

    def _read_chunked(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        raw: Any = self._raw()
        try:
            for piece in type(raw).read_chunked(raw, *args, **kwargs):
                self._seen(piece, everything=False)
                yield piece
        except GeneratorExit:
            raise
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)

    def _close(self) -> None:
        self._end(None)
        raw: Any = self._raw()
        if raw is not None:
            type(raw).close(raw)

    def __del__(self) -> None:
        self._end(None, is_collecting=True)

    @shielded
    def _seen(self, piece: bytes, *, everything: bool) -> None:
        if len(self._kept) <= MOST_BYTES:
            self._kept += piece
        if self._left is not None:
            self._left -= len(piece)
        if everything or not piece or self._left == 0:
            self._end(None)

    @shielded
    def _end(self, error: BaseException | None, *, is_collecting: bool = False) -> None:
        call = self._call
        if not call.is_over:
            answer = self._answer(call)
            if answer is not None:
                call.payload(answer)
            call.end(error, is_collecting=is_collecting)

    def _answer(self, call: LiveCall) -> Any:
        """The body, where it has been read whole and counts; else what the headers count; None where nothing does."""
        try:
            body = json.loads(self._kept)
        except ValueError:
            body = None
        counted = _counted(self._headers)
        if counted and (body is None or call.reader.read_response(None, body).usage_raw is None):
            return counted
        return body


def _counted(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """What Bedrock's headers count, as Converse or, where nothing is put out, Titan's embeddings would say it."""
    counts = {name: int(headers[header]) for name, header in _COUNTED if headers.get(header, "").isdigit()}
    if "inputTokens" not in counts:
        return None
    return {"usage": counts} if "outputTokens" in counts else {"inputTextTokenCount": counts["inputTokens"]}
