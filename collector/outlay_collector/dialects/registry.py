"""All dialects, in the order they are asked: the most particular first."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from outlay.attributes import SCOPE

from outlay_collector.billing import Report
from outlay_collector.dialects.aws import Botocore
from outlay_collector.dialects.base import SHARED_PREFIXES, Dialect
from outlay_collector.dialects.coding_tools import TOOLS as CODING_TOOLS
from outlay_collector.dialects.coding_tools import CodingTool
from outlay_collector.dialects.customs import CUSTOMS
from outlay_collector.dialects.genai import GenAI
from outlay_collector.dialects.genkit import Genkit
from outlay_collector.dialects.google_adk import GoogleADK
from outlay_collector.dialects.haystack import Haystack
from outlay_collector.dialects.langfuse import Langfuse
from outlay_collector.dialects.langsmith import LangSmith
from outlay_collector.dialects.litellm import LiteLLM
from outlay_collector.dialects.llama_index import EVENTS as LLAMA_INDEX_EVENTS
from outlay_collector.dialects.llama_index import LlamaIndex
from outlay_collector.dialects.logfire import Logfire
from outlay_collector.dialects.mistral import MistralSDK
from outlay_collector.dialects.mlflow import EVENTS as MLFLOW_EVENTS
from outlay_collector.dialects.mlflow import MLflow, MLflowInConventions
from outlay_collector.dialects.omissions import marked_as_guessed
from outlay_collector.dialects.openinference import EVENTS as OPENINFERENCE_EVENTS
from outlay_collector.dialects.openinference import OpenInference
from outlay_collector.dialects.openlit import OpenLit
from outlay_collector.dialects.outlay import Outlay
from outlay_collector.dialects.vercel import Vercel
from outlay_collector.otlp.span import Shape, Span, Wanted

_OUTLAY: Final = Outlay()
TOOLS: Final = tuple(map(CodingTool, CODING_TOOLS))
DIALECTS: Final[tuple[Dialect, ...]] = (
    _OUTLAY,
    OpenInference(),
    LlamaIndex(),
    Langfuse(),
    Vercel(),
    MLflow(),
    MLflowInConventions(),
    LangSmith(),
    Haystack(),
    Genkit(),
    Logfire(),
    OpenLit(),
    LiteLLM(),
    GoogleADK(),
    MistralSDK(),
    Botocore(),
    *TOOLS,
    *map(GenAI, CUSTOMS),
)

WANTED: Final = Wanted(
    names=frozenset(key for dialect in DIALECTS for key in dialect.keys),
    prefixes=SHARED_PREFIXES + tuple(dict.fromkeys(prefix for dialect in DIALECTS for prefix in dialect.prefixes)),
    of_scope={SCOPE: Wanted(_OUTLAY.keys, _OUTLAY.prefixes)},
    events=OPENINFERENCE_EVENTS | LLAMA_INDEX_EVENTS | MLFLOW_EVENTS,
)
"""Every attribute any of them reads."""


def read_span(span: Span) -> Report | None:
    """What the span says of its call; None where it is none, or speaks no dialect we know."""
    dialect = dialect_of(span)
    report = None if dialect is None else dialect.read(span)
    return None if report is None else marked_as_guessed(report)


def dialect_of(span: Span) -> Dialect | None:
    return _dialect_of(span.origin.scope_name, span.name, span.attributes.shape)


@lru_cache(maxsize=4096)
def _dialect_of(scope_name: str, name: str, shape: Shape) -> Dialect | None:
    for dialect in DIALECTS:
        if dialect.claims(scope_name, name, shape.names):
            return dialect
    return None
