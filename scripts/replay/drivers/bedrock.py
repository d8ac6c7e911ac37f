"""boto3's client of bedrock-runtime: Converse and invoke_model, whole and streamed. It has no asynchronous client."""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import boto3  # type: ignore[import-untyped]  # it carries no types
from botocore.config import Config  # type: ignore[import-untyped]

from replay.drivers import NotReplayable, Play
from replay.recording import Exchange

SDK: Final = "boto3"
_PATH: Final = re.compile(r"/model/(.+)/(converse-stream|converse|invoke-with-response-stream|invoke|count-tokens)$")


def play(exchange: Exchange, url: str, is_async: bool) -> Play:
    found = _PATH.match(exchange.path)
    if found is None or not isinstance(exchange.body, dict):
        raise NotReplayable("no SDK for it")
    if is_async:
        raise NotReplayable("boto3 has no asynchronous client")
    client, chosen = _client(url)
    method, given = _method(client, found[2], exchange.body)
    given["modelId"] = unquote(found[1])

    def run() -> None:
        chosen["x-replay-id"] = exchange.id
        answer = method(**given)
        body = answer.get("stream", answer.get("body"))
        if hasattr(body, "read"):
            body.read()
        elif body is not None:
            for _ in body:
                pass

    return run


@lru_cache(maxsize=4)
def _client(url: str) -> tuple[Any, dict[str, str]]:
    """The client, and headers it adds to whatever it sends."""
    chosen: dict[str, str] = {}
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="replay",
        aws_secret_access_key="replay",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )

    def add(request: Any, **_: Any) -> None:
        for name, value in chosen.items():
            request.headers[name] = value

    client.meta.events.register("before-sign.bedrock-runtime", add)
    return client, chosen


def _method(client: Any, operation: str, body: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The client's method for the operation, and what it is given beside the model."""
    match operation:
        case "converse":
            return client.converse, _with_bytes(body)
        case "converse-stream":
            return client.converse_stream, _with_bytes(body)
        case "count-tokens":
            return client.count_tokens, _with_bytes(body)
        case "invoke":
            return client.invoke_model, {"body": json.dumps(body)}
    return client.invoke_model_with_response_stream, {"body": json.dumps(body)}


def _with_bytes(node: Any) -> Any:
    """What JSON carries as base64 is given to the client as bytes."""
    if isinstance(node, dict):
        return {key: _decoded(value) if key == "bytes" else _with_bytes(value) for key, value in node.items()}
    return [_with_bytes(each) for each in node] if isinstance(node, list) else node


def _decoded(value: Any) -> Any:
    return base64.b64decode(value) if isinstance(value, str) else value
