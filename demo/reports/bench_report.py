"""Stand-alone HTML reports: one file that opens anywhere, fetches nothing, and contains figures, tables and how they were measured.

    python -m demo.reports.bench_report RESULT.json REPORT.html

One function for each kind of report assembles small blocks (`document`, `section`, `figure`, `table`, `facts`). Medians and
formats of the table come from `core.benchmarks.compare_methods`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from core.benchmarks.compare_methods import COLUMNS, leaders, medians, table_rows
from core.errors import DataError, LMEraserError, StoreError
from demo import texts
from demo.view.render import render

INK, GRID = "#74888f", "rgba(120,145,150,.25)"  # readable on white and on near-black
COLORS = ("#128a82", "#d97a1f", "#5b7fd6", "#b35aa8", "#8f8a2a", "#c4515b", "#5a9e4b", "#8b7a6b", "#2f9bc1")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon", "bowtie")
CONFIG = {"displaylogo": False, "responsive": True, "plotlyServerURL": "", "modeBarButtonsToRemove": ["select2d", "lasso2d"]}

Record = dict[str, Any]  # of core.benchmarks.compare_methods
Row = dict[str, Any]
STYLE = Path(__file__).parents[1] / "view" / "static" / "report.css"


# Blocks


def document(title: str, sections: Iterable[Markup]) -> str:
    """Return a whole page; a policy in its head forbids fetching anything."""
    values = {"title": title, "style": Markup(STYLE.read_text("utf-8")), "library": Markup(library())}
    return str(render("report", "document", **values, sections=list(sections)))


@cache
def library() -> str:
    """Return plotly.js without the addresses that only maps would fetch."""
    return get_plotlyjs().replace("https://cdn", "about:blank#")


def paragraph(text: str, kind: str = "") -> Markup:
    """Return a paragraph of plain text; `kind` names a class of the style sheet."""
    return render("report", "paragraph", text=text, kind=kind)


def section(title: str, note: str, *content: Markup) -> Markup:
    """Return a titled part of the page, with a sentence on what it shows if there is one."""
    return render("report", "section", title=title, note=note, content=Markup("").join(content))


def figure(chart: go.Figure, summary: str) -> Markup:
    """Return a chart with its summary in words, which is also what a screen reader gets."""
    chart = chart.update_layout(title={"text": ""}, margin={"t": 16})  # the summary below says it
    drawn = chart.to_html(full_html=False, include_plotlyjs=False, config=CONFIG, default_width="100%")
    return render("report", "figure", drawing=Markup(drawn), summary=summary)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], label: str) -> Markup:
    """Return a table that scrolls sideways where it is wider than the page."""
    return render("report", "table", columns=columns, rows=list(rows), label=label)


def pairs(values: Mapping[str, str | Sequence[str]]) -> Markup:
    """Return names and values; a list of values is set as code, one a line."""
    return render("report", "pairs", values=values)


def facts(values: Mapping[str, str | Sequence[str]]) -> Markup:
    """Return the page's foot."""
    return render("report", "facts", values=values)


def framed(chart: go.Figure, x: str, y: str, height: int = 440) -> go.Figure:
    """Return the chart in the report's style: no background, colors readable on light and dark, legend below."""
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "automargin": True}
    chart.update_layout(
        font={"family": "IBM Plex Sans, ui-sans-serif, system-ui, sans-serif", "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 8, "t": 16, "b": 8},
        height=height,
        legend={"orientation": "h", "y": -0.18},
    )
    return chart.update_xaxes(title=x, **axis).update_yaxes(title=y, **axis)


# Methods compared


def unlearn_report(record: Record) -> str:
    """Return the page on a record of `core.benchmarks.compare_methods`; raises DataError for an invalid record."""
    try:
        rows = medians(record["rows"])
        sections = [
            paragraph(texts.BENCH_INTRO.format(**{k: record[k] for k in ("samples", "dataset", "clusters")})),
            section(texts.BENCH_ACCURACY, texts.BENCH_ACCURACY_NOTE, figure(accuracy_chart(rows), best(rows))),
            section(texts.BENCH_SECONDS, texts.BENCH_SECONDS_NOTE, figure(seconds_chart(rows), texts.BENCH_SECONDS)),
            section(texts.BENCH_ATTACK, texts.BENCH_ATTACK_NOTE, figure(attack_chart(rows), texts.BENCH_ATTACK)),
            section(texts.BENCH_TABLE, texts.BENCH_TABLE_NOTE, table(COLUMNS, table_rows(record), texts.BENCH_TABLE)),
            facts(circumstances(record)),
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(texts.BENCH_BAD.format(file="The record", reason=repr(error)[:80])) from error
    return document(f"{texts.BENCH_TITLE}: {record['dataset']}", sections)


def circumstances(record: Record) -> dict[str, str | list[str]]:
    """Return seed, repeats, hardware, versions and commands of a record, as text."""
    listed = lambda name: ", ".join(f"{k} {v}" for k, v in record.get(name, {}).items())  # noqa: E731
    values = (str(record["seed"]), str(record["repeats"]), listed("hardware"), listed("versions"), list(record.get("commands", ())))
    return dict(zip(texts.BENCH_FACTS, values, strict=True))


def best(rows: list[Row]) -> str:
    """Return a sentence naming the fastest and the most accurate method over all requests."""
    (fast, seconds), (right, accuracy) = leaders(rows)
    return texts.BENCH_BEST.format(fast=fast, seconds=texts.seconds(seconds), right=right, accuracy=100 * accuracy)


def _by_method(rows: list[Row]) -> Iterable[tuple[int, str, list[Row]]]:
    """Yield number, name and rows of each method, in order of appearance."""
    for number, name in enumerate(dict.fromkeys(row["method"] for row in rows)):
        yield number % len(COLORS), name, [row for row in rows if row["method"] == name]


def accuracy_chart(rows: list[Row]) -> go.Figure:
    """Return test accuracy over seconds, a point for each request and a color and shape for each method."""
    chart = go.Figure()
    for n, name, some in _by_method(rows):
        chart.add_scatter(
            x=[r["seconds"] for r in some],
            y=[100 * r["test"] for r in some],
            name=name,
            mode="markers",
            marker={"color": COLORS[n], "symbol": SYMBOLS[n], "size": 11, "line": {"width": 1, "color": "rgba(255,255,255,.6)"}},
            text=[r["request"] for r in some],
            hovertemplate="%{text}: %{x:.2f} s, %{y:.1f} %",
        )
    return framed(chart, texts.BENCH_X_SECONDS, texts.BENCH_Y_ACCURACY).update_xaxes(type="log")


def seconds_chart(rows: list[Row]) -> go.Figure:
    """Return bars of seconds, one group a request."""
    chart = go.Figure()
    for n, name, some in _by_method(rows):
        hover = "%{x}: %{y:.2f} s"
        chart.add_bar(
            x=[r["request"] for r in some], y=[r["seconds"] for r in some], name=name, marker_color=COLORS[n], hovertemplate=hover
        )
    return framed(chart, "", texts.BENCH_Y_SECONDS).update_yaxes(type="log")


def attack_chart(rows: list[Row]) -> go.Figure:
    """Return the attack's area with its interval, grouped by request; requests without a figure are left out."""
    chart = go.Figure()
    for n, name, some in _by_method([r for r in rows if r["auc"] is not None]):
        bars = {"array": [r["auc_high"] - r["auc"] for r in some], "arrayminus": [r["auc"] - r["auc_low"] for r in some], "thickness": 1.2}
        chart.add_scatter(
            x=[r["request"] for r in some],
            y=[r["auc"] for r in some],
            error_y={"type": "data", "symmetric": False, **bars},
            name=name,
            mode="markers",
            marker={"color": COLORS[n], "symbol": SYMBOLS[n], "size": 9},
            hovertemplate="%{x}: %{y:.3f}",
            offsetgroup=name,
        )
    return framed(chart, "", texts.BENCH_Y_ATTACK).update_layout(scattermode="group", scattergap=0.3).update_yaxes(range=[0, 1.02])


def write_report(result: Path, report: Path) -> None:
    """Read a result and write its report; raises DataError for an invalid result, StoreError if the report cannot be written."""
    try:
        record = json.loads(result.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(texts.BENCH_BAD.format(file=result.name, reason=str(error)[:80])) from error
    page = unlearn_report(record)
    try:
        report.write_text(page, "utf-8")
    except OSError as error:
        raise StoreError(texts.BENCH_UNWRITABLE.format(file=report, reason=error.strerror)) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Draw one result; return 0, or 2 for an error, which is printed on standard error."""
    parser = argparse.ArgumentParser(prog="python -m demo.reports.bench_report", description=texts.BENCH_USAGE)
    parser.add_argument("result", type=Path)
    parser.add_argument("report", type=Path)
    args = parser.parse_args(argv)
    try:
        write_report(args.result, args.report)
    except LMEraserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
