"""The conformance cases through `outlay price`: provider responses whose cost was worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from outlay_collector.cli import app
from typer.testing import CliRunner

UNKNOWN_TO_THE_BOOK = {"free-model", "bucket-without-rate"}
"""Cases about models that exist in their own rates alone."""

OTHER_RATES = {
    "openai-batch": "the book knows that gpt-5.5 costs twice as much above 272,000 tokens, in a batch too",
    "openai-audio-split": "three tables have gpt-audio's text at $2.50 and $10, the case at $4 and $16",
}
"""Cases whose rates are not those of the public tables."""


def cases(shared: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (shared / "conformance" / "cases.jsonl").read_text("utf-8").splitlines()]


def price(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["price", "--json"], input="".join(json.dumps(line) + "\n" for line in lines))
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def expected(case: dict[str, Any]) -> tuple[str | None, str]:
    status = case["expected_status"]
    return (None if status == "unpriced" else case["expected_usd"]), status


@pytest.mark.parametrize("with_rates", [True, False], ids=["rates of the case", "rates of the book"])
def test_every_case_costs_what_was_worked_out_by_hand(shared: Path, with_rates: bool) -> None:
    chosen = [
        case for case in cases(shared) if with_rates or case["id"] not in UNKNOWN_TO_THE_BOOK | OTHER_RATES.keys()
    ]
    lines = chosen if with_rates else [{k: v for k, v in case.items() if k != "rates"} for case in chosen]

    priced = price(lines)

    found = {case["id"]: (out["cost_usd"], out["status"]) for case, out in zip(chosen, priced, strict=True)}
    assert found == {case["id"]: expected(case) for case in chosen}


def test_every_figure_that_is_not_exact_has_a_reason_and_every_figure_its_lines(shared: Path) -> None:
    for out in price(cases(shared)):
        assert ("reason" in out) == (out["status"] != "exact")
        assert bool(out["lines"]) == (out["cost_usd"] is not None)
