"""`outlay price` and `outlay prices`: what goes in, what comes out, and what is said of input that is not right."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from outlay.errors import ConfigError, OutlayError
from outlay.prices import PriceBook, read_overrides
from outlay.prices.quote import quote
from outlay_collector.cli import app
from outlay_collector.cli.output import console, table
from outlay_collector.cli.price import configured_book, print_quote
from typer.testing import CliRunner

REPOSITORY = Path(__file__).parent.parent.parent
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-6",
    "content": [],
    "usage": {
        "input_tokens": 5,
        "output_tokens": 400,
        "cache_read_input_tokens": 128955,
        "cache_creation_input_tokens": 1253,
        "cache_creation": {"ephemeral_5m_input_tokens": 1253, "ephemeral_1h_input_tokens": 0},
    },
}


def run(*arguments: str, stdin: str = "") -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_line_comes_back_with_its_cost_lines_and_price() -> None:
    # 5 x $3 + 128,955 x $0.30 + 1,253 x $3.75 + 400 x $15 a million.
    (out,) = run("price", "--json", stdin=json.dumps({"provider": "anthropic", "response": MESSAGE}))

    assert (out["cost_usd"], out["status"]) == ("0.04940025", "exact")
    assert {line["unit"]: (line["quantity"], line["rate"], line["cost_usd"]) for line in out["lines"]} == {
        "input": (5, "3", "0.000015"),
        "cache_read": (128955, "0.3", "0.0386865"),
        "cache_write_5m": (1253, "3.75", "0.00469875"),
        "output": (400, "15", "0.006"),
    }
    assert out["price"]["id"].startswith("anthropic/claude-sonnet-4-6@2026-03-13#")
    assert out["price"]["source"].startswith("genai-prices ")


EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**MESSAGE, "usage": {"input_tokens": 10, "output_tokens": 1}}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 60}},
    {"type": "message_stop"},
]
"""10 x $3 + 60 x $15 a million: $0.00093."""
AS_SENT = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in EVENTS)


@pytest.mark.parametrize("text", [json.dumps(EVENTS), json.dumps(EVENTS, indent=2), AS_SENT])
def test_a_stream_is_a_response_as_its_events_or_as_it_came(tmp_path: Path, text: str) -> None:
    file = tmp_path / "stream"
    file.write_text(text)

    assert [out["cost_usd"] for out in run("price", str(file))] == ["0.00093"]
    assert [out["cost_usd"] for out in run("price", stdin=json.dumps({"response": text}))] == [
        "0.00093" if text == AS_SENT else None
    ]


COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "model": "gpt-4o",
    "choices": [],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000},
}
GENERATED = {
    "candidates": [],
    "modelVersion": "gemini-2.5-flash",
    "usageMetadata": {"promptTokenCount": 1000, "totalTokenCount": 1000},
}


@pytest.mark.parametrize(
    ("line", "cost"),
    [
        ({"custom_id": "a", "response": {"status_code": 200, "body": COMPLETION}, "error": None}, "0.00125"),
        ({"key": "a", "response": GENERATED}, "0.00015"),
        ({"custom_id": "a", "result": {"type": "succeeded", "message": MESSAGE}}, "0.024700125"),
        ({"custom_id": "a", "response": None, "error": {"code": "batch_expired"}}, None),
        ({"custom_id": "a", "provider": "openai", "response": COMPLETION}, "0.0025"),
        ({**COMPLETION, "provider": "Google", "id": "gen-1", "model": "openai/gpt-4o"}, "0.0025"),
        ({**COMPLETION, "provider": "groq", "model": "openai/gpt-oss-120b"}, "0.00015"),
    ],
    ids=["OpenAI", "Gemini", "Anthropic", "a failed one", "a line of ours", "OpenRouter", "a body with its provider"],
)
def test_a_line_is_known_for_what_it_is(line: dict[str, Any], cost: str | None) -> None:
    assert [out["cost_usd"] for out in run("price", stdin=json.dumps(line))] == [cost]


def test_what_is_no_text_spoils_its_own_line_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    good = json.dumps({"provider": "anthropic", "response": {**MESSAGE, "content": "a\u2028b"}}, ensure_ascii=False)
    file.write_bytes(b"\xef\xbb\xbf" + good.encode() + b"\n\xff\xfe\n" + good.encode() + b"\r\n")

    assert [out["cost_usd"] for out in run("price", str(file))] == ["0.04940025", None, "0.04940025"]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_response_alone_is_enough_where_it_shows_whose_it_is(tmp_path: Path, indent: int | None) -> None:
    file = tmp_path / "response.json"
    file.write_text(json.dumps(MESSAGE, indent=indent))

    assert [out["cost_usd"] for out in run("price", str(file))] == ["0.04940025"]


def test_a_line_that_cannot_be_read_keeps_its_place_and_says_why() -> None:
    good = json.dumps({"provider": "anthropic", "response": MESSAGE})

    out = run("price", stdin=f"{good}\n\nnot json\n[1]\n{good}\n")

    assert [line["cost_usd"] for line in out] == ["0.04940025", None, None, "0.04940025"]
    assert out[1]["reason"].startswith("line 3 is not JSON: ")
    assert out[2]["reason"] == "line 4 is not a JSON object"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"at": "2099-01-01T00:00:00Z"}, "at is 2099-01-01T00:00:00Z: in the future"),
        ({"at": "noon"}, "at is 'noon': not a time (2026-06-15T12:00:00Z, or seconds since 1970)"),
        ({"at": True}, "at is True: not a time (2026-06-15T12:00:00Z, or seconds since 1970)"),
        ({"at": 1781524800000}, "at is 1781524800000: not a time (2026-06-15T12:00:00Z, or seconds since 1970)"),
        ({"at": 20620}, "at is 20620: before anybody sold a model"),
        ({"provider": 5}, 'provider is 5: expected a name, such as "openai"'),
        ({"model": ["m"]}, "model is ['m']: expected a name, such as \"gpt-4o\""),
        ({"request": "hello"}, "request is 'hello': expected the body of the request"),
        ({"rates": "cheap"}, 'rates is \'cheap\': expected a table of rates, such as {"input": "2.5"}'),
        ({"rates": {"inptu": "3"}}, "rates.inptu = '3': expected a unit's name (did you mean input?)"),
        ({"rates": {"input": "-3"}}, "rates.input = '-3': expected a number of USD from 0 to 1,000,000,000"),
        ({"provider": None, "response": {}}, "the response does not show whose it is: name its provider"),
        ({"response": {"error": {"message": "overloaded"}}}, "the response is of no shape Outlay reads"),
        ({"response": {**MESSAGE, "usage": {"input_tokens": -1, "output_tokens": 1}}}, "input_tokens is negative: -1"),
    ],
)
def test_a_line_that_cannot_be_priced_says_why_and_is_not_zero(changes: dict[str, Any], reason: str) -> None:
    line = {"provider": "anthropic", "response": MESSAGE, **changes}

    cost = quote(PriceBook.bundled(), line, NOW)

    assert (cost.nano_usd, cost.reason) == (None, reason)


def test_a_line_without_a_time_is_priced_when_its_response_was_made_and_else_now() -> None:
    completion = {
        "id": "c",
        "object": "chat.completion",
        "model": "o3",
        "choices": [],
        "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000},
    }
    in_may_2025 = int(datetime(2025, 5, 1, tzinfo=UTC).timestamp())

    dated = quote(PriceBook.bundled(), {**completion, "created": in_may_2025}, NOW)
    undated = quote(PriceBook.bundled(), {"provider": "openai", "response": completion}, NOW)

    assert (dated.nano_usd, undated.nano_usd) == (10_000_000_000, 2_000_000_000)


def test_the_entries_of_a_configuration_win(tmp_path: Path) -> None:
    config = tmp_path / "outlay.toml"
    config.write_text('[[price]]\nprovider = "anthropic"\nmodel = "claude-sonnet-4-6"\ninput = 0\noutput = 1\n')

    (out,) = run("price", "--config", str(config), stdin=json.dumps(MESSAGE))

    assert (out["cost_usd"], out["price"]["source"]) == ("0.0004", f"{config} price[0]")


@pytest.mark.parametrize(
    ("written", "expected"),
    [(b"\xff", "expected TOML in UTF-8"), (b"[price]\ninput = 0\n", r"price = '...': expected a list of tables")],
)
def test_a_configuration_without_entries_to_read_is_refused_by_its_name(
    written: bytes, expected: str, tmp_path: Path
) -> None:
    config = tmp_path / "outlay.toml"
    config.write_bytes(written)

    with pytest.raises(ConfigError, match=f"{config}: .*{expected}"):
        configured_book(config)


def test_a_bill_is_written_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    minute = {"text": "Hi", "model": "whisper-1", "usage": {"type": "duration", "seconds": 60.5}}

    print_quote(quote(PriceBook.bundled(), {"provider": "openai", "response": minute}, NOW))
    print_quote(quote(PriceBook.bundled(), {"provider": "nobody", "response": MESSAGE}, NOW))

    head, *lines, unpriced = capsys.readouterr().out.splitlines()
    assert head == "0.00605 USD, exact"
    assert any(line.split() == ["audio_second", "60.5", "$0.0001", "per", "1", "$0.00605"] for line in lines)
    assert unpriced.startswith("unknown USD, unpriced: no price list for provider nobody")


def test_a_file_that_is_not_there_is_an_error() -> None:
    assert CliRunner().invoke(app, ["price", "/nowhere/response.json"]).exit_code != 0


def test_the_list_has_every_dated_price_of_a_model() -> None:
    (document,) = [json.loads(CliRunner().invoke(app, ["prices", "list", "--model", "gpt-5.6-luna", "--json"]).stdout)]

    ours = [row for row in document["prices"] if row["provider"] == "openai"]
    assert [(row["from"], row["rates"]["input"]) for row in ours] == [(None, "1"), ("2026-07-30", "0.2")]


def test_the_list_can_be_of_one_day() -> None:
    arguments = ["prices", "list", "--provider", "openai", "--model", "gpt-5.6-luna", "--at", "2026-07-29", "--json"]

    (row,) = json.loads(CliRunner().invoke(app, arguments).stdout)["prices"]

    assert row["rates"]["input"] == "1"


def test_what_changed_between_two_days_is_told_rate_by_rate() -> None:
    arguments = ["prices", "diff", "--from", "2026-08-20", "--to", "2026-08-21", "--provider", "openai", "--json"]

    changes = json.loads(CliRunner().invoke(app, arguments).stdout)["changes"]

    assert {"provider": "openai", "model": "gpt-5.6-sol", "rate": "output", "before": "30", "after": "20"} in changes
    assert {change["model"] for change in changes} == {"gpt-5.6-sol"}


def test_days_between_which_nothing_changed_are_said_to_be_so() -> None:
    out = CliRunner().invoke(app, ["prices", "diff", "--from", "2026-01-01", "--to", "2026-01-02"]).stdout

    assert out == "Nothing in the book changed between these days.\n"


def test_the_list_names_the_tables_of_a_price_and_json_the_days_they_are_of() -> None:
    arguments = ["prices", "list", "--provider", "openai", "--model", "gpt-5.6-sol", "--at", "2026-11-20"]

    (row,) = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["prices"]
    line = next(line for line in CliRunner().invoke(app, arguments).stdout.splitlines() if "gpt-5.6-sol" in line)

    assert row["source"].startswith("genai-prices 0.2.3 (2026-11-10); LiteLLM 1.109.1 (2026-11-20); ")
    assert line.split()[2:] == ["2026-08-21", "4", "0.4", "20", "genai-prices,", "LiteLLM,", "Portkey"]


def test_a_provider_without_a_list_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(OutlayError, match=r"'opnai': expected one that has a price list \(did you mean openai\?\)"):
        CliRunner().invoke(app, ["prices", "list", "--provider", "opnai"], catch_exceptions=False)


def test_what_is_printed_stands_as_it_is() -> None:
    screen = console()
    with screen.capture() as captured:
        screen.print(table((("model", False),), [["a [[price]] of [bold]m[/bold] :moon:"]]))

    assert "a [[price]] of [bold]m[/bold] :moon:" in captured.get()


def test_the_entries_on_the_page_about_prices_can_be_used() -> None:
    page = (REPOSITORY / "docs" / "prices.md").read_text("utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)

    book = PriceBook.bundled().overridden(read_overrides(tomllib.loads(block)["price"], "docs"))

    at_ns = int(NOW.timestamp()) * 10**9
    assert not hasattr(book.find(provider="azure", model="support-bot-prod", at_ns=at_ns), "reason")
    assert not hasattr(book.find(provider="ollama", model="llama3", at_ns=at_ns), "reason")
