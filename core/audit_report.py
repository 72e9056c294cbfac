"""The audit of the approximate methods, and audits as tables. Trains the methods of `core.baselines`; the attacks are `core.audit`'s."""

from __future__ import annotations

import threading

from core.audit import audit_models
from core.baselines import CHANGES, build_methods
from core.environment import hardware
from core.eraser import LMEraser
from core.types import ProgressCallback, Samples

CONTROL = "one prompt"


def audit_approximate(
    eraser: LMEraser,
    ids,
    held_out: Samples,
    shadows: int = 16,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> list[dict]:
    """Attack the approximate methods after the same request as they are; return one plain record for each attack and model.

    They change one prompt on all data, so that model before the request is attacked, too, and the control is one prompt retrained
    without the ids. Its one cluster holds all samples: a shadow takes as long as training it on half of them.
    """
    methods = build_methods(eraser, [CONTROL, *CHANGES])
    before = methods[0].eraser.fork()
    for method in methods:
        method.forget(ids)
    after = {"control" if m.name == CONTROL else m.name: m.eraser for m in methods}
    return [r.to_json() for r in audit_models(before, {"before": before, **after}, ids, held_out, shadows, seed, progress, cancel)]


COLUMNS = ("method", "attack", "model", "forgotten", "others", "AUC", "TPR at FPR", "AUC less the control's", "verdict")


def markdown_table(record: dict) -> str:
    """Return an audit's record as a Markdown table: LMEraser's rows, then those of the approximate methods if they were attacked."""
    rows = [("LMEraser", r) for r in record["results"]] + [(CONTROL, r) for r in record.get("approximate", ())]
    lines = [COLUMNS, ("---",) * len(COLUMNS), *((name, *_cells(r)) for name, r in rows)]
    machine = ", ".join(f"{k} {v}" for k, v in hardware().items())
    facts = f"{record['dataset']}, {record['samples']} samples, {record['forgotten']} forgotten, {record['shadows']} shadows a cluster"
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + f"\n\n{facts}, seed {record['seed']}. {machine}.\n"


def _cells(row: dict) -> tuple[str, ...]:
    rate = row["false_positive_rate"]
    found = "–" if rate is None else f"{_with_interval(row, 'true_positive')} at {rate:g}"
    counts = str(row["members"]), str(row["non_members"])
    return row["attack"], row["model"], *counts, _with_interval(row, "auc"), found, _with_interval(row, "difference"), row["verdict"] or "–"


def _with_interval(row: dict, name: str) -> str:
    value, interval = row[f"{name}_rate" if name == "true_positive" else name], row[f"{name}_interval"]
    return "–" if value is None else f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
