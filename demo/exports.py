"""A finished request as JSON or CSV, with what lets others repeat it: roots, preset, versions, hardware."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.session import Lab, Request


def record(request: Request, lab: Lab) -> dict[str, Any]:
    """Return everything measured, as plain values. Sample numbers only: no pixels, no ids."""
    outcome = request.outcome
    return {
        "model": lab.engine.name,
        "rows": list(request.rows),
        "plan": request.summary,
        "seconds": asdict(outcome.seconds) | {"total": outcome.seconds.total},
        "sample_passes": outcome.sample_passes,
        "root": {"before": outcome.root_before, "after": outcome.root_after},
        "accuracy": {"before": _accuracy(request.before), "after": _accuracy(request.after)},
        "untouched_clusters": {"same": request.untouched[0], "of": request.untouched[1]},
        "full": _full(request),
        "machine": lab.engine.facts(),
    }


def as_json(request: Request, lab: Lab) -> str:
    """Return the record as indented JSON."""
    return json.dumps(record(request, lab), indent=1)


def as_csv(request: Request) -> str:
    """Return accuracies and times, one figure a line."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("measure", "before", "after", "unit"))
    before, after = _accuracy(request.before), _accuracy(request.after)
    writer.writerows((f"accuracy {group}", before[group], after[group], "share") for group in before if group in after)
    writer.writerow(("request", "", request.outcome.seconds.total, "s"))
    if request.full:
        writer.writerow(("full retraining", "", request.full.outcome.seconds.total, "s"))
    return out.getvalue()


def _accuracy(report: Any) -> dict[str, float]:
    groups = {name: getattr(report, name) for name in ("test", "retained", "forgotten")}
    return {name: score.accuracy for name, score in groups.items() if score is not None}


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
