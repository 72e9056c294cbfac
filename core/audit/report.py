"""Audits the approximate methods after the same request, and writes audits as tables.

Trains the methods of `core.benchmarks.baselines`; the attacks are those of `core.audit.membership`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from core.audit.membership import AuditSettings, audit_models
from core.benchmarks.baselines import CHANGES, build_methods
from core.benchmarks.baselines.method import OnEraser
from core.data.samples import Samples
from core.lmeraser.eraser import LMEraser
from core.runtime.determinism import hardware
from core.runtime.progress import ProgressCallback

CONTROL = "one prompt"


def audit_approximate(
    eraser: LMEraser,
    ids: Sequence[str],
    held_out: Samples,
    settings: AuditSettings,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> list[dict[str, Any]]:
    """Attack the approximate methods after the same request; return one plain record for each attack and model.

    They change one prompt that is trained on all data, so that model is attacked before the request, too, and the control is one prompt
    retrained without the ids. Its one cluster holds all samples, so each shadow takes as long as training on all of them.
    """
    methods = [m for m in build_methods(eraser, [CONTROL, *CHANGES]) if isinstance(m, OnEraser)]
    before = methods[0].eraser.fork()
    for method in methods:
        method.forget(ids)
    after = {"control" if m.name == CONTROL else m.name: m.eraser for m in methods}
    models = {"before": before, **after}
    return [r.to_json() for r in audit_models(before, models, ids, held_out, settings, progress, cancel)]


COLUMNS = (
    "method",
    "attack",
    "model",
    "forgotten",
    "others",
    "AUC",
    "TPR at FPR",
    "AUC less the controls'",
    "TPR less the controls'",
    "verdict",
)


def markdown_table(record: dict[str, Any]) -> str:
    """Return an audit's record as a Markdown table: LMEraser's rows, then those of the approximate methods if they were attacked."""
    rows = [("LMEraser", r) for r in record["results"]] + [(CONTROL, r) for r in record.get("approximate", ())]
    lines = [COLUMNS, ("---",) * len(COLUMNS), *((name, *_cells(r)) for name, r in rows)]
    machine = ", ".join(f"{k} {v}" for k, v in hardware().items())
    facts = f"{record['dataset']}, {record['samples']} samples, {record['forgotten']} forgotten, {record['shadows']} shadows a cluster"
    facts += f", {record['controls']} controls, margin {record['margin']['auc']:g} of AUC. The model after: {record['verdict']}"
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + f"\n\n{facts}; seed {record['seed']}. {machine}.\n"


def _cells(row: dict) -> tuple[str, ...]:
    rate = row["false_positive_rate"]
    found = "–" if rate is None else f"{_with_interval(row, 'true_positive')} at {rate:g}"
    counts = str(row["members"]), str(row["non_members"])
    gaps = (_with_interval(row, name) for name in ("difference", "true_positive_difference"))
    return row["attack"], row["model"], *counts, _with_interval(row, "auc"), found, *gaps, row["verdict"] or "–"


def _with_interval(row: dict, name: str) -> str:
    value, interval = row[f"{name}_rate" if name == "true_positive" else name], row[f"{name}_interval"]
    return "–" if value is None else f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
