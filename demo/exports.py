"""Finished requests as JSON or CSV, with what lets others repeat them: seed, roots, preset, versions, hardware, receipt."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from demo import texts

if TYPE_CHECKING:
    from demo.session import Lab, Request

Row = tuple[Any, Any, Any, str]
CSV_HEAD = ("request", "measure", "before", "after", "unit")


def record(request: Request, lab: Lab) -> dict[str, Any]:
    """Return everything measured, as plain values. Sample numbers only: no pixels, no ids."""
    outcome, receipt = request.outcome, request.receipt
    return {
        "model": lab.engine.name,
        "request": receipt.request if receipt else None,
        "rows": list(request.rows),
        "plan": request.summary,
        "seconds": asdict(outcome.seconds) | {"total": outcome.seconds.total},
        "sample_passes": outcome.sample_passes,
        "root": {"before": outcome.root_before, "after": outcome.root_after},
        "accuracy": {"before": _accuracy(request.before), "after": _accuracy(request.after)},
        "per_class": {"before": _per_class(request.before), "after": _per_class(request.after)},
        "untouched_clusters": {"same": request.untouched[0], "of": request.untouched[1]},
        "full": _full(request),
        "seed": receipt.seed if receipt else None,
        "versions": receipt.versions if receipt else {},
        "machine": lab.engine.facts(),
        "receipt": receipt.hash if receipt else None,  # the receipt itself is on the ledger's tab: it names every commitment
    }


def files(requests: Sequence[Request], lab: Lab) -> tuple[tuple[str, str, str, str], ...]:
    """Return (file name, media type, content, words for the link) of one request's results, or of several in one file."""
    several = len(requests) > 1
    content = [record(r, lab) for r in requests] if several else record(requests[0], lab)
    stem = "lmeraser-results" if several else "lmeraser-result"
    words = texts.DOWNLOADS["all" if several else "one"]
    return (
        (f"{stem}.json", "application/json", json.dumps(content, indent=1), words[0]),
        (f"{stem}.csv", "text/csv", as_csv(requests, lab), words[1]),
    )


def as_csv(requests: Sequence[Request], lab: Lab) -> str:
    """Return one figure a line: accuracies and times, then what they depend on."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_HEAD)
    for number, request in enumerate(requests, 1):
        number = request.receipt.request if request.receipt else number
        writer.writerows((number, *row) for row in _figures(request))
        writer.writerows((number, *row) for row in _circumstances(request, lab))
    return out.getvalue()


def _figures(request: Request) -> Iterator[Row]:
    before, after = _accuracy(request.before), _accuracy(request.after)
    yield from ((f"accuracy {group}", before[group], after[group], "share") for group in before if group in after)
    before, after = _per_class(request.before), _per_class(request.after)
    yield from ((f"accuracy test class {name}", before[name], after[name], "share") for name in before if name in after)
    yield ("images forgotten", "", len(request.rows), "images")
    yield ("request", "", request.outcome.seconds.total, "s")
    yield ("sample passes", "", request.outcome.sample_passes, "passes")
    if request.full:
        yield ("full retraining", "", request.full.outcome.seconds.total, "s")
        yield ("root of full retraining", "", request.full.root, "SHA-256")


def _circumstances(request: Request, lab: Lab) -> Iterator[Row]:
    yield ("root", request.outcome.root_before, request.outcome.root_after, "SHA-256")
    yield ("model", "", lab.engine.name, "")
    if request.receipt:
        yield ("seed", "", request.receipt.seed, "")
        yield from ((f"version {name}", "", value, "") for name, value in request.receipt.versions.items())
        yield ("receipt", "", request.receipt.hash, "SHA-256")
    yield from ((f"hardware {name}", "", value, "") for name, value in lab.engine.facts().items())


def _accuracy(report: Any) -> dict[str, float]:
    groups = {name: getattr(report, name) for name in ("test", "retained", "forgotten")}
    return {name: score.accuracy for name, score in groups.items() if score is not None}


def _per_class(report: Any) -> dict[str, float]:
    return {name: score.accuracy for name, score in report.per_class.items() if score.n}


def _full(request: Request) -> dict[str, Any] | None:
    if request.full is None:
        return None
    outcome = request.full.outcome
    return {
        "seconds": outcome.seconds.total,
        "sample_passes": outcome.sample_passes,
        "root": request.full.root,
        "equal": request.full.equal,
    }
