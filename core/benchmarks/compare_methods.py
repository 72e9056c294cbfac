"""Compares all methods of `baselines` on the same requests, on the same data and machine, in one run.

A row holds one method's seconds, sample passes, FLOPs and accuracies for one request, how well the loss threshold attack still finds
the forget set, and how it compares with a full refit for the same request. `core.benchmarks.flops` says which FLOPs are counted.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from core.benchmarks.baselines import METHODS, Cost, FittedMethods, Method, Questions, build_methods, check_methods
from core.benchmarks.equivalence import AttackResult, Scores, compare
from core.benchmarks.measure import spread
from core.benchmarks.metrics import log_likelihood, score
from core.data.datasets import Dataset
from core.data.samples import Samples
from core.errors import InputError
from core.lmeraser.eraser import LMEraser
from core.runtime.determinism import environment, hardware
from core.runtime.progress import Progress, ProgressCallback, watching

REQUESTS = ("1 random", "10 random", "100 random", "one class", "one subject", "one per cluster")
RETAINED = 300  # retained samples that are scored, drawn at random
REFERENCE = "full refit"
TESTED = 1000  # most test images that a single request is scored on


def request_ids(name: str, eraser: LMEraser, seed: int = 0) -> tuple[str, ...] | None:
    """Return the ids of a request on a fitted model, or None if its data allow no such request; raises InputError for an unknown name."""
    samples, rng = eraser.samples_, np.random.default_rng(seed)
    rows: Sequence[int] | np.ndarray
    if name not in REQUESTS:
        raise InputError(f"request {name!r} is not one of {', '.join(REQUESTS)}.")
    if name.endswith("random"):
        count = int(name.split()[0])
        rows = rng.choice(len(samples), count, replace=False) if count < len(samples) else []
    elif name == "one per cluster":
        rows = [rng.choice(eraser.partition_.members(c)) for c in range(eraser.partition_.clusters)]
    else:
        kinds = samples.labels if name == "one class" else np.array(samples.subjects or ())
        present = np.unique(kinds)
        rows = np.flatnonzero(kinds == rng.choice(present)) if len(present) > 1 else []
    return tuple(samples.ids[r] for r in sorted(rows)) or None


def bench_unlearn(
    data: Dataset,
    eraser: LMEraser,
    methods: Sequence[str] = METHODS,
    requests: Sequence[str] = REQUESTS,
    repeats: int = 1,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> dict:
    """Send each request to a private copy of each method, `repeats` times with other samples; return a record of plain values.

    `eraser` is fitted on `data.train`. Raises InputError for an unknown method or request.
    """
    if repeats < 1:
        raise InputError(f"repeats is {repeats}; give a whole number of at least 1.")
    drawn = [(name, request_ids(name, eraser, seed + r)) for name in requests for r in range(repeats)]
    built = build_methods(eraser, sorted(set(methods), key=_order))
    test = Questions.prepared(eraser, data.test)
    rows: list[dict] = []
    for done, (name, ids) in enumerate(drawn):
        if ids is not None:
            rows += _answer(built, name, ids, test, eraser, seed)
        if progress:
            progress(Progress("requests", done + 1, len(drawn)))
    return {
        "dataset": data.name,
        "samples": len(data.train),
        "clusters": eraser.partition_.clusters,
        "repeats": repeats,
        "seed": seed,
        "left_out": sorted({name for name, ids in drawn if ids is None}, key=list(requests).index),
        "before": [_accuracy_row(m, test) for m in built],
        "rows": rows,
        "hardware": hardware(),
        "versions": environment(eraser.backbone_.device),
    }


def _order(name: str) -> int:
    """Sort controls before the methods that are compared with them."""
    return METHODS.index(name) if name in METHODS else len(METHODS)


def _accuracy_row(method: Method, test: Questions) -> dict:
    return {"method": method.name, "test": _accuracy(method.predict_proba(test), test.samples)}


def _accuracy(proba: np.ndarray, samples: Samples) -> float | None:
    return score(proba.argmax(1) == samples.labels).accuracy


def _answer(built: list[Method], name: str, ids: tuple[str, ...], test: Questions, eraser: LMEraser, seed: int) -> list[dict]:
    """Send one request to all methods and return their rows; verdicts need the control among them, speed-ups full refit."""
    retained, forgotten = _questions(eraser, ids, seed)
    rows, scores = [], {}
    for method in built:
        row, scores[method.name] = _one(method.fork(), ids, test, retained, forgotten)
        rows.append({"request": name, "forgotten_samples": len(ids), **row})
    return _compared(rows, built, scores, seed)


def _questions(eraser: LMEraser, ids: tuple[str, ...], seed: int) -> tuple[Questions, Questions]:
    """Return a sample of the retain set, and the forget set."""
    retain_set = eraser.samples_.without(ids)
    drawn = np.random.default_rng(seed).permutation(len(retain_set))[:RETAINED]
    forget_set = eraser.samples_.take(eraser.samples_.rows(ids))
    return Questions.prepared(eraser, retain_set.take(np.sort(drawn))), Questions.prepared(eraser, forget_set)


def _compared(rows: list[dict], built: Sequence[Method], scores: dict[str, Scores], seed: int) -> list[dict]:
    """Return rows of one request with the figures that compare methods: attack verdicts and speed-ups."""
    seconds = {row["method"]: row["seconds"]["total"] for row in rows}
    passes = next((row["sample_passes"] for row in rows if row["method"] == REFERENCE), None)
    return [
        {
            **row,
            "attack": _attack(method, scores, seed).to_json(),
            "speedup": seconds[REFERENCE] / seconds[row["method"]] if REFERENCE in seconds else None,
            "times_lmeraser": seconds[row["method"]] / seconds["LMEraser"] if "LMEraser" in seconds else None,
            "fewer_passes": passes and passes / max(1, row["sample_passes"]),
        }
        for row, method in zip(rows, built, strict=True)
    ]


@dataclass(frozen=True)
class MethodProgress:
    """How far one method is: `done` of `total` units while it is fitted (stage "fit"), forgets ("forget") or is scored ("score")."""

    method: str
    stage: str
    done: int
    total: int


class Bench:
    """Sends any request on one fitted model to any methods; each method is fitted once, on the samples before the request.

    `eraser` is not changed. Accuracy is measured on at most `TESTED` test samples, those with the smallest digests.
    """

    def __init__(self, eraser: LMEraser, test: Samples):
        self.eraser, self.methods = eraser, FittedMethods(eraser)
        rows = sorted(range(len(test)), key=test.digests.__getitem__)[:TESTED]
        self._test = functools.cache(lambda: Questions.prepared(eraser, test.take(np.array(rows, np.int64))))

    def answers(
        self,
        names: Sequence[str],
        ids: Sequence[str],
        seed: int = 0,
        progress: Callable[[MethodProgress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[list[dict]]:
        """Send a request to one method after the other; after each, yield the rows so far, in the form of `bench_unlearn`.

        What a method must learn before it can forget is done once and is not part of its row. A verdict appears when the method's
        control has answered. Raises InputError for an unknown method, UnknownSampleError, CancelledError.
        """
        check_methods(names)
        ids, report = tuple(ids), progress or (lambda _: None)
        retained, forgotten = _questions(self.eraser, ids, seed)
        rows, built, scores = [], [], {}
        for name in names:
            with watching(lambda *n, name=name: report(MethodProgress(name, "fit", *n)), cancel):
                method = self.methods[name].fork()
            with watching(lambda *n, name=name: report(MethodProgress(name, "forget", *n)), cancel):
                cost = method.forget(ids)
            report(MethodProgress(name, "score", 0, 0))
            row, scores[name] = _scored(method, cost, self._test(), retained, forgotten)
            rows.append({"forgotten_samples": len(ids), **row})
            built.append(method)
            yield _compared(rows, built, scores, seed)


def _one(method: Method, ids, test: Questions, retained: Questions, forgotten: Questions) -> tuple[dict, Scores]:
    return _scored(method, method.forget(ids), test, retained, forgotten)


def _scored(method: Method, cost: Cost, test: Questions, retained: Questions, forgotten: Questions) -> tuple[dict, Scores]:
    began = time.perf_counter()
    on_test, on_retained, on_forgotten = (method.predict_proba(q) for q in (test, retained, forgotten))
    evaluate = time.perf_counter() - began
    row = {
        "method": method.name,
        "exact": method.exact,
        "seconds": {**asdict(cost.seconds), "evaluate": evaluate, "total": cost.seconds.total},
        "sample_passes": cost.sample_passes,
        "flops": cost.flops,
        "accuracy": {
            "test": _accuracy(on_test, test.samples),
            "retained": _accuracy(on_retained, retained.samples),
            "forgotten": _accuracy(on_forgotten, forgotten.samples),
        },
    }
    same = np.isin(test.samples.labels, forgotten.samples.labels)
    others = log_likelihood(on_test, test.samples.labels)[same]
    return row, Scores(log_likelihood(on_forgotten, forgotten.samples.labels), others)


def _attack(method: Method, scores: dict[str, Scores], seed: int) -> AttackResult:
    """Return the loss threshold attack's result; a method that is its own control is not compared with another."""
    pair = {method.name: scores[method.name]}
    if method.control != method.name and method.control in scores:
        pair["control"] = scores[method.control]
    return compare("loss threshold", pair, seed)[0]


COLUMNS = (
    "request",
    "method",
    "exact",
    "seconds",
    "setup",
    "training",
    "evaluation",
    "speed-up",
    "passes",
    "GFLOPs",
    "test %",
    "retained %",
    "forgotten %",
    "attack AUC",
    "against its control",
)


def markdown_table(record: dict) -> str:
    """Return the record's rows as a Markdown table: medians over the repeats, then smallest to largest where they differ."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *table_rows(record)]
    size = f"{record['samples']} samples, {record['clusters']} clusters"
    facts = f"{record['dataset']}, {size}, n = {record['repeats']} a row, seed {record['seed']}"
    machine = ", ".join(f"{k} {v}" for k, v in record["hardware"].items())
    tested = record.get("selftest")
    passed = "" if tested is None else f" Self-test of exactness: {'passed' if tested['passed'] else 'failed, so nothing is called exact'}."
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + f"\n\n{facts}. {machine}.{passed}\n"


def table_rows(record: dict) -> list[list[str]]:
    """Return the table's cells as text, a row for each request and method."""
    return [_cells(rows) for rows in _repeats(record["rows"])]


def medians(rows: list[dict]) -> list[dict]:
    """Return one flat row for each request and method: medians of seconds and test accuracy, and the first repeat's attack."""
    return [
        {
            "request": group[0]["request"],
            "method": group[0]["method"],
            "seconds": float(np.median([r["seconds"]["total"] for r in group])),
            "test": float(np.median([r["accuracy"]["test"] for r in group])),
            "auc": group[0]["attack"]["auc"],
            "auc_low": (group[0]["attack"]["auc_interval"] or [None])[0],
            "auc_high": (group[0]["attack"]["auc_interval"] or [None])[-1],
        }
        for group in _repeats(rows)
    ]


def leaders(rows: list[dict]) -> tuple[tuple[str, float], tuple[str, float]]:
    """Return the fastest method with its median seconds, and the most accurate with its median accuracy, over rows of `medians`."""
    methods: dict[str, list[dict]] = {}
    for row in rows:
        methods.setdefault(row["method"], []).append(row)
    middle = lambda key: {name: float(np.median([r[key] for r in some])) for name, some in methods.items()}  # noqa: E731
    seconds, test = middle("seconds"), middle("test")
    return min(seconds.items(), key=lambda pair: pair[1]), max(test.items(), key=lambda pair: pair[1])


def _repeats(rows: list[dict]) -> list[list[dict]]:
    """Return the rows in groups of one request and method."""
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        groups.setdefault((row["request"], row["method"]), []).append(row)
    return list(groups.values())


def _cells(rows: list[dict]) -> list[str]:
    seconds = [_middle([r["seconds"][part] for r in rows], "{:.2f}") for part in ("total", "setup", "train", "evaluate")]
    accuracy = [_middle([r["accuracy"][part] for r in rows], "{:.1f}", 100) for part in ("test", "retained", "forgotten")]
    passes = _middle([r["sample_passes"] for r in rows], "{:.0f}")
    flops = _middle([r["flops"] for r in rows], "{:,.1f}", 1e-9)
    attack = rows[0]["attack"]
    area = "–" if attack["auc"] is None else "{:.2f} ({:.2f} to {:.2f})".format(attack["auc"], *attack["auc_interval"])
    speedup = _middle([r["speedup"] for r in rows], "{:.1f}")
    exact = "yes" if rows[0]["exact"] else "no"
    return [rows[0]["request"], rows[0]["method"], exact, *seconds, speedup, passes, flops, *accuracy, area, attack["verdict"] or "–"]


def _middle(values: list, form: str, factor: float = 1) -> str:
    known = [v * factor for v in values if v is not None]
    if not known:
        return "–"
    middle, least, most = (form.format(spread(known)[name]) for name in ("median", "min", "max"))
    return middle if least == most else f"{middle} ({least} to {most})"
