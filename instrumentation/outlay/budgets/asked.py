"""What a request asks for beyond text in and text out: alternatives, tools the provider runs, sound and pictures back.

Read from the top of the body alone. A tool the provider runs (a search, a page it fetches, code) calls the model again
with what it found: how often and with how much the request does not say, so its input is open-ended, and each use may
carry a fee.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from outlay.providers.foreign import is_mapping, mapping, mappings

_USES: Final = 10
"""How often a hosted tool is used where the request sets no bound: Anthropic's loop ends there, and no recorded call
searched more often."""
_OWN_TYPES: Final = frozenset({"function", "custom", "apply_patch", "local_shell", "namespace", "programmatic"})
_OWN_PREFIXES: Final = ("bash", "text_editor", "memory", "computer", "custom")
_OWN_FIELDS: Final = frozenset({
    "functionDeclarations", "function_declarations", "toolSpec", "toolChoice", "tool_choice", "function", "name",
    "cachePoint", "parameter_definitions",
})  # fmt: skip
_HOSTED_FIELDS: Final = (
    "web_search_options", "search_parameters", "plugins", "mcp_servers", "connectors", "data_sources",
)  # fmt: skip
_LIMITS: Final = ("max_tool_calls", "max_uses", "maxUses")
_HOSTED_MODELS: Final = ("-search", ":online", "compound", "deep-research", "sonar")


@dataclass(frozen=True, slots=True)
class Asked:
    """`alternatives` answers are written, `uses` times a tool of the provider's may be used (0: it has none)."""

    alternatives: int = 1
    uses: int = 0
    fees: frozenset[str] = frozenset()
    """What a use may be charged for beside tokens, in the words of `outlay.units`."""
    has_tools: bool = False
    names_tier: bool = False
    wants_audio: bool = False
    wants_images: bool = False
    pictures: int = 1


PLAIN: Final = Asked()
_TELLING: Final = frozenset({
    "n", "best_of", "tools", "functions", "toolConfig", "reasoning", "service_tier", "serviceTier", "modalities",
    "generationConfig", "generation_config", "parameters", "num_generations", "sampleCount", "response_modalities",
    *_HOSTED_FIELDS,
})  # fmt: skip


def searches_by_itself(model: str | None) -> bool:
    """Whether the model of that name looks things up without being given a tool."""
    return model is not None and any(mark in model for mark in _HOSTED_MODELS)


def asked_of(body: Mapping[str, Any], *, searches: bool = False) -> Asked:
    """Read one body. `searches`: the model does so by itself."""
    if not searches and _TELLING.isdisjoint(body) and type(body.get("prompt")) not in (list, tuple):
        return PLAIN
    tools = body.get("tools") or body.get("functions") or body.get("toolConfig")
    hosted = searches or any(body.get(field) for field in _HOSTED_FIELDS) or _any_hosted(tools)
    config = mapping(body.get("generationConfig") or body.get("generation_config") or body.get("parameters"))
    modalities = str(
        body.get("modalities") or body.get("response_modalities") or config.get("responseModalities") or ""
    ).lower()
    return Asked(
        alternatives=_alternatives(body, config),
        uses=_uses(body, tools) if hosted or mapping(body.get("reasoning")).get("mode") == "pro" else 0,
        fees=_fees(tools) if hosted else frozenset(),
        has_tools=bool(tools),
        names_tier=str(body.get("service_tier") or body.get("serviceTier") or "auto") != "auto",
        wants_audio="audio" in modalities,
        wants_images="image" in modalities,
        pictures=max(1, _count(body.get("n")), _count(config.get("sampleCount"))),
    )


def _alternatives(body: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """How many answers are written and billed. `best_of` writes more than it returns."""
    wanted = max(
        1,
        *(_count(body.get(field)) for field in ("n", "best_of", "num_generations")),
        _count(config.get("candidateCount")),
        _count(config.get("candidate_count")),
    )
    prompts = body.get("prompt")
    each = len(prompts) if isinstance(prompts, (list, tuple)) and prompts and type(prompts[0]) is not int else 1
    return wanted * each


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


def _any_hosted(tools: object) -> bool:
    return any(_is_hosted(tool) for tool in ((tools,) if is_mapping(tools) else mappings(tools)))


def _is_hosted(tool: Mapping[str, Any]) -> bool:
    kind = tool.get("type")
    if type(kind) is str:
        return kind not in _OWN_TYPES and not kind.startswith(_OWN_PREFIXES)
    return bool(tool) and _OWN_FIELDS.isdisjoint(tool)


def _fees(tools: object) -> frozenset[str]:
    """By the names of the hosted tools; a search where nothing else is told."""
    names = " ".join(
        str(tool.get("type") or "").lower() or " ".join(tool).lower() for tool in mappings(tools) if _is_hosted(tool)
    )
    fees = {"file_search"} if "file" in names else set()
    if "code" in names or "container" in names:
        fees.add("code_session")
    if not fees or "web" in names or "google" in names or "x_search" in names:
        fees |= {"web_search", "web_search_query"}
    return frozenset(fees)


def _uses(body: Mapping[str, Any], tools: object) -> int:
    """The most often all hosted tools together are used."""
    if limit := _count(body.get("max_tool_calls")):
        return limit
    each = [
        max((_count(tool.get(field)) for field in _LIMITS), default=0) or _USES
        for tool in mappings(tools)
        if _is_hosted(tool)
    ]
    return sum(each) or _USES
