"""A finished request as JSON or CSV, with seed-free facts that let others repeat it: roots, preset, versions, hardware."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.session import Lab, Request


def as_json(request: Request, lab: Lab) -> str:
    """Return everything measured, as indented JSON. Sample numbers only: no pixels, no ids."""
    return json.dumps(
        {
            "model": lab.engine.name,
            "rows": list(request.rows),
            "plan": request.summary,
            "seconds": asdict(request.outcome.seconds) | {"total": request.outcome.seconds.total},
            "sample_passes": request.outcome.sample_passes,
            "root": {"before": request.outcome.root_before, "after": request.outcome.root_after},
            "accuracy": {"before": _accuracy(request.before), "after": _accuracy(request.after)},
            "full": _full(request),
            "machine": lab.engine.facts(),
        },
        indent=1,
    )


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
    return {"seconds": outcome.seconds.total, "sample_passes": outcome.sample_passes, "root": request.full.root, "equal": request.full.equal}
