"""A report as people read it: the total of a period, what it was before, and who spent it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from outlay_alerts.message import Message

from outlay_collector.money import usd_text
from outlay_collector.periods import from_ns
from outlay_collector.reports.schedule import Period, ScheduledReport
from outlay_collector.store.query import UsageRow

MOST_LINES: Final = 25


def compose(report: ScheduledReport, period: Period, rows: Sequence[UsageRow], before: Sequence[UsageRow]) -> Message:
    """The message of one period. `rows` are its spend by `report.by`, `before` that of the period before it."""
    blocks = [_total(report, rows, before)]
    if rows:
        dearest = sorted(rows, key=lambda row: (-(row.cost_nano_usd or 0), -row.calls, [str(v) for v in row.group]))
        lines = [_line(row) for row in dearest[:MOST_LINES]]
        if len(dearest) > MOST_LINES:
            left = dearest[MOST_LINES:]
            lines.append(f"{_spend(left)}  {len(left)} more ({_calls(left)})")
        blocks.append("\n".join(lines))
    blocks.append(f"All of it: {_command(report, period)}")
    return Message(f"[REPORT] {report.name}: {_spend(rows)} {_days(report, period)}", "\n\n".join(blocks), None)


def _total(report: ScheduledReport, rows: Sequence[UsageRow], before: Sequence[UsageRow]) -> str:
    lines = [f"Spend: {_spend(rows)} for {_calls(rows)}"]
    if (was := _sum(before)) is not None:
        now = _sum(rows) or 0
        change = f" ({Decimal(now - was) * 100 / was:+.1f} %)" if was else ""
        lines.append(f"The {report.every} before: {_usd(was)}{change}")
    errors, unpriced = (sum(getattr(row, name) for row in rows) for name in ("errors", "unpriced_calls"))
    if errors:
        lines.append(f"Errors: {errors:,}")
    if unpriced:
        lines.append(
            f"Without a price, and so not in the spend: {unpriced:,} calls; `outlay prices missing` says which"
        )
    if avoided := sum(row.avoided_nano_usd or 0 for row in rows):
        lines.append(f"Avoided by your own cache: {_usd(avoided)}")
    return "\n".join(lines)


def _line(row: UsageRow) -> str:
    name = " / ".join(value or "-" for value in row.group) or "everything"
    return f"{_spend([row])}  {name} ({_calls([row])})"


def _calls(rows: Sequence[UsageRow]) -> str:
    number = sum(row.calls for row in rows)
    return f"{number:,} call{'' if number == 1 else 's'}"


def _spend(rows: Sequence[UsageRow]) -> str:
    if not rows:
        return "$0"
    total = _sum(rows)
    return "unknown" if total is None else _usd(total)


def _sum(rows: Sequence[UsageRow]) -> int | None:
    """None where no call of any row has a price."""
    known = [row.cost_nano_usd for row in rows if row.cost_nano_usd is not None]
    return sum(known) if known else None


def _usd(nano_usd: int) -> str:
    """To the last digit, so that lines add up to the total and both to the export."""
    return f"${Decimal(usd_text(nano_usd)):,f}"


def _days(report: ScheduledReport, period: Period) -> str:
    first, last = (from_ns(at_ns, report.zone) for at_ns in (period.starts_at_ns, period.ends_at_ns - 1))
    days = f"on {first:%Y-%m-%d}" if report.every == "day" else f"from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return f"{days} ({report.timezone})"


def _command(report: ScheduledReport, period: Period) -> str:
    edges = (from_ns(at_ns, report.zone).isoformat() for at_ns in period)
    begin, end = edges
    by = f" --by {','.join(report.by)}" if report.by else ""
    return f"outlay export{by} --interval none --from {begin} --to {end} --timezone {report.timezone}"
