"""Rows of the API to Plotly figures. Pure: no call of the collector, no Streamlit.

Whatever is drawn says its exact figure when pointed at. Graph objects are built directly: `plotly.express` takes
twenty times as long. Fonts, background and grid are Streamlit's, which follows the viewer's light or dark theme.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types

from outlay_dashboard import format as fmt
from outlay_dashboard import theme
from outlay_dashboard.answers import UsageRow
from outlay_dashboard.window import Window

HEIGHT: Final = 300
SMALL_HEIGHT: Final = 230
SHOWN_NAMES: Final = 8
OTHER: Final = "other"

Group = tuple[str | None, ...]
Colour = Mapping[str | None, str]


@dataclass(frozen=True, slots=True)
class Series:
    """What one name spent, bucket by bucket. `name` None is the calls that did not say."""

    label: str
    colour: str
    rows: tuple[UsageRow, ...]


def ranked(totals: Iterable[UsageRow]) -> list[UsageRow]:
    """Most spend first; names whose cost is unknown come after all that is known, by their calls."""
    return sorted(totals, key=lambda row: (row.cost_usd is None, -(row.cost_usd or 0), -row.calls, str(row.group)))


def spend_over_time(
    rows: Sequence[UsageRow], leaders: Sequence[str | None], colours: Colour, window: Window
) -> go.Figure:
    """Stacked bars: one colour a name for `leaders`, the rest together as "other". Rows are grouped by one dimension.

    The ranking beside it is its legend.
    """
    figure = _figure(HEIGHT, window)
    shown = set(leaders)
    for name in leaders:
        own = [row for row in rows if row.group[0] == name]
        figure.add_trace(_spend_bars(fmt.name(name), colours[name], own, window))
    if rest := [row for row in rows if row.group[0] not in shown]:
        figure.add_trace(_spend_bars(OTHER, theme.NEUTRAL, rest, window))
    figure.update_layout(barmode="stack", showlegend=False)
    figure.update_yaxes(tickformat=_dollars(rows))
    return figure


def ranking(totals: Sequence[UsageRow], colours: Colour) -> go.Figure:
    """Horizontal bars, the biggest on top, each written out above its bar. Rows are `ranked`, of one dimension."""
    shown = totals[:SHOWN_NAMES]
    whole = sum((row.cost_usd for row in totals if row.cost_usd is not None), Decimal(0))
    rest = totals[SHOWN_NAMES:]
    entries = [(fmt.name(row.group[0]), colours[row.group[0]], [row]) for row in shown]
    if rest:
        entries.append((f"{OTHER} ({len(rest)})", theme.NEUTRAL, list(rest)))
    figure = go.Figure()
    for place, (label, colour, rows) in enumerate(entries):
        total = _total(rows)
        share = f"{fmt.percent(float(total / whole))}" if whole and total is not None else ""
        figure.add_trace(
            go.Bar(
                x=[float(total or 0)],
                y=[place],
                orientation="h",
                width=0.3,
                marker={"color": colour, "cornerradius": 4},
                hovertemplate=f"<b>{_escaped(label)}</b><br>{_spend_words(rows)}<br>{_calls(rows)}<extra></extra>",
            )
        )
        amount = fmt.usd(total) if total is not None else f"{fmt.plural(_unpriced(rows), 'call')} without a price"
        for text, x, anchor in ((_shortened(label), 0, "left"), (f"<b>{amount}</b>  {share}".rstrip(), 1, "right")):
            figure.add_annotation(
                x=x, y=place - 0.36, xref="paper", yref="y", text=_escaped(text) if anchor == "left" else text,
                showarrow=False, xanchor=anchor, yanchor="middle", font={"size": 13},
            )  # fmt: skip
    figure.update_layout(showlegend=False, height=HEIGHT, margin={"l": 0, "r": 0, "t": 6, "b": 0})
    figure.update_xaxes(visible=False, fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True, range=[max(len(entries), 5) - 0.5, -0.75])
    return figure


def latency(rows: Sequence[UsageRow], window: Window) -> go.Figure:
    """p50 and p95 as lines, broken where there was no call."""
    figure = _figure(SMALL_HEIGHT, window)
    measured = [row for row in _in_time(rows) if row.latency_ms.p50 is not None]
    for label, colour, values in (
        ("p50", theme.MEDIAN, [row.latency_ms.p50 for row in measured]),
        ("p95", theme.TAIL, [row.latency_ms.p95 for row in measured]),
    ):
        times, heights = _broken([_local(row, window) for row in measured], values, window)
        words = [fmt.duration(height) for height in heights]
        figure.add_trace(
            go.Scatter(
                x=times,
                y=[None if height is None else height / 1000 for height in heights],
                name=label,
                mode="lines+markers",
                line={"color": colour, "width": 2},
                marker={"size": 4},
                customdata=words,
                hovertemplate=f"{label} <b>%{{customdata}}</b><extra></extra>",
            )
        )
    figure.update_layout(hovermode="x unified")
    figure.update_yaxes(ticksuffix=" s", tickformat=",~g")
    return figure


def failures(rows: Sequence[UsageRow], window: Window) -> go.Figure:
    """Calls that failed, and answers of 429, retried ones included, as bars side by side."""
    figure = _figure(SMALL_HEIGHT, window)
    for label, colour, counts in (
        ("failed calls", theme.ERROR, [row.errors for row in rows]),
        ("rate-limited attempts", theme.WARNING, [row.rate_limited for row in rows]),
    ):
        figure.add_trace(
            go.Bar(
                x=[_local(row, window) for row in rows],
                y=counts,
                name=label,
                marker={"color": colour, "line": {"width": 0}},
                customdata=[fmt.count(number) for number in counts],
                hovertemplate=f"{label} <b>%{{customdata}}</b><extra></extra>",
            )
        )
    figure.update_layout(barmode="stack", bargap=0.15, hovermode="x unified")
    figure.update_yaxes(tickformat=",d", rangemode="tozero", minallowed=0)
    if not any(row.errors or row.rate_limited for row in rows):
        figure.update_yaxes(range=[0, 5])
    return figure


def input_tokens(rows: Sequence[UsageRow], window: Window) -> go.Figure:
    """What the models were given, split by how it is billed: from the prompt cache, into it, and the rest."""
    figure = _figure(SMALL_HEIGHT, window)
    fresh = [row.input_tokens - row.cache_read_tokens - row.cache_write_tokens for row in rows]
    for label, colour, counts in (
        ("read from cache", theme.PRIMARY, [row.cache_read_tokens for row in rows]),
        ("written to cache", theme.WARNING, [row.cache_write_tokens for row in rows]),
        ("not cached", theme.NEUTRAL, fresh),
    ):
        figure.add_trace(
            go.Bar(
                x=[_local(row, window) for row in rows],
                y=counts,
                name=label,
                marker={"color": colour, "line": {"width": 0}},
                customdata=[fmt.count(number) for number in counts],
                hovertemplate=f"{label} <b>%{{customdata}}</b> tokens<extra></extra>",
            )
        )
    figure.update_layout(barmode="stack", bargap=0.15, hovermode="x unified")
    figure.update_yaxes(tickformat=",~s")
    return figure


def _figure(height: int, window: Window) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(type="date", fixedrange=True, tickangle=0, range=[_naive(window.from_at, window), None])
    figure.update_yaxes(fixedrange=True, rangemode="tozero")
    return figure


def _spend_bars(label: str, colour: str, rows: Sequence[UsageRow], window: Window) -> go.Bar:
    """One bar a bucket. Rows of one bucket (those of "other") become one bar."""
    by_bucket: dict[datetime, list[UsageRow]] = {}
    for row in rows:
        by_bucket.setdefault(_local(row, window), []).append(row)
    times = sorted(by_bucket)
    return go.Bar(
        x=times,
        y=[float(_total(by_bucket[at]) or 0) for at in times],
        name=label,
        width=window.bucket.total_seconds() * 1000 * 0.82,
        offset=window.bucket.total_seconds() * 1000 * 0.09,
        marker={"color": colour, "line": {"width": 0}},
        customdata=[[_spend_words(by_bucket[at]), _calls(by_bucket[at])] for at in times],
        hovertemplate=f"<b>{_escaped(label)}</b>  %{{x}}<br>%{{customdata[0]}}<br>%{{customdata[1]}}<extra></extra>",
    )


def _dollars(rows: Iterable[UsageRow]) -> str:
    """The axis in cents, or in as many digits as it takes where the highest bar is only cents."""
    of_bucket: dict[datetime | None, float] = {}
    for row in rows:
        of_bucket[row.bucket_at] = of_bucket.get(row.bucket_at, 0) + float(row.cost_usd or 0)
    highest = max(of_bucket.values(), default=0)
    if highest >= 20:
        return "$,.0f"
    return "$,.2f" if highest >= 0.1 or highest == 0 else "$,~r"


def _in_time(rows: Iterable[UsageRow]) -> list[UsageRow]:
    return sorted(rows, key=lambda row: row.bucket_at or datetime.min.replace(tzinfo=UTC))


def _total(rows: Iterable[UsageRow]) -> Decimal | None:
    known = [row.cost_usd for row in rows if row.cost_usd is not None]
    return sum(known, Decimal(0)) if known else None


def _unpriced(rows: Iterable[UsageRow]) -> int:
    return sum(row.unpriced_calls for row in rows)


def _spend_words(rows: Sequence[UsageRow]) -> str:
    calls = sum(row.calls for row in rows)
    return fmt.spend(_total(rows), calls=calls, unpriced=_unpriced(rows), exact=True)


def _calls(rows: Iterable[UsageRow]) -> str:
    return fmt.plural(sum(row.calls for row in rows), "call")


def _local(row: UsageRow, window: Window) -> datetime:
    if row.bucket_at is None:
        raise ValueError("a figure over time needs rows that were asked for with an interval")
    return _naive(row.bucket_at, window)


def _naive(at: datetime, window: Window) -> datetime:
    """Plotly knows no time zones: it is given the time the reader's clock shows."""
    return at.astimezone(window.from_at.tzinfo).replace(tzinfo=None)


def _broken(
    times: Sequence[datetime], values: Sequence[float | None], window: Window
) -> tuple[list[datetime], list[float | None]]:
    """The same points with a hole wherever a bucket is missing, so that no line is drawn through silence."""
    out_times: list[datetime] = []
    out_values: list[float | None] = []
    for at, value in zip(times, values, strict=True):
        if out_times and at - out_times[-1] > window.bucket * 1.5:
            out_times.append(out_times[-1] + window.bucket)
            out_values.append(None)
        out_times.append(at)
        out_values.append(value)
    return out_times, out_values


def _shortened(label: str, most: int = 30) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _escaped(text: str) -> str:
    """Plotly reads a little HTML in its texts; names come from applications and are not to be read so."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "%&#123;")
