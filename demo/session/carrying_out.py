"""Carries out one request on a visitor's model and records what the page shows of it.

Some of that can only be looked at before the request: accuracies, class probabilities of the images, prompts of the clusters. They
are stored until the visitor's next request, Start over, or departure. Images are never stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.samples import Samples
from core.errors import StalePlanError
from core.lmeraser.records import ForgetPlan
from core.runtime.progress import ProgressCallback
from demo import texts
from demo.session.lab import Lab
from demo.session.protocol import Model
from demo.session.requests import Probabilities, Request, Unlearned
from demo.session.visitor import Visitor
from demo.session.work import InterruptedRequestError

if TYPE_CHECKING:
    from core.benchmarks.metrics import EvaluationReport, Score

MOST_IMAGES = 12  # whose class probabilities are shown
MOST_CLUSTERS = 8  # whose prompts are drawn


def carry_out(
    lab: Lab, visitor: Visitor, plan: ForgetPlan, rows: tuple[int, ...], progress: ProgressCallback, cancel: threading.Event
) -> Request:
    """Forget the rows by their plan and return the request; the visitor and the lab take it up.

    Raises StalePlanError when the model has changed since the plan was made, InterruptedRequestError when the program ends,
    CancelledError, StoreError.
    """
    if lab.closing:
        raise InterruptedRequestError(texts.INTERRUPTED)
    model, began = lab.model(visitor), time.perf_counter()
    if plan.root != model.root:
        raise StalePlanError(texts.MODEL_CHANGED)
    ids = tuple(lab.rows(visitor).ids(rows))  # from the lab's own list, before any work: the proof is about these
    figures = plan_figures(lab, visitor, plan, rows)
    leaving = np.isin(model.samples.ids, plan.ids)
    forget_set, correct = model.samples.take(leaving), update_correct(lab, visitor)
    report = visitor.report
    before = model.evaluate(forget_set) if correct is None or report is None else _split(report, correct, leaving)
    digests = model.digests(plan.untouched)
    shown = tuple(sorted(rows, key=lambda row: row not in visitor.taught)[:MOST_IMAGES])  # a visitor's own first: the card is about them
    asked = model.samples.take(model.samples.rows(lab.rows(visitor).ids(shown)))
    answers, reach, prompts = model.probabilities(asked), model.reach(plan), _prompts_before(model, plan)
    lab.open_ledger(visitor)
    receipt = model.forget(plan, progress=progress, cancel=cancel)
    visitor.drop_files()
    probabilities = Probabilities(shown, asked.labels, answers, model.probabilities(asked))
    report_after, digests_after = _report_after(model, forget_set, probabilities), model.digests(plan.untouched)
    same = sum(digests_after[key] == digest for key, digest in digests.items())
    request = Request(
        rows,
        figures,
        model.outcome,
        before,
        report_after,
        (same, len(digests)),
        ids=ids,
        full_passes=model.sample_passes,
        emptied=_emptied(visitor, model, forget_set),
        receipt=receipt,
        reach=reach,
        probabilities=probabilities,
        prompts_before=prompts,
        taught=next((Unlearned(taught.root, taught.answers) for row, taught in visitor.taught.items() if row in rows), None),
        pace=model.pace,
        waited=time.perf_counter() - began,
    )
    lab.done(visitor, request, report_after, None if correct is None else correct[~leaving])
    return request


def plan_figures(lab: Lab, visitor: Visitor, plan: ForgetPlan, rows: Sequence[int]) -> dict[str, Any]:
    """Return a plan's figures, and how many clusters hold its images; full retraining as measured, where it was, at the present pace.

    `predicted_beside` are the seconds that the last request's evaluation took, None before the first: the person waits for that, too.
    """
    holding = np.unique(lab.row_clusters(visitor)[list(rows)])
    full = {"predicted_full_seconds": lab.measured.scaled_to(len(plan.retained)) * lab.model(visitor).pace} if lab.measured else {}
    return plan.summary() | {"clusters_holding": len(holding), "predicted_beside": lab.beside} | full


def update_correct(lab: Lab, visitor: Visitor) -> np.ndarray | None:
    """Return which samples the visitor's model classifies correctly; the model is asked only if it has changed."""
    model, holder = lab.model(visitor), lab.holder(visitor)
    if holder.correct_root != model.root:
        holder.correct, holder.correct_root = model.correct(), model.root
    return holder.correct


def _report_after(model: Model, forget_set: Samples, asked: Probabilities) -> EvaluationReport:
    """Return the report on the model as it is now; where all forgotten images were asked about already, they are not asked again."""
    if len(asked.labels) < len(forget_set):
        return model.evaluate(forget_set)
    report = model.evaluate(None)
    hits = asked.after.argmax(1) == asked.labels
    return replace(report, forgotten=replace(report.test, accuracy=float(hits.mean()), n=len(hits)))


def _split(report: EvaluationReport, correct: np.ndarray, leaving: np.ndarray) -> EvaluationReport:
    """Return the report on a model from its own report and `correct` (n,), with the samples that leave (n,) counted apart."""

    def score(hits: np.ndarray) -> Score | None:
        return replace(report.test, accuracy=float(hits.mean()), n=len(hits)) if len(hits) else None

    nothing = replace(report.test, accuracy=None, n=0)
    return replace(report, retained=score(correct[~leaving]) or nothing, forgotten=score(correct[leaving]))


def _prompts_before(model: Model, plan: ForgetPlan) -> dict[str, np.ndarray | None]:
    """Return, by key of the cluster afterwards, the prompt before of the cluster that most of it comes from."""
    origins = dict(list(model.origins(plan).items())[:MOST_CLUSTERS])
    prompts = model.prompts({key for key in origins.values() if key})
    return {key: prompts.get(old) if old else None for key, old in origins.items()}


def _emptied(visitor: Visitor, model: Model, forget_set: Samples) -> tuple[str, ...]:
    """Return the classes that have lost their last image, to a request that is now done or to an earlier one."""
    left, names = set(model.samples.labels.tolist()), forget_set.classes
    if visitor.last:
        earlier = [names.index(name) for name in visitor.last.emptied]
    else:  # a workspace's model may have lost some before the page started
        earlier = [c for c in range(len(names)) if visitor.lost and c not in left]
    return tuple(names[c] for c in sorted({*earlier, *(set(forget_set.labels.tolist()) - left)}))
