"""A visitor's requests as one HTML file that stands alone: Plotly inside, no network, no pixels. Pure, but for `RequestReport`.

The file has several megabytes, so it is not put into the page: it is written when asked for, under a name nobody can guess, and
deleted with the visitor.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradio.utils import get_upload_folder

from core.errors import InputError
from demo import charts, texts
from demo.report import document, escape, figure, pairs, paragraph, section, table
from demo.rows import ranges

if TYPE_CHECKING:
    from core.receipts import Receipt
    from demo.handlers import Handlers
    from demo.session import Lab, Measurement, Request

NAME = "lmeraser-report.html"


class RequestReport:
    """The event that writes a visitor's report, for the handlers of one page."""

    def __init__(self, page: Handlers):
        self.page = page

    def make(self, token: str | None) -> dict[str, Any]:
        """Write the report of a visitor's requests where the page may fetch it; raises InputError when there are none."""
        visitor = self.page.guest(token)
        if not visitor.requests:
            raise InputError(texts.NOTHING_FORGOTTEN)
        visitor.rate.count()
        cancelled = visitor.records.withdrawn() if visitor.records else 0
        content = report(tuple(visitor.requests), self.page.lab, cancelled)
        path = Path(get_upload_folder()).resolve() / secrets.token_hex(32) / NAME
        path.parent.mkdir(parents=True, mode=0o700)
        path.write_text(content, encoding="utf-8")
        visitor.keep_file(path)
        return {"report_file": str(path)}


def report(requests: Sequence[Request], lab: Lab, cancelled: int = 0) -> str:
    """Return the whole document: the last request at length, then all of them, and how many more were cancelled, and their receipts."""
    last = requests[-1]
    sections = [
        (texts.REPORT_FORGOTTEN, _forgotten(last)),
        (texts.REPORT_ACCURACY, _accuracy(last)),
        (texts.REPORT_TIME, _time(last, lab.measured)),
        (texts.REPORT_PROOF, _proof(last)),
        (texts.REPORT_ALL, _all(requests, cancelled)),
        (texts.REPORT_MACHINE, _circumstances(last, lab)),
        (texts.REPORT_RECEIPTS, _receipts(requests)),
    ]
    written = f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC"
    lead = paragraph(texts.report_lead(lab.engine.name, written))
    return document(texts.report_title(len(last.rows)), [lead, *(section(title, "", content) for title, content in sections)])


def _forgotten(request: Request) -> str:
    s = request.summary
    return pairs(
        {
            texts.REPORT_IMAGES: texts.count(len(request.rows), "image"),
            texts.REPORT_NUMBERS: ranges(request.rows).replace(",", ", "),
            texts.REPORT_CLUSTERS: texts.of(len(request.outcome.trained), s["clusters_total"]),
            texts.REPORT_UNTOUCHED: texts.untouched(*request.untouched),
            texts.REPORT_SAMPLES: texts.of(s["samples_to_retrain"], s["samples_total"]),
            texts.REPORT_COPIES: f"{s['copies_left']:,}",
        }
    )


def _accuracy(request: Request) -> str:
    old, new = request.before.per_class, request.after.per_class
    names = [name for name, score in new.items() if score.n and name in old]
    changes = [100 * (new[n].accuracy - old[n].accuracy) for n in names]
    groups = ((k, getattr(request.before, k), getattr(request.after, k)) for k in ("test", "retained", "forgotten"))
    rows = [
        (texts.ACCURACY[k], texts.percent(b.accuracy), texts.percent(a.accuracy), texts.count(a.n, "image"))
        for k, b, a in groups
        if b and a and b.n and a.n
    ]
    per_class = [(n, texts.percent(old[n].accuracy), texts.percent(new[n].accuracy)) for n in names]
    return (
        table(texts.REPORT_ACCURACY_HEAD, rows, texts.REPORT_ACCURACY)
        + figure(charts.class_changes(names, changes), texts.CHART_CLASSES)
        + table(texts.REPORT_CLASS_HEAD, per_class, texts.CHART_CLASSES)
    )


def _time(request: Request, measured: Measurement | None) -> str:
    taken = request.outcome.seconds.total
    full = request.full_seconds(measured)
    if request.full:
        badge = texts.measured(full, "", True)
    elif measured:
        badge = texts.judged(measured.seconds, measured.day, measured.here, measured.samples, request.outcome.samples)
    else:
        badge = texts.NOT_MEASURED
    chart = figure(charts.times(taken, full), texts.CHART_TIME) if full else ""
    passes = paragraph(texts.passes(request.outcome.sample_passes, request.full.outcome.sample_passes)) if request.full else ""
    return paragraph(texts.headline(len(request.rows), taken, full, request.full is not None)) + chart + passes + paragraph(badge, "badge")


def _proof(request: Request) -> str:
    verdict = "open" if request.full is None else "equal" if request.full.equal else "different"
    title, info = texts.VERDICTS[verdict]
    roots = {
        texts.ROOT_BEFORE: request.outcome.root_before,
        texts.ROOT_AFTER: request.outcome.root_after,
        texts.ROOT_CLEAN: request.full.root if request.full else texts.NOT_RUN,
    }
    return paragraph(title, f"verdict {verdict}") + paragraph(info) + pairs(roots) + paragraph(texts.REPORT_LIMITS)


def _all(requests: Sequence[Request], cancelled: int) -> str:
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
    chart = figure(charts.each_request(_numbers(requests), seconds), texts.CHART_REQUESTS) if len(requests) > 1 else ""
    total = texts.ledger_total(len(requests), sum(len(r.rows) for r in requests), sum(seconds), None)
    return paragraph(f"{total} {texts.withdrawn(cancelled)}".strip()) + chart + table(texts.REPORT_ALL_HEAD, rows, texts.REPORT_ALL)


def _numbers(requests: Sequence[Request]) -> list[int]:
    return [r.receipt.request if r.receipt else n for n, r in enumerate(requests, 1)]


def _circumstances(request: Request, lab: Lab) -> str:
    receipt = request.receipt
    made = {texts.REPORT_SEED: str(receipt.seed), texts.REPORT_BACKBONE: receipt.backbone} if receipt else {}
    versions = {f"{texts.REPORT_VERSION} {name}": value for name, value in receipt.versions.items()} if receipt else {}
    hardware = {f"{texts.REPORT_HARDWARE} {name}": value for name, value in lab.engine.facts().items()}
    return pairs({texts.REPORT_MODEL: lab.engine.name, **made, **versions, **hardware})


def _receipts(requests: Sequence[Request]) -> str:
    found = [r.receipt for r in requests if r.receipt]
    return paragraph(texts.REPORT_RECEIPTS_INFO) + "".join(_receipt(r) for r in found)


def _receipt(receipt: Receipt) -> str:
    text = escape(json.dumps(receipt.to_json(), indent=1))
    return f"<details><summary>{escape(texts.receipt_title(receipt.request))}</summary><pre>{text}</pre></details>"
