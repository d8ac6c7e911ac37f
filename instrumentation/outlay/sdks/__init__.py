"""The SDKs Outlay wraps. A file each says how; it is imported when the application imports the SDK, not before."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from outlay.patches import Patches
from outlay.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Sdk:
    """An SDK Outlay knows.

    `package` is what is imported, `distribution` what is installed, `oldest` the oldest version that is wrapped,
    `modules` those that hold its choke points, `provider` who speaks behind an address nobody knows (a gateway, this
    machine). `wrapped_by` is the file of this folder that has `patch(patches, sdk, runtime, module)`.
    """

    name: str
    package: str
    distribution: str
    oldest: tuple[int, int]
    modules: tuple[str, ...]
    provider: str
    wrapped_by: str

    def patch(self, patches: Patches, runtime: Runtime, module: ModuleType) -> None:
        """Put the wrappers in place in one of `modules`."""
        importlib.import_module(f"{__name__}.{self.wrapped_by}").patch(patches, self, runtime, module)


_ALL: Final = (
    Sdk(
        "openai",
        "openai",
        "openai",
        (2, 0),
        ("openai._base_client", "openai.resources.realtime.realtime", "openai.resources.responses.responses"),
        "openai",
        "stainless",
    ),
    Sdk("anthropic", "anthropic", "anthropic", (1, 0), ("anthropic._base_client",), "anthropic", "stainless"),
    Sdk(
        "mistral",
        "mistralai",
        "mistralai",
        (3, 0),
        (
            "mistralai.client.basesdk",
            "mistralai.azure.client.basesdk",
            "mistralai.gcp.client.basesdk",
            "mistralai.client._hooks.tracing",
        ),
        "mistral",
        "mistral",
    ),
    Sdk(
        "google",
        "google.genai",
        "google-genai",
        (2, 0),
        (
            "google.genai._api_client",
            "google.genai._interactions._base_client",
            "google.genai._gaos.basesdk",
        ),
        "google",
        "google",
    ),
    Sdk("cohere", "cohere", "cohere", (5, 8), ("cohere.core.http_client",), "cohere", "cohere"),
    Sdk(
        "boto3",
        "botocore",
        "boto3",
        (1, 34),
        ("botocore.client", "botocore.endpoint", "botocore.eventstream"),
        "bedrock",
        "botocore",
    ),
    Sdk(
        "litellm",
        "litellm",
        "litellm",
        (1, 80),
        ("litellm.llms.custom_httpx.http_handler", "litellm.main"),
        "openai",
        "litellm",
    ),
)
SDKS: Final[Mapping[str, Sdk]] = {sdk.name: sdk for sdk in _ALL}
