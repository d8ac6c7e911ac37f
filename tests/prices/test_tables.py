"""The book beside other public tables: every difference has a verdict in docs/prices.md."""

from __future__ import annotations

import json
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent


def verdicts() -> list[tuple[str, list[str], str]]:
    """The rows of the page's last table: table, patterns of `provider/model`, pattern of the rate."""
    page = (REPOSITORY / "docs" / "prices.md").read_text("utf-8").replace("\\", "")
    rows = page.partition("| Table | Models | Rates | Verdict |")[2].splitlines()
    cells = [[cell.strip() for cell in row.split("|")[1:5]] for row in rows[2:] if row.startswith("|")]
    return [(table, models.split(", "), rates) for table, models, rates, _ in cells]


def covers(row: tuple[str, list[str], str], found: dict[str, str]) -> bool:
    table, models, rates = row
    name = f"{found['provider']}/{found['model']}"
    return (
        table == found["table"]
        and any(fnmatchcase(name, pattern) for pattern in models)
        and fnmatchcase(found["rate"], rates)
    )


def test_every_difference_from_another_table_has_a_verdict_and_every_verdict_a_difference(shared: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "scripts" / "compare_prices.py"), str(shared / "prices")]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    differences = [json.loads(line) for line in output.splitlines()]
    rows = verdicts()

    assert differences
    assert [found for found in differences if not any(covers(row, found) for row in rows)] == []
    assert [row for row in rows if not any(covers(row, found) for found in differences)] == []
