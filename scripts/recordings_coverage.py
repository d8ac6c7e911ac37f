"""How much of a set of recorded provider exchanges Outlay reads and prices.

    python scripts/recordings_coverage.py [folder] [--verbose]

The folder holds gzip JSON lines, one exchange a line: `provider`, `api`, `model`, `recorded_at`, `streaming`,
`stream_format`, `request{method,path,body}`, `response{status,body,body_kind}`, `usage_raw`. By default it is
`recordings` in the reference data beside this checkout. Fails where a reading disagrees with the provider's own totals.

Three shares are printed. *Read*: of the calls whose usage has a number in it; the others that are refused contradict
themselves, and `--verbose` says how. *Priced*: of those read. *Priced of those still sold*: left out, priced or not,
are the models their makers have retired (`RETIRED`, as LiteLLM 1.109.1 dates them or no longer lists them) and what
nobody sells at a public price: models on the caller's own machine, gateways on hosts nobody knows, and names that only
the caller's account can resolve.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

from outlay.model import Cost, CostStatus, Usage
from outlay.prices import PriceBook
from outlay.providers.base import Reading, Request
from outlay.providers.eventstream import decode_events
from outlay.providers.registry import canonical_provider, reader_for
from outlay.providers.sse import decode_sse

REPOSITORY: Final = Path(__file__).parent.parent
RETIRED: Final = re.compile(
    r"(?:.*[./])?(?:ada|babbage.*|davinci.*|dall-e-\d|gpt-3\.5-.*|gpt-4-0613|gpt-4o-2024-05-13|gpt-4\.1-nano.*"
    r"|o3-mini.*|o4-mini.*|gpt-4o-.*search-preview.*|text-moderation-.*"
    r"|claude-(?:v?2|instant|3).*|claude-(?:opus|sonnet)-4-20250514.*|gemini-(?:1|2\.0).*|deepseek-(?:chat|reasoner)"
    r"|titan-tg1.*|flan-ul2|command(?:-light|-r)?|rerank-english-v2\.0|llama-?3-.*|llama-3\.3-70b.*)",
    re.IGNORECASE,
)
UNSOLD: Final = re.compile(r"local/.*|gateway/.*|.*:application-inference-profile/.*")
FORM_MODEL: Final = re.compile(rb'name="model"\r?\n\r?\n([^\r\n]+)')
Exchange = Mapping[str, Any]


def exchanges(folder: Path) -> Iterator[Exchange]:
    """Every successful exchange of a folder."""
    for file in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                exchange = json.loads(line)
                if 200 <= exchange["response"]["status"] < 300:
                    yield exchange


def events(exchange: Exchange) -> Iterator[Mapping[str, Any]]:
    """The decoded events of a streamed exchange."""
    body = exchange["response"]["body"]
    match exchange.get("stream_format"):
        case "aws-eventstream":
            yield from decode_events(base64.b64decode(body))
        case "ndjson":
            yield from (json.loads(line) for line in body.splitlines() if line.strip())
        case _:
            yield from decode_sse(body)


def request_of(exchange: Exchange) -> Request | None:
    """The request as Outlay reads it, None where the exchange is no call."""
    sent = exchange["request"]
    if sent["method"] != "POST":
        return None
    return reader_for(exchange["provider"]).read_request(sent["path"], body_of(sent))


def body_of(sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body of a request; of a form, the model it names."""
    body = sent["body"]
    if not isinstance(body, dict):
        form = FORM_MODEL.search(base64.b64decode(body)) if sent["body_kind"] == "base64" else None
        return {"model": form[1].decode()} if form else {}
    return body


def has_counts(usage: Any) -> bool:
    """Whether a usage object has a number in it: some say no more than who served the call."""
    if isinstance(usage, dict | list):
        return any(map(has_counts, usage.values() if isinstance(usage, dict) else usage))
    return isinstance(usage, int | float)


def reading_of(exchange: Exchange, request: Request | None) -> Reading:
    """The reading of a whole exchange, streamed or not."""
    reader = reader_for(exchange["provider"])
    body = exchange["response"]["body"]
    if not (exchange["streaming"] and isinstance(body, str)):
        return reader.read_response(request, body)
    stream = reader.start_stream(request)
    for event in events(exchange):
        stream.feed(event)
    return stream.reading()


def disagreement(raw: Mapping[str, Any], usage: Usage) -> str | None:
    """Where a usage and the provider's own totals differ, None where they agree. Knows the formats, not our readers."""
    given, made = usage.input_tokens or 0, usage.output_tokens or 0
    for field in ("total_tokens", "totalTokenCount", "totalTokens"):
        if isinstance(raw.get(field), int) and raw[field] != given + made:
            return f"{field} {raw[field]}, buckets {given} + {made}"
    if "cache_read_input_tokens" in raw:
        parts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        total = sum(raw.get(part) or 0 for part in parts)
        return None if total == given else f"input {total}, buckets {given}"
    billed = raw.get("billed_units") or raw
    for total, field in ((given, "input_tokens"), (made, "output_tokens")):
        stated = billed.get(field)
        if isinstance(stated, int) and stated != total and "type" not in raw:
            return f"{field} {stated}, buckets {total}"
    return None


def cost_of(book: PriceBook, exchange: Exchange, request: Request, reading: Reading) -> Cost:
    """What the call cost when it took place."""
    return book.cost(
        reading.usage,
        provider=canonical_provider(exchange["provider"]),
        model=reading.model_served or request.model,
        at_ns=int(moment(exchange).timestamp()) * 10**9,
        terms=reading.terms,
        provider_cost_usd=reading.provider_cost_usd,
        reason_unread=reading.reason_unread,
    )


def moment(exchange: Exchange) -> datetime:
    """When the exchange took place: an HTTP date, an ISO one, or (unknown) the day most were collected."""
    recorded = exchange.get("recorded_at") or "2026-08-01T00:00:00+00:00"
    return parsedate_to_datetime(recorded) if "," in recorded else datetime.fromisoformat(recorded)


class Coverage:
    """Counts by provider and api."""

    def __init__(self) -> None:
        self.rows: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.refusals: list[str] = []
        self.disagreements: list[str] = []
        self.unpriced: Counter[str] = Counter()
        self.book = PriceBook.bundled()

    def add(self, exchange: Exchange) -> None:
        request = request_of(exchange)
        reading = reading_of(exchange, request)
        row = self.rows[exchange["provider"], exchange["api"]]
        has_usage = has_counts(exchange.get("usage_raw"))
        if request is None:
            row["no call"] += 1
        elif reading.usage is None:
            row["refused" if has_usage else "no usage"] += 1
            if has_usage:
                self.refusals.append(f"{exchange['id']}: {reading.reason_unread}")
        else:
            row["read" if has_usage else "read besides"] += 1
            self._price(exchange, request, reading, row)
        if reading.usage is not None and reading.usage_raw is not None:
            found = disagreement(reading.usage_raw, reading.usage)
            if found:
                self.disagreements.append(f"{exchange['id']}: {found}")

    def _price(self, exchange: Exchange, request: Request, reading: Reading, row: Counter[str]) -> None:
        provider, model = canonical_provider(exchange["provider"]), reading.model_served or request.model
        cost = cost_of(self.book, exchange, request, reading)
        outcome = "priced" if cost.nano_usd is not None else "unpriced"
        row[outcome] += 1
        if not (RETIRED.fullmatch(model or "") or UNSOLD.fullmatch(f"{provider}/{model}")):
            row[f"sold {outcome}"] += 1
        if cost.status in (CostStatus.UNPRICED, CostStatus.PARTIAL):
            self.unpriced[f"{provider}/{model} ({cost.status}): {cost.reason}"] += 1

    def total(self) -> Counter[str]:
        return sum(self.rows.values(), Counter())


COLUMNS = ("read", "refused", "no usage", "read besides", "no call", "priced", "unpriced")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=REPOSITORY.parent / "shared" / "recordings")
    parser.add_argument("--verbose", action="store_true", help="list every refusal and every model without a price")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"no such folder: {arguments.folder}")
    coverage = Coverage()
    for exchange in exchanges(arguments.folder):
        coverage.add(exchange)
    _print_table(coverage)
    if arguments.verbose:
        for line in coverage.refusals:
            print("refused", line)
        for line, times in coverage.unpriced.most_common():
            print(f"{times:5} {line}")
    for line in coverage.disagreements:
        print("disagrees", line)
    return 1 if coverage.disagreements else 0


def _print_table(coverage: Coverage) -> None:
    print(f"{'provider':16} {'api':18}" + "".join(f"{column:>14}" for column in COLUMNS))
    total = coverage.total()
    for (provider, api), row in [*sorted(coverage.rows.items()), (("total", ""), total)]:
        print(f"{provider:16} {api:18}" + "".join(f"{row[column] or '':>14}" for column in COLUMNS))
    print()
    for share, done, left in (
        ("read {:.2%} of {:,} calls that carry counts", "read", "refused"),
        ("priced {:.2%} of {:,} calls read", "priced", "unpriced"),
        ("priced {:.2%} of {:,} calls to models still sold", "sold priced", "sold unpriced"),
    ):
        print(share.format(total[done] / (total[done] + total[left]), total[done] + total[left]))


if __name__ == "__main__":
    sys.exit(main())
