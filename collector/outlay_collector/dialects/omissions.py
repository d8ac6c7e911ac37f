"""Instrumentations that leave out of their counts what came from the provider's cache.

Most say 0 where nothing did, or leave the name away and mean 0. Of those here it is known that they do not hand the
count on, or do not in every case: where it is missing the call may have cost less (an Anthropic call that wrote to the
cache more) than its input says, and its cost is an estimate. Each was looked at in the version given.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

from outlay.model import Usage

from outlay_collector.billing import CHATS, Report

_OMIT_THE_CACHE: Final = (
    ("mlflow.", "mlflow-genai", "MLflow's spans in the conventions' names"),  # 3.17.2, `genai_semconv/translator.py`
    ("openinference.instrumentation.smolagents", "openinference", "OpenInference's spans of smolagents"),  # 0.1.43
    ("openinference.instrumentation.llama_index", "openinference", "OpenInference's spans of LlamaIndex"),  # 4.6.1
    ("semantic_kernel", "semantic-kernel", "Semantic Kernel's spans"),  # 1.45.0
)
"""The beginning of the scope's name, the dialect its spans are read as, and who that is."""


def marked_as_guessed(report: Report) -> Report:
    """The report, its usage marked as inferred where its instrumentation leaves the cache out."""
    usage = report.call.usage
    whose = _who_omits(report.scope, report.dialect)
    if whose is None or usage is None or report.call.operation not in CHATS or _counts_the_cache(usage):
        return report
    said = f"{whose} leave out what came from the cache: all input is priced as new"
    inferred = f"{usage.inferred}; {said}" if usage.inferred else said
    return replace(report, call=replace(report.call, usage=replace(usage, inferred=inferred)))


@lru_cache(maxsize=1024)
def _who_omits(scope: str, dialect: str) -> str | None:
    for beginning, spoken, whose in _OMIT_THE_CACHE:
        if dialect == spoken and scope.startswith(beginning):
            return whose
    return None


def _counts_the_cache(usage: Usage) -> bool:
    """A cache of 0 tokens is counted too."""
    return usage.cache_read_tokens is not None or usage.cache_write_tokens is not None
