"""The clients of platforms that resell the makers' models: one span each, under the platform's name and prices."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any, Final

import anthropic
import openai
import pytest

from tests.instrumentation.clients import QUESTION, both_kinds
from tests.instrumentation.doubles import Receiver, items, settled
from tests.instrumentation.endpoints import Endpoints

AWS: Final = {"aws_region": "us-east-1", "aws_access_key": "none", "aws_secret_key": "none"}

Make = Callable[[str], Any]


def _openai_provider(url: str, name: str, is_async: bool) -> Any:
    if name == "bedrock":
        from openai.providers.bedrock import bedrock as made
    else:
        from openai.providers.vertex import vertex as made
    given: dict[str, Any] = {"api_key": "none", "region": "us-east-1"} if name == "bedrock" else {}
    given |= {"token_provider": lambda: "none"} if name == "vertex" else {}
    kind = openai.AsyncOpenAI if is_async else openai.OpenAI
    return kind(provider=made(base_url=f"{url}/v1", **given), max_retries=0)


def _of_openai(kind: str, **options: Any) -> Callable[[str, bool], Any]:
    def make(url: str, is_async: bool) -> Any:
        found = getattr(openai, f"Async{kind}" if is_async else kind, None)
        if found is None:
            pytest.skip(f"openai {openai.__version__} has no {kind}")
        return found(api_key="none", max_retries=0, **{name: _at(value, url) for name, value in options.items()})

    return make


def _of_anthropic(kind: str, **options: Any) -> Callable[[str, bool], Any]:
    def make(url: str, is_async: bool) -> Any:
        found = getattr(anthropic, f"Async{kind}" if is_async else kind, None)
        if found is None:
            pytest.skip(f"anthropic {anthropic.__version__} has no {kind}")
        return found(base_url=url, max_retries=0, **options)

    return make


def _at(value: Any, url: str) -> Any:
    return value.format(url=url) if isinstance(value, str) else value


def _runtime_provider(name: str) -> Callable[[str, bool], Any]:
    def make(url: str, is_async: bool) -> Any:
        if "provider" not in inspect.signature(openai.OpenAI.__init__).parameters:
            pytest.skip(f"openai {openai.__version__} has no providers")
        return _openai_provider(url, name, is_async)

    return make


OPENAI: Final = {
    "AzureOpenAI": (_of_openai("AzureOpenAI", azure_endpoint="{url}", api_version="2026-01-01"), "azure.ai.openai"),
    "AzureOpenAI deployment": (
        _of_openai("AzureOpenAI", azure_endpoint="{url}", azure_deployment="ours", api_version="2026-01-01"),
        "azure.ai.openai",
    ),
    "BedrockOpenAI": (_of_openai("BedrockOpenAI", base_url="{url}/v1", aws_region="us-east-1"), "aws.bedrock"),
    "provider bedrock": (_runtime_provider("bedrock"), "aws.bedrock"),
    "provider vertex": (_runtime_provider("vertex"), "gcp.vertex_ai"),
}
ANTHROPIC: Final = {
    "AnthropicBedrock": (_of_anthropic("AnthropicBedrock", **AWS), "aws.bedrock"),
    "AnthropicBedrockMantle": (_of_anthropic("AnthropicBedrockMantle", **AWS), "aws.bedrock"),
    "AnthropicVertex": (
        _of_anthropic("AnthropicVertex", region="us-east5", project_id="p", access_token="none"),
        "gcp.vertex_ai",
    ),
    "AnthropicFoundry": (_of_anthropic("AnthropicFoundry", api_key="none"), "azure.ai.openai"),
    "AnthropicAWS": (_of_anthropic("AnthropicAWS", workspace_id="w", **AWS), "anthropic"),
    "AnthropicGoogleCloud": (
        _of_anthropic("AnthropicGoogleCloud", project="p", location="us-east5", workspace_id="w", skip_auth=True),
        "anthropic",
    ),
}
WAYS: Final = ("create", "stream", "raw response", "raw stream", "streaming response")
every_way = pytest.mark.parametrize("way", WAYS)


async def _ask(resource: Any, way: str, ask: dict[str, Any]) -> None:
    """Make the call, and take all of its answer."""
    streamed = {"stream": True} if "stream" in way else {}
    if way == "create":
        await settled(resource.create(**ask))
    elif way == "stream":
        assert [item async for item in items(await settled(resource.create(**ask, **streamed)))]
    elif way.startswith("raw"):
        parsed = await settled((await settled(resource.with_raw_response.create(**ask, **streamed))).parse())
        if streamed:
            assert [item async for item in items(parsed)]
    else:
        manager = resource.with_streaming_response.create(**ask, **streamed)
        if hasattr(manager, "__aenter__"):
            async with manager as response:
                assert [piece async for piece in response.iter_bytes()]
        else:
            with manager as response:
                assert list(response.iter_bytes())


def _check(call: dict[str, Any], provider: str, model: str) -> None:
    assert call["gen_ai.provider.name"] == provider
    assert call["gen_ai.request.model"] == model
    assert call["gen_ai.usage.input_tokens"] == 100
    assert call["gen_ai.usage.cache_read.input_tokens"] == 40
    assert call["gen_ai.usage.output_tokens"] == 20
    assert [attempt["status"] for attempt in json.loads(call["outlay.attempts"])] == [200]


@pytest.mark.parametrize("platform", OPENAI)
@both_kinds
@every_way
async def test_a_call_through_a_platform_of_openai_is_one_span_under_its_name(
    platform: str, is_async: bool, way: str, endpoints: Endpoints, instrumented: Receiver
) -> None:
    make, provider = OPENAI[platform]
    client = make(endpoints.url, is_async)
    await _ask(client.responses, way, {"model": "gpt-4.1", "input": "Which rivers end in the Black Sea?"})
    await settled(client.close())
    _check(instrumented.only_call(), provider, "gpt-4.1")


@both_kinds
@every_way
async def test_a_chat_through_azure_is_priced_as_azure_prices_it(
    is_async: bool, way: str, endpoints: Endpoints, instrumented: Receiver
) -> None:
    make, provider = OPENAI["AzureOpenAI"]
    client = make(endpoints.url, is_async)
    usage = {"extra_body": {"stream_options": {"include_usage": True}}} if "stream" in way else {}
    await _ask(client.chat.completions, way, {"model": "gpt-4.1", "messages": QUESTION, **usage})
    await settled(client.close())
    call = instrumented.only_call()
    _check(call, provider, "gpt-4.1")
    assert endpoints.paths == ["/openai/deployments/gpt-4.1/chat/completions"]
    # $2 in, $0.50 cached and $8 out a million: 60 x 2,000 + 40 x 500 + 20 x 8,000 nano-USD.
    assert call["outlay.cost.nano_usd"] == 300_000


@pytest.mark.parametrize("platform", ANTHROPIC)
@both_kinds
@every_way
async def test_a_call_through_a_platform_of_anthropic_is_one_span_under_its_name(
    platform: str, is_async: bool, way: str, endpoints: Endpoints, instrumented: Receiver
) -> None:
    make, provider = ANTHROPIC[platform]
    client = make(endpoints.url, is_async)
    model = "global.anthropic.claude-sonnet-4-6" if provider == "aws.bedrock" else "claude-sonnet-4-6"
    await _ask(client.messages, way, {"model": model, "max_tokens": 300, "messages": QUESTION})
    await settled(client.close())
    call = instrumented.only_call()
    _check(call, provider, model)
    # $3 in, $0.30 from the cache and $15 out a million: 60 x 3,000 + 40 x 300 + 20 x 15,000 nano-USD.
    assert call["outlay.cost.nano_usd"] == 492_000


def test_an_address_that_a_client_works_out_anew_is_the_one_the_call_is_told_with(
    endpoints: Endpoints, instrumented: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that overrides `base_url`, and the module's own client, which looks at `openai.base_url` first."""
    elsewhere = f"{endpoints.url}/v1".replace("127.0.0.1", "localhost")

    class Rotating(openai.OpenAI):
        @property
        def base_url(self) -> Any:
            return self._enforce_trailing_slash(type(self._base_url)(elsewhere))

        @base_url.setter
        def base_url(self, url: Any) -> None:
            raise AttributeError

    monkeypatch.setattr(openai, "api_key", "none")
    monkeypatch.setattr(openai, "base_url", elsewhere)
    with Rotating(api_key="none", base_url="http://127.0.0.1:9/v1") as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)
    openai.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)

    assert [call["server.address"] for call in instrumented.calls()] == ["localhost", "localhost"]
