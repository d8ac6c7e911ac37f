"""Rows of the API to Plotly figures. Pure: no call of the collector, no Streamlit.

Whatever is drawn says its exact figure when pointed at. Graph objects are built directly: `plotly.express` takes
twenty times as long. Fonts, background and grid are Streamlit's, which follows the viewer's light or dark theme.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types

from outlay_dashboard import format as fmt
from outlay_dashboard import theme
from outlay_dashboard.answers.usage import SpendRow, UsageRow, cost_of
from outlay_dashboard.window import Window

HEIGHT: Final = 300
SMALL_HEIGHT: Final = 230
SHOWN_NAMES: Final = 8
OTHER: Final = "other"

Figure = go.Figure
Colour = Mapping[str | None, str]


def ranked(totals: Iterable[UsageRow]) -> list[UsageRow]:
    """Most spend first; names whose cost is unknown come after all that is known, by their calls."""
    return sorted(totals, key=lambda row: (row.cost_usd is None, -(row.cost_usd or 0), -row.calls, str(row.group)))


def spend_words(rows: Sequence[SpendRow], *, exact: bool = True) -> str:
    """What all rows cost together, and how many of their calls have no price."""
    calls = sum(row.calls for row in rows)
    return fmt.spend(cost_of(rows), calls=calls, unpriced=_unpriced(rows), exact=exact)


def spend_over_time(
    leaders: Sequence[SpendRow], everything: Sequence[SpendRow], colours: Colour, window: Window
) -> go.Figure:
    """Stacked bars: one colour a name, and what `leaders` leave of `everything` as "other".

    `leaders` are grouped by one dimension, `everything` by none. The ranking beside the figure is its legend.
    """
    figure = _figure(HEIGHT, window)
    for name, colour in colours.items():
        own = [row for row in leaders if row.group[0] == name]
        figure.add_trace(_spend_bars(fmt.name(name), colour, own, window))
    if rest := _rest(leaders, everything):
        figure.add_trace(_spend_bars(OTHER, theme.NEUTRAL, rest, window))
    figure.update_layout(showlegend=False, hovermode="closest")
    figure.update_yaxes(tickformat=_dollars(everything))
    return figure


def ranking(totals: Sequence[SpendRow], everything: Sequence[SpendRow], colours: Colour) -> go.Figure:
    """Horizontal bars, the biggest on top, each written out above its bar. `totals` are `ranked`, of one dimension;
    what the first of them leave of `everything` is "other"."""
    shown = totals[:SHOWN_NAMES]
    whole = cost_of(everything)
    entries = [(fmt.name(row.group[0]), colours[row.group[0]], [row]) for row in shown]
    if rest := _rest(shown, everything):
        entries.append((OTHER, theme.NEUTRAL, rest))
    figure = go.Figure()
    for place, (label, colour, rows) in enumerate(entries):
        total = cost_of(rows)
        figure.add_trace(
            go.Bar(
                x=[float(total or 0)],
                y=[place],
                orientation="h",
                width=0.24,
                marker={"color": colour, "cornerradius": 4},
                hovertemplate=f"<b>{_escaped(label)}</b><br>{spend_words(rows)}<br>{_calls(rows)}<extra></extra>",
            )
        )
        share = f"  {fmt.percent(float(total / whole))}" if whole and total is not None else ""
        _write_above(figure, place, _escaped(_shortened(label)), _short_spend(total, _unpriced(rows)) + share)
    figure.update_layout(showlegend=False, height=HEIGHT, margin={"l": 0, "r": 0, "t": 6, "b": 0})
    figure.update_xaxes(visible=False, fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True, range=[max(len(entries), 5) - 0.6, -0.85])
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
        figure.add_trace(
            go.Scatter(
                x=times,
                y=[None if height is None else height / 1000 for height in heights],
                name=label,
                mode="lines+markers",
                line={"color": colour, "width": 2},
                marker={"size": 4 if len(measured) <= 60 else 2},
                customdata=[[fmt.duration(height), height] for height in heights],
                hovertemplate=f"{label} <b>%{{customdata[0]}}</b> (%{{customdata[1]}} ms)<extra></extra>",
            )
        )
    figure.update_yaxes(ticksuffix=" s", tickformat=",~g")
    return figure


def failures(rows: Sequence[UsageRow], window: Window) -> go.Figure:
    """Calls that failed, and answers of 429, those that a retry made good included."""
    figure = _figure(SMALL_HEIGHT, window)
    figure.add_trace(_count_bars("failed calls", theme.ERROR, [(row, row.errors) for row in rows], window))
    limited = [(row, row.rate_limited) for row in rows]
    figure.add_trace(_count_bars("rate-limited attempts", theme.WARNING, limited, window))
    figure.update_yaxes(tickformat=",d")
    if not any(row.errors or row.rate_limited for row in rows):
        figure.update_yaxes(range=[0, 5])
    return figure


def input_tokens(rows: Sequence[UsageRow], window: Window) -> go.Figure:
    """What the models were given, split by how it is billed: from the prompt cache, into it, and the rest.

    The rest is what no provider reported as cached.
    """
    figure = _figure(SMALL_HEIGHT, window)
    rest = [
        (row, row.input_tokens - (row.cache_read_tokens or 0) - (row.cache_write_tokens or 0))
        for row in rows
        if row.input_tokens is not None
    ]
    read = [(row, row.cache_read_tokens) for row in rows]
    written = [(row, row.cache_write_tokens) for row in rows]
    figure.add_trace(_count_bars("read from cache", theme.PRIMARY, read, window))
    figure.add_trace(_count_bars("written to cache", theme.WARNING, written, window))
    figure.add_trace(_count_bars("not cached", theme.NEUTRAL, rest, window))
    figure.update_yaxes(tickformat=",~s")
    return figure


def _figure(height: int, window: Window) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        hoverlabel={"align": "left"},
        hovermode="x unified",
        barmode="stack",
    )
    figure.update_xaxes(
        type="date", fixedrange=True, tickangle=0, range=[_naive(window.from_at, window), _naive(window.to_at, window)]
    )
    figure.update_yaxes(fixedrange=True, rangemode="tozero")
    return figure


def _short_spend(total: Decimal | None, unpriced: int) -> str:
    if not unpriced:
        return f"<b>{fmt.usd(total)}</b>"
    return f"<b>{unpriced:,} unpriced</b>" if total is None else f"<b>{fmt.usd(total)}</b> + {unpriced:,} unpriced"


def _write_above(figure: go.Figure, place: int, left: str, right: str) -> None:
    for text, x, anchor in ((left, 0, "left"), (right, 1, "right")):
        figure.add_annotation(
            text=text,
            x=x,
            y=place - 0.42,
            xref="paper",
            yref="y",
            xanchor=anchor,
            yanchor="middle",
            showarrow=False,
            font={"size": 13},
        )


def _spend_bars(label: str, colour: str, rows: Sequence[SpendRow], window: Window) -> go.Bar:
    return go.Bar(
        x=[_local(row, window) for row in rows],
        y=[float(row.cost_usd or 0) for row in rows],
        name=label,
        customdata=[[spend_words([row]), _calls([row])] for row in rows],
        hovertemplate=f"<b>{_escaped(label)}</b>  %{{x}}<br>%{{customdata[0]}}<br>%{{customdata[1]}}<extra></extra>",
        **_shape(colour, window),
    )


def _count_bars(label: str, colour: str, counts: Sequence[tuple[UsageRow, int | None]], window: Window) -> go.Bar:
    """An unknown count leaves a gap."""
    return go.Bar(
        x=[_local(row, window) for row, _ in counts],
        y=[number for _, number in counts],
        name=label,
        customdata=[fmt.count(number) for _, number in counts],
        hovertemplate=f"{label} <b>%{{customdata}}</b><extra></extra>",
        **_shape(colour, window),
    )


def _shape(colour: str, window: Window) -> dict[str, Any]:
    """A bar fills its bucket but for a gap; where buckets are missing Plotly would take the wrong width."""
    length_ms = window.bucket.total_seconds() * 1000
    return {"width": length_ms * 0.82, "offset": length_ms * 0.09, "marker": {"color": colour, "line": {"width": 0}}}


def _rest(leaders: Iterable[SpendRow], everything: Iterable[SpendRow]) -> list[SpendRow]:
    """What is left of each bucket without the leaders; no row where nothing is."""
    of_bucket: dict[datetime | None, list[SpendRow]] = {}
    for row in leaders:
        of_bucket.setdefault(row.bucket_at, []).append(row)
    rest = []
    for whole in everything:
        named = of_bucket.get(whole.bucket_at, [])
        calls = whole.calls - sum(row.calls for row in named)
        unpriced = whole.unpriced_calls - _unpriced(named)
        if calls > 0:
            cost = None if calls == unpriced else (whole.cost_usd or Decimal(0)) - (cost_of(named) or Decimal(0))
            rest.append(replace(whole, calls=calls, unpriced_calls=unpriced, cost_usd=cost))
    return rest


def _dollars(rows: Iterable[SpendRow]) -> str:
    """The axis in cents, or in as many digits as it takes where the highest bar is only cents."""
    highest = max((row.cost_usd for row in rows if row.cost_usd is not None), default=0)
    if highest >= 20:
        return "$,.0f"
    return "$,.2f" if highest >= 0.1 or highest == 0 else "$,~r"


def _in_time(rows: Iterable[UsageRow]) -> list[UsageRow]:
    return sorted(rows, key=lambda row: row.bucket_at or datetime.min.replace(tzinfo=UTC))


def _unpriced(rows: Iterable[SpendRow]) -> int:
    return sum(row.unpriced_calls for row in rows)


def _calls(rows: Iterable[SpendRow]) -> str:
    return fmt.plural(sum(row.calls for row in rows), "call")


def _local(row: SpendRow, window: Window) -> datetime:
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
