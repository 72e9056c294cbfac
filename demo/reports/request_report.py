"""A visitor's requests as one HTML file that stands alone: Plotly inside, no network, no pictures. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from demo import texts
from demo.reports.bench_report import document, figure, pairs, paragraph, section, table
from demo.selection.numbers import ranges
from demo.session.verdict import method_kind
from demo.view import charts
from demo.view.render import render

if TYPE_CHECKING:
    from core.workspace.receipts import Receipt
    from demo.session.lab import Lab
    from demo.session.requests import Measurement, Request
    from demo.session.verdict import Verdict


def report(requests: Sequence[Request], lab: Lab, verdict_of: Callable[[Request], Verdict], cancelled: int = 0) -> str:
    """Return the document: the last request in detail with what was found out since, all requests, how many were cancelled, receipts."""
    last, verdict = requests[-1], verdict_of(requests[-1])
    sections = [
        (texts.REPORT_FORGOTTEN, _forgotten(last)),
        (texts.REPORT_ACCURACY, _accuracy(last)),
        (texts.REPORT_TIME, _time(last, lab.measured, verdict)),
        (texts.REPORT_PROOF, _proof(last, verdict, lab.selftest)),
        (texts.REPORT_COMPARE, _comparison(last, verdict, lab)),
        (texts.REPORT_MEMBERSHIP, _membership(last)),
        (texts.REPORT_RESIDUE, _residue(last)),
        (texts.REPORT_ALL, _all(requests, verdict_of, cancelled)),
        (texts.REPORT_MACHINE, _circumstances(last, lab)),
        (texts.REPORT_RECEIPTS, _receipts(requests)),
    ]
    written = f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC"
    lead = paragraph(texts.report_lead(lab.engine.name, written))
    return document(
        texts.report_title(len(last.rows), verdict.kind), [lead, *(section(title, "", content) for title, content in sections if content)]
    )


def _forgotten(request: Request) -> Markup:
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


def _accuracy(request: Request) -> Markup:
    old, new = request.before.per_class, request.after.per_class
    both = [(name, old[name].accuracy, score.accuracy) for name, score in new.items() if name in old]
    known = [(name, b, a) for name, b, a in both if b is not None and a is not None]
    groups = ((k, getattr(request.before, k), getattr(request.after, k)) for k in ("test", "retained", "forgotten"))
    rows = [
        (texts.ACCURACY[k], texts.percent(b.accuracy), texts.percent(a.accuracy), texts.count(a.n, "image"))
        for k, b, a in groups
        if b and a and b.n and a.n
    ]
    per_class = [(name, texts.percent(b), texts.percent(a)) for name, b, a in known]
    return (
        table(texts.REPORT_ACCURACY_HEAD, rows, texts.REPORT_ACCURACY)
        + figure(charts.class_changes([k[0] for k in known], [100 * (a - b) for _, b, a in known]), texts.CHART_CLASSES)
        + table(texts.REPORT_CLASS_HEAD, per_class, texts.CHART_CLASSES)
    )


def _time(request: Request, measured: Measurement | None, verdict: Verdict) -> Markup:
    taken = request.outcome.seconds.total
    full = request.full_seconds(measured)
    if request.clean:
        badge = texts.measured(request.clean.seconds, "", True)
    elif measured:
        badge = texts.estimated(measured.seconds, measured.day, measured.here, measured.samples, request.outcome.samples)
    else:
        badge = texts.NOT_MEASURED
    chart = figure(charts.times(taken, full), texts.CHART_TIME) if full else Markup("")
    passes = paragraph(texts.passes(request.outcome.sample_passes, request.full_passes)) if request.clean else Markup("")
    headline = texts.headline(len(request.rows), taken, full, request.clean is not None, verdict.kind)
    return paragraph(headline) + chart + passes + paragraph(badge, "badge")


def _proof(request: Request, verdict: Verdict, selftest: Any) -> Markup:
    roots = {
        texts.ROOT_BEFORE: request.outcome.root_before or texts.NOT_RUN,
        texts.ROOT_AFTER: request.outcome.root_after,
        texts.ROOT_CLEAN: request.clean.root if request.clean else texts.NOT_RUN,
    }
    notes = [*verdict.problems, *([texts.emptied(request.emptied)] if request.emptied else []), texts.basis(selftest), texts.REPORT_LIMITS]
    said = paragraph(verdict.title, f"verdict {verdict.kind}") + paragraph(verdict.info)
    return said + pairs(roots) + Markup("").join(map(paragraph, notes))


def _comparison(request: Request, verdict: Verdict, lab: Lab) -> Markup:
    """Return the comparison with other methods; nothing where none was run."""
    if not request.compared:
        return Markup("")
    rows = [
        (texts.METHODS[row["method"]][0], texts.KINDS[method_kind(row, verdict)], *map(_figure, texts.method_cells(row)))
        for row in request.compared
    ]
    badge = paragraph(texts.compare_badge(lab.engine.facts(), request.compared_at), "badge")
    added = texts.clusters_add(request.compared)
    return table(texts.COMPARE_HEAD, rows, texts.COMPARE_CAPTION) + (paragraph(added) if added else Markup("")) + badge


def _membership(request: Request) -> Markup:
    """Return the membership test; nothing where none was run."""
    record = request.audit
    if not record:
        return Markup("")
    cells = [texts.audit_cells(r) for r in texts.audit_shown(record)]
    rows = [(f"{model}: {attack}", *map(_figure, figures), verdict) for attack, model, *figures, verdict in cells]
    lines = [texts.audit_summary(record), texts.audit_scores(record)]
    said = Markup("").join(paragraph(line) for line in lines if line)
    return said + table(texts.AUDIT_HEAD, rows, texts.AUDIT_CAPTION) + Markup("").join(map(paragraph, texts.audit_notes(record)))


def _residue(request: Request) -> Markup:
    """Return the search for residue; nothing where none was run."""
    record = request.residue
    if not record:
        return Markup("")
    said = [texts.residue_title(record), *texts.residue_summary(record)]
    return Markup("").join(map(paragraph, said)) + table(texts.RESIDUE_HEAD, texts.residue_rows(record), texts.RESIDUE_CAPTION)


def _figure(cell: tuple[str, str]) -> str:
    """Return a figure with its small second line in brackets."""
    value, more = cell
    return f"{value} ({more})" if more else value


def _all(requests: Sequence[Request], verdict_of: Callable[[Request], Verdict], cancelled: int) -> Markup:
    rows = [
        (
            number,
            f"{len(r.rows):,}",
            texts.of(len(r.outcome.trained), r.summary["clusters_total"]),
            f"{r.outcome.sample_passes:,}",
            texts.seconds(r.outcome.seconds.total),
            f"{r.outcome.root_after[:16]}…",
            verdict_of(r).title,
        )
        for number, r in zip(_numbers(requests), requests, strict=True)
    ]
    seconds = [r.outcome.seconds.total for r in requests]
    chart = figure(charts.each_request(_numbers(requests), seconds), texts.CHART_REQUESTS) if len(requests) > 1 else Markup("")
    total = texts.ledger_total(len(requests), sum(len(r.rows) for r in requests), sum(seconds), None)
    return paragraph(f"{total} {texts.withdrawn(cancelled)}".strip()) + chart + table(texts.REPORT_ALL_HEAD, rows, texts.REPORT_ALL)


def _numbers(requests: Sequence[Request]) -> list[int]:
    return [r.receipt.request if r.receipt else n for n, r in enumerate(requests, 1)]


def _circumstances(request: Request, lab: Lab) -> Markup:
    receipt = request.receipt
    made = {texts.REPORT_SEED: str(receipt.seed), texts.REPORT_BACKBONE: receipt.backbone} if receipt else {}
    versions = {f"{texts.REPORT_VERSION} {name}": value for name, value in receipt.versions.items()} if receipt else {}
    hardware = {f"{texts.REPORT_HARDWARE} {name}": value for name, value in lab.engine.facts().items()}
    return pairs({texts.REPORT_MODEL: lab.engine.name, **made, **versions, **hardware})


def _receipts(requests: Sequence[Request]) -> Markup:
    found = [r.receipt for r in requests if r.receipt]
    return paragraph(texts.REPORT_RECEIPTS_INFO) + Markup("").join(_receipt(r) for r in found)


def _receipt(receipt: Receipt) -> Markup:
    return render("report", "receipt", title=texts.receipt_title(receipt.request), text=json.dumps(receipt.to_json(), indent=1))
