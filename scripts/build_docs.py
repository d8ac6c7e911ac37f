"""Writes the reference pages that follow from the code: docs/attributes.md, docs/configuration.md, docs/dialects.md,
docs/providers.md.

`--check` writes nothing and fails where a page is not what the code says.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from outlay.attributes import ATTRIBUTES
from outlay.providers.names import HOSTS
from outlay.providers.registry import FORMATS
from outlay.sdks import SDKS
from outlay.sdks.coverage import COVERED, NOT_COVERED
from outlay.settings import SETTINGS
from outlay_collector import settings as collector_settings
from outlay_collector.dialects.records import DETAILS
from outlay_collector.dialects.registry import DIALECTS, TOOLS
from outlay_collector.settings import Settings
from pydantic.fields import FieldInfo

DOCS = Path(__file__).parent.parent / "docs"
WRITTEN_BY = "<!-- Written by `make docs`; edit the code it follows from. -->"


def main(arguments: Sequence[str]) -> int:
    stale = [name for name, page in pages().items() if _differs(name, page)]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/{name} is not what the code says: run make docs")
        return bool(stale)
    for name in stale:
        (DOCS / name).write_text(pages()[name])
        print(f"wrote docs/{name}")
    return 0


def pages() -> dict[str, str]:
    """The pages by file name."""
    return {
        "attributes.md": attributes_page(),
        "configuration.md": configuration_page(),
        "dialects.md": dialects_page(),
        "providers.md": providers_page(),
    }


def _differs(name: str, page: str) -> bool:
    file = DOCS / name
    return not file.is_file() or file.read_text() != page


def attributes_page() -> str:
    rows = (
        (f"`{attribute.name}{'*' if attribute.name.endswith('.') else ''}`", attribute.type, attribute.unit or "",
         attribute.status, attribute.source)
        for attribute in ATTRIBUTES.values()
    )  # fmt: skip
    return f"""# Span attributes

{WRITTEN_BY}

Outlay makes one span of kind CLIENT per call, under the instrumentation scope `outlay`. What is unknown is left out.
`gen_ai.usage.input_tokens` counts cached tokens too, whoever the provider is; `outlay.usage` holds every count apart.
`service.name` and `deployment.environment.name` stand on the resource. Status: `ours` is Outlay's own name, the others
are what the owner of the name promises.

{_table(("attribute", "type", "unit", "status", "source"), rows)}
"""


def dialects_page() -> str:
    spans = _table(("dialect", "whose, and in which way"), ((f"`{d.name}`", d.note) for d in DIALECTS))
    told = [("`" + DETAILS + "`", "merged into the call of its span, or found by its response id")]
    told += [(", ".join(f"`{event}`" for event in tool.events), tool.note) for tool in TOOLS]
    return DIALECTS_TEXT.format(
        written_by=WRITTEN_BY, spans=spans, records=_table(("event", "what becomes of it"), told)
    )


DIALECTS_TEXT = """# Dialects

{written_by}

What the collector understands of what other instrumentations send. Any of it may be sent beside Outlay's own spans, and
several may tell of one call: it is billed once. A span is read by the first of these that claims it.

{spans}

## What a count means

The conventions count what was read from and written to the cache into `input_tokens`; older and other emitters leave
it out. Which of the two a span does is told, in this order: by a usage object or a whole response of the provider's
that the span carries with it, which is read in its own right where it counts what the span counts; by a total the
provider gave; by arithmetic, since a cache larger than the input cannot be inside it; by the custom of the dialect.
Counts that contradict one another are no usage: the call is `unpriced` and says why.

Reasoning is part of the output, unless it is the larger of the two or the total has both. What a total counts beyond
input and output is taken for reasoning or, where that is counted, for the prompt of tools (instrumentations of Gemini
leave both out): such a cost is `estimated`. What Cohere read from a cache is no part of the units it bills, and is let
go.

Who says nothing of a cache mostly means 0. Of a few it is known that they leave it out: MLflow in the conventions'
names, OpenInference's instrumentation of smolagents (but where the span has the response) and of LlamaIndex (the
Responses API, Gemini), Semantic Kernel. There all input is priced as new, and the cost is `estimated`.

A failed call of which nothing was counted is free where its HTTP status, the name of its error or the SDK's own words
in the exception (`Error code: 429 - …`) say that the provider answered with an error, or where its only attempt reached
nobody (`ConnectError` and its like): the rule that Outlay's own calls are judged by. Where nobody says it is
`unpriced`: Agent Framework has one error for an answer and for none, and tells them apart only where it may record
content; Pydantic AI's span of a stream that was refused says nothing of its failure.

A price that the sender worked out (`gen_ai.usage.cost`, `operation.cost`, `gen_ai.cost.total_cost`, `cost_usd`,
`cost_details`) stands only where Outlay has no price of its own, as `estimated`. What a provider charged
(`gen_ai.usage.cost.source` = `provider`, OpenRouter's `cost`) is believed.

## One bill

Reports with one response id are one call, whatever providers they name, where the id is one that nobody could have
guessed: 20 characters and more in which digits, small letters and capitals alternate (they change at least 5 times, not
counting `-`, `_` and the like; nine zeros in a row fill a number up). So are UUIDs and what OpenAI, Anthropic, Google,
Groq and OpenRouter make (`gen-…`), of which about one in a thousand looks otherwise by chance. An id that is counted,
dated or made of words (`chatcmpl-1`, `resp_1`) is given again by the next server: with those, and with the one in a
thousand, reports are one call where they name one provider, or Azure and OpenAI, or Vertex and Google; Ollama's, which
counts from a thousand, never are.

Where reports of a call name different providers, the bill is whose is known best, with its models and its price:
whoever says what the provider charged; whoever names a host that is known to be that provider's; a cloud's or a
gateway's name before that of a maker whose SDK others are called through (Anthropic, Cohere, Google, Mistral), and
`openai`, which is said of whatever its SDK calls, or a name nobody knows, last. A usage is taken from a report that
names that provider, else from another and priced as that provider's. An id that LiteLLM made up for another's answer
is what its proxy's clients know the call by: it joins their reports with the proxy's, and does not keep the proxy's
apart from a report with the provider's id. Where the proxy's process tells of the provider's id too, the client's
report with the made-up one stays a second bill. A 0 of what went in or came out is no count where another report has
seen it and agrees otherwise, unless Outlay itself says so.

Without an id, a span inside another tells of the same call where both did the same kind of thing and asked for the
same model, or counted the same to the token. An SDK's own span that begins a trace joins the span that encloses it in
time, in the same service, with the same model and counts. Of several reports the nearest to the provider wins:
Outlay, the SDK's own span, OpenTelemetry's own instrumentations, others, log records. `GET /api/v1/calls/{{id}}`
lists them all and says under `bill` which one was billed, and why.

Between two instrumentations' spans of one call other spans may lie, of a tool, of the application, of HTTP or a proxy;
or a framework's span stands beside the SDK's, or in a trace of its own. Such a pair is one call where both come from
different instrumentations, the inner begins within the outer and ends with it, both name one model (its edition and its
maker's prefix left aside) and count the same: to the token, but for a cache or a reasoning that one of them leaves out;
or both failed. Or where they have one response id, whatever providers they name (a gateway and its client). Where the
two stand is asked of the spans that have come, calls and steps alike:

- one above the other, with whatever between: they are one call;
- beside each other in one trace (both ways up are known to the span where they meet, or to the top): one call only
  where the outer is a framework's or a callback's (LangChain, LiteLLM, LlamaIndex, Strands and their like; Langfuse,
  LangSmith, MLflow), which makes its spans there, or where one of the two is Outlay's, which tells of all calls of its
  process; two other SDKs' spans are two calls;
- in two traces, of one service: one call only where the outer is a framework's or a callback's and has no response id,
  and one of the two begins its trace; or where one is Outlay's, and both begin theirs;
- not known, because a span between them has not come, or was let go: one call.

In all but the first case the outer must be around the inner: spans of the very same times are not. A span may be over
before its stream is: LlamaIndex's is when its method returns, before the request is made, and OpenInference tells by an
event when the first token came. Such a call has lasted until then at least, and is around whatever streamed then.
MLflow's span of Anthropic's streams is over when the head of the response has come. Where such a span counts nothing,
it is the call of a stream that Outlay saw, in whatever trace, where the two agree on when it began and when it was
answered (first token, else head): Outlay, nearer the provider, sends at most 50 ms later and hears at most 30 ms
earlier (seen were 5.5 and 9 ms, 28 ms for a process's first answer), the nearest of several; of streams at once whose
spans come one by one some may stay apart. Of a stream that LlamaIndex tells of itself there is no answer to agree on:
it is one that began at most 50 ms later in its own trace, and in another it stays a call without a price. A framework's
span that counts nothing joins the call beneath it in its trace: frameworks make none of their own. A report joins one
call at most, that of the nearest.

So a call that a tool makes within a call is a second call: it counts other tokens, asks another model or has another
response id. Where evidence is lacking this errs as follows. Calls that one instrumentation tells of, neither directly
inside the other, stay apart, even where they count the same: billed twice, should it tell of one call twice. So do two
SDKs' calls without a common response id, beside each other or in two traces: two streams without ids of which two
instrumentations tell, each in a trace of its own, and two requests sent at once look the same. Billed once are two
calls that count the same to the token and have not two response ids, the one within the other in time: a framework's
and an SDK's at once, should the framework's own SDK call be told of by nobody; and two SDKs' where the spans that would
tell them apart have not come or are not kept; and a stream of a process without Outlay of which nothing was counted,
with one of another process of the service that began and was answered when it did. What was joined is not parted when
they come later. Where one of two counts and the other does not, is no framework's and has not the same response id,
both stand, the other `unpriced`: no money is billed twice, the call is counted twice. Spans directly inside one another
are one call even where their counts differ, since frameworks estimate.

An answer that counts no input, or 0, did not see it: it is what a total leaves, else the output alone is billed, and
the cost is `estimated`.

## Log records

`/v1/logs` takes any log; records of these events tell of calls, the others are let go. A record that was made inside a
span belongs to that span's call. One of the conventions' events with neither a span nor a response id is let go: it
could not be told from the span it repeats.

{records}

Coding tools say what their tokens cost at the API; a subscription is not billed by them.

## Steps

Agents, tools, chains and retrievals are kept for the tree of their trace (`GET /api/v1/traces/{{trace_id}}`): ids,
times, name, kind and whether they failed, nothing of what went in or came out. They are never billed, whatever usage
they repeat, and go after `[retention] spans`. Spans of servers, databases and HTTP clients are let go; what hung below
one stands at the top of its tree.
"""


def providers_page() -> str:
    sdks = (
        (f"`{sdk.name}`", f"`{sdk.distribution}`", ".".join(map(str, sdk.oldest)), COVERED[name])
        for name, sdk in SDKS.items()
    )
    formats = ((f"`{each.name}`", each.provider, "yes" if each.stream else "") for each in FORMATS)
    hosts: dict[str, list[str]] = {}
    for host, provider in HOSTS:
        hosts.setdefault(provider, []).append(f"`{host}`")
    return f"""# Providers

{WRITTEN_BY}

## SDKs

`outlay.instrument()` wraps each of these that is installed, at the first import; `outlay.instrument("openai")` one by
its name. A request to another address is a call as well: the address decides whose it is, where it is known.

{_table(("name", "distribution", "from", "what becomes a call"), sdks)}

## Not covered

{_table(("what", "why"), NOT_COVERED)}

## Formats

A response is read by the format it has, whoever sends it: `outlay.record` and `outlay price` read the same.

{_table(("format", "first of", "streams"), formats)}

## Hosts

Bedrock is known by its regional hosts. Anybody else is who the SDK is made for, and priced by the name of the model.

{_table(("provider", "hosts"), ((provider, ", ".join(names)) for provider, names in hosts.items()))}
"""


def configuration_page() -> str:
    variables = (
        (f"`{setting.variable}`", f"`{setting.default}`" if setting.default else "", setting.help)
        for setting in SETTINGS.values()
    )
    sections = "\n\n".join(_section(name, field) for name, field in Settings.model_fields.items() if _is_section(field))
    return f"""# Configuration

{WRITTEN_BY}

## The application

What `outlay.instrument()` reads from the environment; its arguments win. `OUTLAY_ENDPOINT` falls back to
`OTEL_EXPORTER_OTLP_ENDPOINT`, `OUTLAY_SERVICE` to `OTEL_SERVICE_NAME` and the resource attributes.

{_table(("variable", "default", "what it decides"), variables)}

## The collector

`outlay up` reads `outlay.toml` in the working folder, or the file that `--config` names. Every setting of a section can
also be given as `OUTLAY_SECTION_KEY`, which wins, or as `OUTLAY_SECTION_KEY_FILE`, which names a file that holds it. In
the file, `${{VAR}}` stands for an environment variable, and `key_file = "path"` for the content of a file under `key`.
A setting that does not exist is an error, never ignored. Durations are a number and a unit: `30s`, `5m`, `12h`, `7d`.

{sections}

### Entries

`[[budget]]` is described in [budgets.md](budgets.md), `[[rule]]` and `[[channel]]` in [alerts.md](alerts.md),
`[[report]]` in [reports.md](reports.md) and `[[price]]` in [prices.md](prices.md). What `[retention]` removes, and
what stays, is in [retention.md](retention.md); API keys are in [keys.md](keys.md), ports, logs and metrics in
[operating.md](operating.md).
"""


def _is_section(field: FieldInfo) -> bool:
    return inspect.isclass(field.annotation) and issubclass(field.annotation, collector_settings.Section)


def _section(name: str, field: FieldInfo) -> str:
    section: Any = field.annotation
    rows = (
        (f"`{key}`", f"`{_default(each.default)}`", each.description or "")
        for key, each in section.model_fields.items()
    )
    what = (inspect.getdoc(section) or "").partition(": ")[2]
    return f"### `[{name}]`\n\n{what[:1].upper()}{what[1:]}\n\n{_table(('key', 'default', 'what it decides'), rows)}"


def _default(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.days}d" if value >= timedelta(days=1) else f"{value.seconds}s"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
