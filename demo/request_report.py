"""A visitor's requests as one HTML file that stands alone: Plotly inside, no network, no pixels. Pure, but for `RequestReport`.

The file has several megabytes, so it is not put into the page: it is written when asked for, under a name nobody can guess, and
deleted with the visitor.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from gradio.utils import get_upload_folder
from plotly.offline import get_plotlyjs

from core.errors import InputError
from demo import charts, texts
from demo.markup import escape
from demo.rows import ranges

if TYPE_CHECKING:
    from core.receipts import Receipt
    from demo.handlers import Handlers
    from demo.session import Lab, Measurement, Request

NAME = "lmeraser-report.html"
STYLE = """
:root { color-scheme: light dark; --ink: #15242b; --soft: #51636b; --line: #dbe3e4; --sheet: #fff; --accent: #0b6e69; --bad: #a3262f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eeee; --soft: #9db0b5; --line: #2c3d42; --sheet: #121b1e; --accent: #54c5b8;
  --bad: #ff9c9c; } }
body { margin: 0 auto; max-width: 900px; padding: 32px 20px 64px; font: 15px/1.55 "IBM Plex Sans", ui-sans-serif, system-ui, sans-serif;
  color: var(--ink); background: var(--sheet); }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; } h2 { font-size: 18px; margin: 36px 0 8px; } p { margin: 6px 0; }
.soft { color: var(--soft); } .badge { display: inline-block; padding: 3px 10px; border: 1px solid var(--line); border-radius: 99px; }
.verdict { font-weight: 700; } .equal { color: var(--accent); } .different { color: var(--bad); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 12px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--soft); font-size: 13.5px; } th[scope=row] { width: 34%; }
code, pre { font: 12.5px/1.5 "IBM Plex Mono", ui-monospace, Menlo, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
"""


class RequestReport:
    """The event that writes a visitor's report, for the handlers of one page."""

    def __init__(self, page: Handlers):
        self.page = page

    def make(self, token: str | None) -> dict[str, Any]:
        """Write the report of a visitor's requests where the page may fetch it; raises InputError when there are none."""
        visitor = self.page._guest(token)
        if not visitor.requests:
            raise InputError(texts.NOTHING_FORGOTTEN)
        visitor.rate.count()
        content = report(tuple(visitor.requests), self.page.lab)
        path = Path(get_upload_folder()).resolve() / secrets.token_hex(32) / NAME
        path.parent.mkdir(parents=True, mode=0o700)
        path.write_text(content, encoding="utf-8")
        visitor.keep_file(path)
        return {"report_file": str(path)}


def report(requests: Sequence[Request], lab: Lab) -> str:
    """Return the whole document: the last request at length, then all of them, their receipts and what they depend on."""
    last = requests[-1]
    sections = [
        (texts.REPORT_FORGOTTEN, _forgotten(last)),
        (texts.REPORT_ACCURACY, _accuracy(last)),
        (texts.REPORT_TIME, _time(last, lab.measured)),
        (texts.REPORT_PROOF, _proof(last)),
        (texts.REPORT_ALL, _all(requests)),
        (texts.REPORT_MACHINE, _circumstances(last, lab)),
        (texts.REPORT_RECEIPTS, _receipts(requests)),
    ]
    written = f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC"
    return _document(texts.report_title(len(last.rows)), texts.report_lead(lab.engine.name, written), sections)


def _document(title: str, lead: str, sections: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<section><h2>{escape(heading)}</h2>{content}</section>" for heading, content in sections)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script></head>"
        f'<body><h1>{escape(title)}</h1><p class="soft">{escape(lead)}</p>{body}</body></html>'
    )


def _figure(figure: go.Figure, words: str) -> str:
    config = {"displayModeBar": False, "responsive": True}
    drawn = figure.to_html(full_html=False, include_plotlyjs=False, config=config)
    return f'<div role="img" aria-label="{escape(words)}">{drawn}</div>'


def _table(rows: Iterable[Sequence[Any]], head: Sequence[str] = ()) -> str:
    """A table; without a head, each row's first cell is its heading."""
    top = "<tr>" + "".join(f"<th>{escape(h)}</th>" for h in head) + "</tr>" if head else ""
    first = "td" if head else "th scope=row"
    cells = lambda row: f"<{first}>{escape(row[0])}</{first[:2]}>" + "".join(f"<td>{escape(v)}</td>" for v in row[1:])  # noqa: E731
    return f'<div class="wide"><table>{top}{"".join(f"<tr>{cells(row)}</tr>" for row in rows)}</table></div>'


def _sentence(words: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(words)}</p>' if kind else f"<p>{escape(words)}</p>"


def _forgotten(request: Request) -> str:
    s = request.summary
    return _table(
        (
            (texts.REPORT_IMAGES, texts.count(len(request.rows), "image")),
            (texts.REPORT_NUMBERS, ranges(request.rows).replace(",", ", ")),
            (texts.REPORT_CLUSTERS, texts.of(len(request.outcome.trained), s["clusters_total"])),
            (texts.REPORT_UNTOUCHED, texts.untouched(*request.untouched)),
            (texts.REPORT_SAMPLES, texts.of(s["samples_to_retrain"], s["samples_total"])),
            (texts.REPORT_COPIES, f"{s['copies_left']:,}"),
        )
    )


def _accuracy(request: Request) -> str:
    old, new = request.before.per_class, request.after.per_class
    names = [name for name, score in new.items() if score.n and name in old]
    changes = [100 * (new[n].accuracy - old[n].accuracy) for n in names]
    pairs = ((k, getattr(request.before, k), getattr(request.after, k)) for k in ("test", "retained", "forgotten"))
    rows = [
        (texts.ACCURACY[k], texts.percent(b.accuracy), texts.percent(a.accuracy), texts.count(a.n, "image"))
        for k, b, a in pairs
        if b and a and b.n and a.n
    ]
    per_class = [(n, texts.percent(old[n].accuracy), texts.percent(new[n].accuracy)) for n in names]
    return (
        _table(rows, texts.REPORT_ACCURACY_HEAD)
        + _figure(charts.class_changes(names, changes), texts.CHART_CLASSES)
        + _table(per_class, texts.REPORT_CLASS_HEAD)
    )


def _time(request: Request, measured: Measurement | None) -> str:
    taken = request.outcome.seconds.total
    full = request.full.outcome.seconds.total if request.full else measured.seconds if measured else None
    here = request.full is not None or bool(measured and measured.here)
    badge = texts.measured(full, measured.day if measured else "", here) if full else texts.NOT_MEASURED
    chart = _figure(charts.times(taken, full), texts.CHART_TIME) if full else ""
    passes = _sentence(texts.passes(request.outcome.sample_passes, request.full.outcome.sample_passes)) if request.full else ""
    return _sentence(texts.headline(len(request.rows), taken, full)) + chart + passes + _sentence(badge, "badge")


def _proof(request: Request) -> str:
    verdict = "open" if request.full is None else "equal" if request.full.equal else "different"
    title, info = texts.VERDICTS[verdict]
    roots = (
        (texts.ROOT_BEFORE, request.outcome.root_before),
        (texts.ROOT_AFTER, request.outcome.root_after),
        (texts.ROOT_CLEAN, request.full.root if request.full else texts.NOT_RUN),
    )
    return _sentence(title, f"verdict {verdict}") + _sentence(info) + _table(roots) + _sentence(texts.REPORT_LIMITS, "soft")


def _all(requests: Sequence[Request]) -> str:
    rows = [
        (
            number,
            f"{len(r.rows):,}",
            texts.of(len(r.outcome.trained), r.summary["clusters_total"]),
            f"{r.outcome.sample_passes:,}",
            texts.seconds(r.outcome.seconds.total),
            f"{r.outcome.root_after[:16]}…",
        )
        for number, r in zip(_numbers(requests), requests, strict=True)
    ]
    seconds = [r.outcome.seconds.total for r in requests]
    chart = _figure(charts.each_request(_numbers(requests), seconds), texts.CHART_REQUESTS) if len(requests) > 1 else ""
    total = texts.ledger_total(len(requests), sum(len(r.rows) for r in requests), sum(seconds), None)
    return _sentence(total) + chart + _table(rows, texts.REPORT_ALL_HEAD)


def _numbers(requests: Sequence[Request]) -> list[int]:
    return [r.receipt.request if r.receipt else n for n, r in enumerate(requests, 1)]


def _circumstances(request: Request, lab: Lab) -> str:
    receipt = request.receipt
    versions = receipt.versions.items() if receipt else ()
    return _table(
        (
            (texts.REPORT_MODEL, lab.engine.name),
            *([(texts.REPORT_SEED, receipt.seed), (texts.REPORT_BACKBONE, receipt.backbone)] if receipt else ()),
            *((f"{texts.REPORT_VERSION} {name}", value) for name, value in versions),
            *((f"{texts.REPORT_HARDWARE} {name}", value) for name, value in lab.engine.facts().items()),
        )
    )


def _receipts(requests: Sequence[Request]) -> str:
    found = [r.receipt for r in requests if r.receipt]
    return _sentence(texts.REPORT_RECEIPTS_INFO, "soft") + "".join(_receipt(r) for r in found)


def _receipt(receipt: Receipt) -> str:
    text = escape(json.dumps(receipt.to_json(), indent=1))
    return f"<details><summary>{escape(texts.receipt_title(receipt.request))}</summary><pre>{text}</pre></details>"
