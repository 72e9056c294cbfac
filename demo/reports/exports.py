"""Exports finished requests as JSON or CSV, with everything needed to repeat them: seed, roots, preset, versions, hardware, receipt."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from demo import texts
from demo.session.verdict import method_kind

if TYPE_CHECKING:
    from core.benchmarks.metrics import EvaluationReport
    from demo.session.lab import Lab
    from demo.session.requests import Request
    from demo.session.verdict import Verdict

    VerdictOf = Callable[[Request], Verdict]

Row = tuple[Any, Any, Any, str]
CSV_HEAD = ("request", "measure", "before", "after", "unit")


def record(request: Request, lab: Lab, verdict: Verdict) -> dict[str, Any]:
    """Return all measurements and the verdict as plain values. Sample numbers only: no pixels, no ids."""
    outcome, receipt = request.outcome, request.receipt
    return {
        "model": lab.engine.name,
        "request": receipt.request if receipt else None,
        "rows": list(request.rows),
        "plan": request.summary,
        "seconds": asdict(outcome.seconds) | {"total": outcome.seconds.total},
        "sample_passes": outcome.sample_passes,
        "root": {"before": outcome.root_before, "after": outcome.root_after},
        "accuracy": {"before": request.before.accuracies(), "after": request.after.accuracies()},
        "per_class": {"before": _by_class(request.before), "after": _by_class(request.after)},
        "untouched_clusters": {"same": request.untouched[0], "of": request.untouched[1]},
        "full": _full(request, verdict),
        "proof": {"verdict": verdict.kind, "words": f"{verdict.title}. {verdict.info}", "problems": list(verdict.problems)},
        "comparison": {"when": request.compared_at, "methods": [_named(row, verdict) for row in request.compared]}
        if request.compared
        else None,
        "membership": {k: v for k, v in request.audit.items() if k != "scores"} if request.audit else None,  # the scores fill megabytes
        "residue": request.residue,
        "classes_without_images": list(request.emptied),
        "seed": receipt.seed if receipt else None,
        "versions": receipt.versions if receipt else {},
        "machine": lab.engine.facts(),
        "receipt": receipt.hash if receipt else None,  # the receipt itself is on the ledger's tab: it names every commitment
    }


def files(requests: Sequence[Request], lab: Lab, verdict_of: VerdictOf) -> tuple[tuple[str, str, str, str], ...]:
    """Return (file name, media type, content, words for the link) of one request's results, or of several in one file."""
    several = len(requests) > 1
    content = [record(r, lab, verdict_of(r)) for r in requests] if several else record(requests[0], lab, verdict_of(requests[0]))
    stem = "lmeraser-results" if several else "lmeraser-result"
    words = texts.DOWNLOADS["all" if several else "one"]
    return (
        (f"{stem}.json", "application/json", json.dumps(content, indent=1), words[0]),
        (f"{stem}.csv", "text/csv", as_csv(requests, lab, verdict_of), words[1]),
    )


def as_csv(requests: Sequence[Request], lab: Lab, verdict_of: VerdictOf) -> str:
    """Return one figure a line: accuracies and times, what comparison, membership test and scan found, then seed, versions and hardware."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_HEAD)
    for number, request in enumerate(requests, 1):
        number = request.receipt.request if request.receipt else number
        writer.writerows((number, *row) for row in _figures(request))
        writer.writerows((number, *row) for row in _studies(request, verdict_of(request)))
        writer.writerows((number, *row) for row in _circumstances(request, lab, verdict_of(request)))
    return out.getvalue()


def _figures(request: Request) -> Iterator[Row]:
    before, after = request.before.accuracies(), request.after.accuracies()
    yield from ((f"accuracy {group}", before[group], after[group], "share") for group in before)
    before, after = _by_class(request.before), _by_class(request.after)
    yield from ((f"accuracy test class {name}", before[name], after[name], "share") for name in before if name in after)
    yield ("images forgotten", "", len(request.rows), "images")
    yield ("request", "", request.outcome.seconds.total, "s")
    yield ("sample passes", "", request.outcome.sample_passes, "passes")
    if request.clean:
        yield ("full retraining", "", request.clean.seconds, "s")
        yield ("root of full retraining", "", request.clean.root, "SHA-256")


def _studies(request: Request, verdict: Verdict) -> Iterator[Row]:
    """Yield what was found out about a request since: other methods on it, attacks on the model before, after and retrained, residue."""
    for row in request.compared:
        name = f"comparison {row['method']}"
        yield (f"{name} guarantee", "", method_kind(row, verdict), "")
        yield (f"{name} time", "", row["seconds"]["total"], "s")
        yield (f"{name} sample passes", "", row["sample_passes"], "passes")
        yield from ((f"{name} accuracy {group}", "", value, "share") for group, value in row["accuracy"].items())
        yield (f"{name} attack score", "", row["attack"]["auc"], "AUC")
    if request.audit:
        scores = {(r["attack"], r["model"]): r["auc"] for r in request.audit["results"]}
        for attack in dict.fromkeys(attack for attack, _ in scores):
            yield (f"membership {attack}", scores.get((attack, "before")), scores.get((attack, "after")), "AUC")
            yield (f"membership {attack} control", "", scores.get((attack, "control")), "AUC")
        yield ("membership verdict", "", request.audit["verdict"], "")
    if request.residue:
        yield ("residue found", "", len(request.residue["found"]), "places")
        yield ("residue not readable", "", len(request.residue["unread"]), "files")


def _circumstances(request: Request, lab: Lab, verdict: Verdict) -> Iterator[Row]:
    yield ("proof", "", verdict.kind, "")
    yield from (("proof problem", "", problem, "") for problem in verdict.problems)
    yield ("root", request.outcome.root_before, request.outcome.root_after, "SHA-256")
    yield ("model", "", lab.engine.name, "")
    if request.receipt:
        yield ("seed", "", request.receipt.seed, "")
        yield from ((f"version {name}", "", value, "") for name, value in request.receipt.versions.items())
        yield ("receipt", "", request.receipt.hash, "SHA-256")
    yield from ((f"hardware {name}", "", value, "") for name, value in lab.engine.facts().items())


def _named(row: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    """Return a comparison's row with what its method may be called."""
    return {**row, "guarantee": method_kind(row, verdict)}


def _by_class(report: EvaluationReport) -> dict[str, float | None]:
    """Return the accuracy on the test images of each class that has some."""
    return {name: score.accuracy for name, score in report.per_class.items() if score.n}


def _full(request: Request, verdict: Verdict) -> dict[str, Any] | None:
    """Return full retraining's figures; `equal` is null where equal roots prove nothing."""
    if request.clean is None:
        return None
    equal = {"equal": True, "different": False}.get(verdict.kind)
    return {"seconds": request.clean.seconds, "sample_passes": request.full_passes, "root": request.clean.root, "equal": equal}
