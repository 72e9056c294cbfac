"""Stand-alone HTML reports: one file that opens anywhere, fetches nothing, and holds figures, tables and how they were measured.

    python -m demo.report RESULT.json REPORT.html

Small blocks (`document`, `section`, `figure`, `table`, `facts`) put together by one function for each kind of report. Computes no result:
medians and formats of the table are the engine's (`core.bench_unlearn`).
"""

from __future__ import annotations

import argparse
import html
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from core.bench_unlearn import COLUMNS, leaders, medians, table_rows
from core.errors import DataError, LMEraserError, StoreError
from demo import texts

INK, GRID = "#74888f", "rgba(120,145,150,.25)"  # read on white and on near-black alike
COLORS = ("#128a82", "#d97a1f", "#5b7fd6", "#b35aa8", "#8f8a2a", "#c4515b", "#5a9e4b", "#8b7a6b", "#2f9bc1")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon", "bowtie")
CONFIG = {"displaylogo": False, "responsive": True, "plotlyServerURL": "", "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
STYLE = """
:root { color-scheme: light dark; --ink: #15242b; --soft: #51636b; --line: #dbe3e4; --sheet: #fff; --field: #f4f7f6; --accent: #0b6e69;
  --bad: #a3262f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eeee; --soft: #9db0b5; --line: #263539; --sheet: #121b1e; --field: #0b1214; --accent: #54c5b8;
    --bad: #ff9c9c; } }
body { margin: 0; background: var(--field); color: var(--ink); font: 16px/1.55 "IBM Plex Sans", ui-sans-serif, system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 20px 64px; }
h1 { margin: 0 0 8px; font-size: 28px; line-height: 1.2; } h2 { margin: 0 0 4px; font-size: 19px; }
p { margin: 0 0 12px; color: var(--soft); max-width: 75ch; }
section, footer { margin-top: 20px; padding: 20px; background: var(--sheet); border: 1px solid var(--line); border-radius: 14px; }
figure { margin: 0; min-width: 0; } figcaption { color: var(--soft); font-size: 14px; }
.wide { overflow-x: auto; } .wide:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; font-size: 14px; white-space: nowrap; }
th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); text-align: left; } th { color: var(--soft); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 0; font-size: 14px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
code { font: 13px/1.5 "IBM Plex Mono", ui-monospace, Menlo, monospace; }
pre { font: 12.5px/1.5 "IBM Plex Mono", ui-monospace, Menlo, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
.badge { display: inline-block; padding: 3px 10px; border: 1px solid var(--line); border-radius: 99px; font-size: 14px; }
.verdict { color: var(--ink); font-weight: 700; } .equal { color: var(--accent); } .different { color: var(--bad); }
@media (max-width: 520px) { dl { grid-template-columns: 1fr; } main { padding: 24px 12px; } section, footer { padding: 14px; } }
@media print { body { background: none; } section, footer { break-inside: avoid; } }
"""


# Blocks


def document(title: str, sections: Iterable[str]) -> str:
    """Return a whole page; a policy in its head forbids fetching anything."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><script>{library()}</script></head>"
        f"<body><main><h1>{escape(title)}</h1>{''.join(sections)}</main></body></html>\n"
    )


def escape(value: object) -> str:
    """Return text for use between tags and in attributes."""
    return html.escape(str(value), quote=True)


@cache
def library() -> str:
    """Return plotly.js; addresses in it that only maps would use are taken out."""
    return get_plotlyjs().replace("https://cdn", "about:blank#")


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of plain text; `kind` names a class of the style sheet."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def section(title: str, note: str, *content: str) -> str:
    """Return a titled part of the page, with a sentence on what it shows if there is one."""
    return f"<section><h2>{escape(title)}</h2>{paragraph(note) if note else ''}{''.join(content)}</section>"


def figure(chart: go.Figure, summary: str) -> str:
    """Return a chart with its summary in words, which is also what a screen reader gets."""
    chart = chart.update_layout(title={"text": ""}, margin={"t": 16})  # the summary below says it
    drawn = chart.to_html(full_html=False, include_plotlyjs=False, config=CONFIG, default_width="100%")
    return f'<figure role="group" aria-label="{escape(summary)}">{drawn}<figcaption>{escape(summary)}</figcaption></figure>'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], label: str) -> str:
    """Return a table that scrolls sideways where it is wider than the page."""
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def pairs(values: Mapping[str, str | Sequence[str]]) -> str:
    """Return names and values; a list of values is set as code, one a line."""
    code = lambda lines: "<br>".join(f"<code>{escape(line)}</code>" for line in lines)  # noqa: E731
    cells = (f"<dt>{escape(k)}</dt><dd>{escape(v) if isinstance(v, str) else code(v)}</dd>" for k, v in values.items())
    return f"<dl>{''.join(cells)}</dl>"


def facts(values: Mapping[str, str | Sequence[str]]) -> str:
    """Return the page's foot."""
    return f"<footer>{pairs(values)}</footer>"


def framed(chart: go.Figure, x: str, y: str, height: int = 440) -> go.Figure:
    """Return the chart in the report's looks: no background, ink and grid that read on light and dark, legend below."""
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


def unlearn_report(record: Mapping[str, Any]) -> str:
    """Return the page on a record of `core.bench_unlearn`; raises DataError for what is none."""
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


def circumstances(record: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Return seed, repeats, hardware, versions and commands of a record, as text."""
    listed = lambda name: ", ".join(f"{k} {v}" for k, v in record.get(name, {}).items())  # noqa: E731
    values = (str(record["seed"]), str(record["repeats"]), listed("hardware"), listed("versions"), list(record.get("commands", ())))
    return dict(zip(texts.BENCH_FACTS, values, strict=True))


def best(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence naming the fastest and the most accurate method over all requests."""
    (fast, seconds), (right, accuracy) = leaders(rows)
    return texts.BENCH_BEST.format(fast=fast, seconds=texts.seconds(seconds), right=right, accuracy=100 * accuracy)


def _by_method(rows: Sequence[Mapping[str, Any]]) -> Iterable[tuple[int, str, list[Mapping[str, Any]]]]:
    """Yield number, name and rows of each method, in order of appearance."""
    for number, name in enumerate(dict.fromkeys(row["method"] for row in rows)):
        yield number % len(COLORS), name, [row for row in rows if row["method"] == name]


def accuracy_chart(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
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


def seconds_chart(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Return bars of seconds, one group a request."""
    chart = go.Figure()
    for n, name, some in _by_method(rows):
        hover = "%{x}: %{y:.2f} s"
        chart.add_bar(
            x=[r["request"] for r in some], y=[r["seconds"] for r in some], name=name, marker_color=COLORS[n], hovertemplate=hover
        )
    return framed(chart, "", texts.BENCH_Y_SECONDS).update_yaxes(type="log")


def attack_chart(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
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
    """Read a result and write its report; raises DataError for what is no result, StoreError where it cannot be written."""
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
    parser = argparse.ArgumentParser(prog="python -m demo.report", description=texts.BENCH_USAGE)
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
