"""The clients of Mistral, Cohere and Bedrock as the tests use them: what each is asked, and how it is let go of."""

from __future__ import annotations

import inspect
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import boto3
import cohere.base_client
from botocore.config import Config
from mistralai.client import Mistral
from mistralai.client.utils import BackoffStrategy, RetryConfig
from pydantic import BaseModel

from tests.instrumentation.doubles import settled

QUESTION: Final = "Which rivers end in the Black Sea? Name them all."
TURNS: Final = [{"role": "user", "content": QUESTION}]
NOVA: Final = "amazon.nova-lite-v1:0"
_COHERE_STREAMS: Final = inspect.getsource(cohere.base_client)
_sessions = itertools.count()


def headers(scene: str) -> dict[str, str]:
    return {"x-scene": scene, "x-session": str(next(_sessions))}


class Rivers(BaseModel):
    names: list[str]


@dataclass(frozen=True, slots=True)
class Vendor:
    """One API of one SDK, sync or async. `ask` and `stream` are given the client and a scene."""

    name: str
    open: Callable[[str, int], Any]
    close: Callable[[Any], Awaitable[None]]
    ask: Callable[[Any, str], Any]
    stream: Callable[[Any, str], Any] | None
    is_async: bool = False

    @property
    def family(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def reads_on(self) -> bool:
        """Whether its stream swallows that it is closed, and goes on to the end of what the provider sends."""
        return self.family == "cohere" and re.search(r"yield .*\s+except:\s", _COHERE_STREAMS) is not None

    @asynccontextmanager
    async def client(self, url: str, retries: int = 0) -> AsyncIterator[Any]:
        client = self.open(url, retries)
        yield client
        await self.close(client)


def _mistral(url: str, retries: int) -> Any:
    backoff = BackoffStrategy(1, 2, 1.1, 5_000 if retries else 0, jitter_ms=0)
    return Mistral(api_key="none", server_url=f"{url}/mistral", retry_config=RetryConfig("backoff", backoff, True))


async def _close_mistral(client: Any) -> None:
    client.__exit__(None, None, None)
    await client.__aexit__(None, None, None)


def _mistral_method(resource: str, name: str, **ask: Any) -> Callable[[Any, str], Any]:
    def call(client: Any, scene: str) -> Any:
        found = client
        for part in resource.split("."):
            found = getattr(found, part)
        return getattr(found, name)(**ask, http_headers=headers(scene))

    return call


_CHAT: Final = {"model": "mistral-large-latest", "messages": TURNS}
_PARSE: Final = {**_CHAT, "response_format": Rivers}
_FIM: Final = {"model": "mistral-large-latest", "prompt": QUESTION}
_AGENT: Final = {"agent_id": "ag_1", "messages": TURNS}


def _mistral_vendors() -> list[Vendor]:
    ways: list[tuple[str, str, str, str | None, dict[str, Any]]] = [
        ("mistral chat", "chat", "complete", "stream", _CHAT),
        ("mistral parse", "chat", "complete", "parse_stream", _PARSE),
        ("mistral fim", "fim", "complete", "stream", _FIM),
    ]
    found = []
    for name, resource, ask, stream, given in ways:
        plain = {key: value for key, value in given.items() if key != "response_format"}
        for kind, suffix in (("", ""), (" async", "_async")):
            found.append(
                Vendor(
                    name + kind,
                    _mistral,
                    _close_mistral,
                    _mistral_method(resource, ask + suffix, **plain),
                    _mistral_method(resource, f"{stream}{suffix}", **given),
                    bool(kind),
                )
            )
    return found


async def _close_cohere(client: Any) -> None:
    http = client._client_wrapper.httpx_client.httpx_client
    await settled(http.aclose() if hasattr(http, "aclose") else http.close())


def _cohere_vendor(version: str, is_async: bool) -> Vendor:
    kind = getattr(cohere, f"{'Async' if is_async else ''}Client{version}")
    ask: dict[str, Any] = {"messages": TURNS} if version else {"message": QUESTION}
    ask["model"] = "command-a-03-2025"

    def options(scene: str, retries: int) -> dict[str, Any]:
        return {"request_options": {"additional_headers": headers(scene), "max_retries": retries}}

    def opened(url: str, retries: int) -> Any:
        client = kind(api_key="none", base_url=f"{url}/cohere")
        client.retries = retries
        return client

    return Vendor(
        f"cohere {'v2' if version else 'v1'}{' async' if is_async else ''}",
        opened,
        _close_cohere,
        lambda client, scene: client.chat(**ask, **options(scene, client.retries)),
        lambda client, scene: client.chat_stream(**ask, **options(scene, 0)),
        is_async,
    )


def bedrock(url: str, retries: int) -> Any:
    """A client that sends the headers of `client.scene`."""
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": retries + 1, "mode": "standard"}),
    )
    chosen: dict[str, str] = {}

    def add(request: Any, **_: Any) -> None:
        for name, value in chosen.items():
            request.headers[name] = value

    client.meta.events.register("before-sign", add)
    client.chosen = chosen
    return client


async def _close_bedrock(client: Any) -> None:
    client.close()


def bedrock_method(name: str, **ask: Any) -> Callable[[Any, str], Any]:
    def call(client: Any, scene: str) -> Any:
        client.chosen.clear()
        client.chosen.update(headers(scene))
        answer = getattr(client, name)(modelId=NOVA, **ask)
        return answer.get("stream", answer.get("body")) if "stream" in name else answer

    return call


_TURNS: Final = [{"role": "user", "content": [{"text": QUESTION}]}]


def _bedrock_vendors() -> list[Vendor]:
    body = json.dumps({"messages": _TURNS})
    return [
        Vendor(
            "boto3 converse",
            bedrock,
            _close_bedrock,
            bedrock_method("converse", messages=_TURNS),
            bedrock_method("converse_stream", messages=_TURNS),
        ),
        Vendor(
            "boto3 invoke",
            bedrock,
            _close_bedrock,
            bedrock_method("invoke_model", body=body),
            bedrock_method("invoke_model_with_response_stream", body=body),
        ),
    ]


VENDORS: Final = (
    *_mistral_vendors(),
    *(_cohere_vendor(version, is_async) for version in ("", "V2") for is_async in (False, True)),
    *_bedrock_vendors(),
)
