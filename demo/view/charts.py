"""The page's Plotly charts, made from numbers. Transparent backgrounds and mid-gray text are readable on light and dark pages."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import plotly.graph_objects as go

from demo import texts

INK = "#6b7f86"
GRID = "rgba(120,145,150,.22)"
REQUEST, FULL = "#128a82", "#8fa3a8"
LOSS, GAIN = "#d97a1f", "#128a82"
FONT = "IBM Plex Sans, ui-sans-serif, system-ui, sans-serif"


def _framed(figure: go.Figure, title: str, height: int) -> go.Figure:
    figure.update_layout(
        title={"text": title, "font": {"size": 14}, "x": 0.006, "xanchor": "left", "xref": "container", "y": 0.96},
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 16, "t": 44, "b": 28},
        height=height,
        showlegend=False,
        bargap=0.42,
        modebar={"remove": ["zoom", "pan", "select", "lasso", "autoscale", "resetscale", "toimage"]},
        dragmode=False,
    )
    axis = {
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "fixedrange": True,
        "automargin": True,
        "ticks": "outside",
        "ticklen": 7,
        "tickcolor": "rgba(0,0,0,0)",
    }
    return figure.update_xaxes(**axis).update_yaxes(**axis)


def times(request: float, full: float) -> go.Figure:
    """Return two bars: seconds of a request and of full retraining."""
    labels = [texts.TIME_FULL, texts.TIME_REQUEST]
    bars = go.Bar(
        x=[full, request],
        y=labels,
        orientation="h",
        marker={"color": [FULL, REQUEST], "cornerradius": 5, "line": {"width": 0}},
        text=[texts.seconds(full), texts.seconds(request)],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure = _framed(go.Figure(bars), texts.CHART_TIME, 260)
    return figure.update_xaxes(range=[0, 1.18 * max(request, full)], rangemode="tozero").update_yaxes(showgrid=False)


def each_request(numbers: Sequence[int], seconds: Sequence[float]) -> go.Figure:
    """Return one bar per request: its seconds."""
    bars = go.Bar(
        x=[str(n) for n in numbers],
        y=list(seconds),
        marker={"color": REQUEST, "cornerradius": 4, "line": {"width": 0}},
        text=[texts.seconds(s) for s in seconds] if len(seconds) <= 20 else None,
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{x}: %{y:.2f} s<extra></extra>",
    )
    figure = _framed(go.Figure(bars), texts.CHART_REQUESTS, 240)
    return figure.update_yaxes(range=[0, 1.25 * max(seconds)], rangemode="tozero").update_xaxes(type="category", showgrid=False)


def class_changes(names: Sequence[str], changes: Sequence[float]) -> go.Figure:
    """Return one bar per class: the change of test accuracy in points."""
    bars = go.Bar(
        x=list(names),
        y=list(changes),
        marker={"color": [LOSS if c < 0 else GAIN for c in changes], "cornerradius": 4, "line": {"width": 0}},
        text=[f"{c:+.1f}" if c else "0" for c in changes],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{x}: %{y:+.2f}<extra></extra>",
    )
    reach = max(1.0, *(abs(c) for c in changes)) * 1.35 if changes else 1.0
    figure = _framed(go.Figure(bars), texts.CHART_CLASSES, 260)
    return figure.update_yaxes(range=[-reach, reach]).update_xaxes(type="category", showgrid=False)


def methods(rows: Sequence[dict]) -> go.Figure:
    """Return one point a method: seconds for the request (log) against test accuracy in percent; hollow where nothing is guaranteed."""
    order = sorted(rows, key=lambda r: r["seconds"]["total"])
    own = [r["method"] == "LMEraser" for r in order]
    points = go.Scatter(
        x=[r["seconds"]["total"] for r in order],
        y=[100 * r["accuracy"]["test"] for r in order],
        mode="markers+text",
        text=[texts.METHODS[r["method"]][0] for r in order],
        textposition=[("top center", "bottom center")[i % 2] for i in range(len(order))],
        cliponaxis=False,
        marker={
            "size": [15 if mine else 11 for mine in own],
            "symbol": ["circle" if r["exact"] else "diamond-open" for r in order],
            "color": [REQUEST if mine else FULL if r["exact"] else LOSS for mine, r in zip(own, order, strict=True)],
            "line": {"width": 2, "color": [REQUEST if mine else FULL if r["exact"] else LOSS for mine, r in zip(own, order, strict=True)]},
        },
        customdata=[texts.seconds(r["seconds"]["total"]) for r in order],
        hovertemplate="%{text}: %{customdata}, %{y:.1f} %<extra></extra>",
    )
    figure = _framed(go.Figure(points), texts.CHART_METHODS, 320)
    low, high = min(points.x), max(points.x)
    figure.update_xaxes(type="log", range=[math.log10(low / 3), math.log10(high * 3)], dtick=1, ticksuffix=" s")
    worst, best = min(points.y), max(points.y)
    gap = max(1.0, best - worst)
    return figure.update_yaxes(range=[worst - 0.25 * gap, best + 0.25 * gap], ticksuffix=" %")


def capacity(spent: Sequence[float], full: float) -> go.Figure:
    """Return the summed seconds of deletions, one after another, against those of full retraining."""
    summed = [0.0, *itertools.accumulate(spent)]
    line = go.Scatter(
        x=list(range(len(summed))),
        y=summed,
        mode="lines",
        line={"color": REQUEST, "width": 2.5},
        hovertemplate="%{x} images: %{y:.1f} s<extra></extra>",
    )
    figure = _framed(go.Figure(line), texts.CHART_CAPACITY, 260)
    figure.add_hline(full, line={"color": FULL, "dash": "dash", "width": 2}, annotation_text=texts.capacity_line(full))
    return figure.update_yaxes(range=[0, 1.15 * max(full, summed[-1])]).update_xaxes(rangemode="tozero")


def growth(grown: dict[str, Sequence[int]]) -> go.Figure:
    """Return one line a clustering: how many clusters hold the first 1, 2, ... images of a request."""
    styles = {"adaptive": (REQUEST, "solid"), "random": (LOSS, "dash"), "spread": (FULL, "dot")}
    lines = [
        go.Scatter(
            x=list(range(1, len(counts) + 1)),
            y=list(counts),
            mode="lines",
            name=texts.GROWN[name],
            line={"color": styles[name][0], "dash": styles[name][1], "width": 2.5, "shape": "hv"},
            hovertemplate=f"{texts.GROWN[name]}: %{{y}} of %{{x}}<extra></extra>",
        )
        for name, counts in grown.items()
    ]
    figure = _framed(go.Figure(lines), texts.CHART_GROWTH, 260)
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.18, "x": 0, "xanchor": "left"})
    return figure.update_yaxes(rangemode="tozero").update_xaxes(dtick=max(1, len(lines[0].x) // 8))


def cluster_sizes(sizes: Sequence[int], touched: Sequence[bool]) -> go.Figure:
    """Return one bar per cluster, the largest first; clusters that retrained last stand out."""
    order = sorted(range(len(sizes)), key=lambda c: -sizes[c])
    bars = go.Bar(
        x=[str(c) for c in order],
        y=[sizes[c] for c in order],
        marker={"color": [REQUEST if touched[c] else FULL for c in order], "cornerradius": 2, "line": {"width": 0}},
        hovertemplate="Cluster %{x}: %{y} images<extra></extra>",
    )
    figure = _framed(go.Figure(bars), texts.CHART_SIZES, 220)
    return figure.update_layout(bargap=0.2).update_xaxes(type="category", showticklabels=False, showgrid=False)
