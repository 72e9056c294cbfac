"""Membership inference: can an observer tell from a model's answers that it once learned certain samples?

Two attacks read the probability that a model serves: the likelihood ratio (LiRA, Carlini et al., arXiv 2112.03570), with shadow models of
the whole path (`core.audit.shadow_models`), and the loss threshold. They attack the model before a request and after it. The controls are
trained without the samples, each with another seed: an exact model equals, bit for bit, the one that is trained without them, so a
comparison with that one says nothing about the attack. Mislabeled canaries, taught and forgotten, are the attack's strongest case. Broken
copies of the same request (`core.audit.planted_breaks`) show what the audit would notice.

A passed attack proves nothing by itself, because a weak attack passes bad methods (arXiv 2403.01218). For proof, compare roots.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.audit.planted_breaks import BREAKS, DAMAGES
from core.audit.shadow_models import Targets, ask_shadows, confidence, find_targets, halves, served
from core.benchmarks.baselines import unfitted
from core.benchmarks.equivalence import DISTINGUISHABLE, MARGIN, TPR_MARGIN, Attack, AttackResult, evaluate, overall
from core.data.samples import Samples
from core.errors import InputError
from core.lmeraser.eraser import LMEraser
from core.runtime.progress import ProgressCallback

SHADOWS = (2, 64)
CONTROLS = (2, 16)
CANARIES = 80  # mislabeled samples that are taught, and at most as many as are not: fewer cannot be told from controls within the margin
PLANTED = ("head not subtracted", "one touched cluster stale", "all touched clusters stale")
RATIO, LOSS, CANARY = "likelihood ratio", "loss threshold", "mislabeled canaries"


@dataclass(frozen=True)
class AuditSettings:
    """How thorough an audit is. `breaks` are names of `core.audit.planted_breaks.BREAKS`; raises InputError for numbers out of range."""

    shadows: int = 12  # shadow models, an even number
    controls: int = 4  # models retrained without the samples
    seed: int = 0
    breaks: tuple[str, ...] = PLANTED

    def __post_init__(self) -> None:
        if not SHADOWS[0] <= self.shadows <= SHADOWS[1] or self.shadows % 2:
            raise InputError(f"shadows is {self.shadows}; give an even number from {SHADOWS[0]} to {SHADOWS[1]}.")
        if not CONTROLS[0] <= self.controls <= CONTROLS[1]:
            raise InputError(f"controls is {self.controls}; give a whole number from {CONTROLS[0]} to {CONTROLS[1]}.")


def audit(
    eraser: LMEraser,
    ids: Sequence[str],
    held_out: Samples,
    settings: AuditSettings = AuditSettings(),
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> dict[str, Any]:
    """Forget ids in a private copy, train controls, attack them all, canaries and broken copies included; return plain values.

    `held_out` are samples of the same kind that the model never learned. The model itself is not changed. Raises InputError for a model
    without prototypes; UnknownSampleError, CancelledError.
    """
    after, retained = eraser.fork(), eraser.samples_.without(ids)
    after.forget(ids, _staged("request", progress), cancel)
    control = unfitted(eraser).fit(retained, progress=_staged("control", progress), cancel=cancel)
    broken = dict(broken_copies(eraser, after, ids, settings.breaks))
    models = {"before": eraser, "after": after, **broken, "control": control}
    evidence = collect_evidence(eraser, models, ids, held_out, settings, progress, cancel)
    attacks = [evidence.likelihood_ratio(), evidence.loss_threshold()]
    attacks += canary_attacks(after, evidence, settings, _staged("canaries", progress), cancel)
    results = [result for attack in attacks for result in evaluate(attack, settings.seed)]
    by_break = {name: {r.attack: r.verdict for r in results if r.model == name} for name in settings.breaks}
    return {
        "forgotten": len(eraser.samples_) - len(after.samples_),
        "shadows": settings.shadows,
        "controls": settings.controls,
        "seed": settings.seed,
        "margin": {"auc": MARGIN, "true_positive_rate": TPR_MARGIN},
        "root": {"before": eraser.root_, "after": after.root_, "control": control.root_},
        "verdict": overall(results),
        "sensitive": {r.attack: r.verdict == DISTINGUISHABLE for r in results if r.model == "before"},
        "planted": {name: verdicts for name, verdicts in by_break.items() if verdicts},
        "results": [result.to_json() for result in results],
        "scores": {a.name: {name: scores.to_json() for name, scores in a.named_scores().items()} for a in attacks},
    }


def _staged(stage: str, progress: ProgressCallback | None) -> ProgressCallback | None:
    """Return a callback that passes reports on under another name: several trainings follow each other here."""
    return progress and (lambda p: progress(replace(p, stage=stage)))


def broken_copies(before: LMEraser, after: LMEraser, ids: Sequence[str], breaks: Sequence[str] = PLANTED) -> Iterator[tuple[str, LMEraser]]:
    """Yield (name, model) for each break that this model and request allow: copies that show what an audit can notice."""
    for name in breaks:
        with suppress(InputError):  # no head, or no retrained cluster
            yield name, DAMAGES[name](before, after, ids) if name in DAMAGES else BREAKS[name](before, ids)


def noticed(record: dict[str, Any]) -> dict[str, bool]:
    """Return, for each break in an audit's record, whether any attack tells it from the controls."""
    return {name: DISTINGUISHABLE in verdicts.values() for name, verdicts in record["planted"].items()}


def audit_models(
    before: LMEraser,
    models: dict[str, LMEraser],
    ids: Sequence[str],
    held_out: Samples,
    settings: AuditSettings = AuditSettings(),
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> list[AttackResult]:
    """Run both attacks on models, of which "control" was retrained without the ids; `before` still holds them. Raises as `audit`."""
    evidence = collect_evidence(before, models, ids, held_out, settings, progress, cancel)
    return evaluate(evidence.likelihood_ratio(), settings.seed) + evaluate(evidence.loss_threshold(), settings.seed)


@dataclass(frozen=True, eq=False)
class Evidence:
    """The log probabilities that models (n, classes), shadows (s, n, classes) and controls (r, n, classes) serve for n targets.

    `inside` (s, n) says which shadow learned which target.
    """

    targets: Targets
    models: dict[str, np.ndarray]
    shadows: np.ndarray
    controls: np.ndarray
    inside: np.ndarray

    def likelihood_ratio(self) -> Attack:
        """Return the attack that compares with shadows."""
        shadows = confidence(self.shadows, self.targets.samples.labels)
        return Attack(RATIO, self.targets.member, *self._confidences(), shadows, self.inside)

    def loss_threshold(self) -> Attack:
        """Return the attack that reads the label's probability alone."""
        return Attack.threshold(LOSS, self.targets.member, *self._confidences())

    def _confidences(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        labels = self.targets.samples.labels
        return {name: confidence(found, labels) for name, found in self.models.items()}, confidence(self.controls, labels)


def collect_evidence(
    before: LMEraser,
    models: dict[str, LMEraser],
    ids: Sequence[str],
    held_out: Samples,
    settings: AuditSettings,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> Evidence:
    """Ask models, shadows and controls about the ids and non-members; `models["control"]` was retrained without the ids."""
    control = models["control"]
    targets = find_targets(before, control, ids, held_out, settings.seed)
    inside = halves(len(targets), settings.shadows, np.random.default_rng(settings.seed))
    nobody = np.zeros((settings.controls, len(targets)), bool)  # a control is a shadow that learned no target
    answers = ask_shadows(control, targets, np.concatenate([inside, nobody]), settings.seed, progress, cancel)
    attacked = {name: served(model, targets) for name, model in models.items() if name != "control"}
    return Evidence(targets, attacked, answers[: settings.shadows], answers[settings.shadows :], inside)


# Canaries


def canary_attacks(
    after: LMEraser,
    evidence: Evidence,
    settings: AuditSettings = AuditSettings(),
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> list[Attack]:
    """Teach a copy of `after` some non-members with wrong labels, forget them, and return the attack on that.

    Which ones are taught is drawn at random, so taught and untaught differ in nothing else. Returns no attack where there are fewer than
    two non-members or classes.
    """
    others, classes = np.flatnonzero(~evidence.targets.member), len(after.samples_.classes)
    if len(others) < 2 or classes < 2:
        return []
    rng = np.random.default_rng([settings.seed, 2])
    canaries = _mislabeled(evidence.targets.take(others), rng.integers(1, classes, len(others)))
    taught = np.isin(np.arange(len(others)), rng.permutation(len(others))[: min(CANARIES, len(others) // 2)])
    models = _canary_models(after, canaries.samples.take(taught), settings.breaks, progress, cancel)
    wrong = canaries.samples.labels
    confidences = {name: confidence(served(model, canaries), wrong) for name, model in models.items()}
    return [Attack.threshold(CANARY, taught, confidences, confidence(evidence.controls[:, others], wrong))]


def _mislabeled(targets: Targets, shift: np.ndarray) -> Targets:
    """Return the targets with each label moved on by `shift` classes (n,)."""
    classes = targets.samples.classes
    samples = Samples.build(targets.samples.images, (targets.samples.labels + shift) % len(classes), classes)
    return replace(targets, samples=samples, inputs=replace(targets.inputs, digests=samples.digests))


def _canary_models(
    after: LMEraser,
    canaries: Samples,
    breaks: Sequence[str],
    progress: ProgressCallback | None,
    cancel: threading.Event | None,
) -> dict[str, LMEraser]:
    """Return the model that learned the canaries, the one that forgot them, and its broken copies."""
    taught = after.fork()
    taught.learn(canaries, progress, cancel)
    ids = taught.samples_.ids[-len(canaries) :]
    forgot = taught.fork()
    forgot.forget(ids, progress, cancel)
    return {"before": taught, "after": forgot, **dict(broken_copies(taught, forgot, ids, breaks))}
