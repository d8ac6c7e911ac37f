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
DIALECTS_PAGE = Path(__file__).with_name("dialects_page.md")
"""What is said there by hand, around the tables."""
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
    records = _table(("event", "what becomes of it"), told)
    return DIALECTS_PAGE.read_text().format(written_by=WRITTEN_BY, spans=spans, records=records)


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
        (f"`{key}`", "" if each.default is None else f"`{_default(each.default)}`", each.description or "")
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
