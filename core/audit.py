"""Membership inference: can an observer tell from a model that it once learned certain samples?

Two attacks on three models: before a request, after it, and the control that was retrained without the samples. The likelihood
ratio (LiRA, Carlini et al., arXiv 2112.03570) asks inside the clusters that the request touched; the loss threshold asks the
whole model. What counts is the difference to the control, not 0.5: a sample can look typical, or atypical, to a model that never
saw it. Attacks of this kind are a lower bound on what leaks: a weak attack passes bad methods (arXiv 2403.01218), and equal
models say nothing about how they came to be (arXiv 2110.11891); the equality of roots does, and is checked elsewhere.

Shadow models live in local variables only; no store, cache or file sees them. Knows no request log and no page.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import asdict, dataclass, replace

import numpy as np

from core.baselines import cluster_job
from core.eraser import LMEraser, checked_ids
from core.errors import InputError
from core.executors import InlineExecutor
from core.serve import Inputs, cluster_log_proba, route
from core.train import ClusterJob, train_cluster
from core.types import Progress, ProgressCallback, Samples

INDISTINGUISHABLE = "indistinguishable from the control"
DISTINGUISHABLE = "distinguishable"
TOO_FEW = "too few samples to conclude"

MINIMUM = 30  # members, and non-members, below which nothing is concluded
MARGIN = 0.1  # of AUC: closer than this to the control, over the whole interval, counts as equal to it
RESAMPLES = 1000  # of the bootstrap
RATES = (0.001, 0.01, 0.05, 0.1, 0.2)  # false-positive rates, of which the smallest that lets 5 non-members through is reported
POOL = 4  # samples that a cluster needs, non-members included, for its shadows to be worth training
SHADOWS = (2, 64)


@dataclass(frozen=True, eq=False)
class Scores:
    """What an attack makes of a model: one number per forgotten sample and per non-member; higher means "was learned"."""

    members: np.ndarray
    others: np.ndarray

    def to_json(self) -> dict[str, list[float]]:
        """Return the numbers alone, sorted, so that none can be told to be whose."""
        return {name: np.sort(np.round(getattr(self, name), 4)).tolist() for name in ("members", "others")}


@dataclass(frozen=True)
class AttackResult:
    """One attack on one model. Intervals hold 95 % of the bootstrap; None stands for what too few samples leave open."""

    attack: str
    model: str
    members: int
    non_members: int
    auc: float | None
    auc_interval: tuple[float, float] | None
    false_positive_rate: float | None
    true_positive_rate: float | None
    true_positive_interval: tuple[float, float] | None
    difference: float | None  # of AUC to the control's
    difference_interval: tuple[float, float] | None
    verdict: str | None  # None for the control itself

    def to_json(self) -> dict:
        return asdict(self)


def audit(
    eraser: LMEraser,
    ids,
    held_out: Samples,
    shadows: int = 16,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> dict:
    """Forget ids in a private copy, retrain a control, attack both and the model as it is; return a record of plain values.

    `held_out` are samples of the same kind that the model never learned. The model itself is left as it is.
    """
    after = eraser.fork()
    after.forget(ids, _staged("request", progress), cancel)
    control, _ = after.full_retraining(_staged("control", progress), cancel)
    models = {"before": eraser, "after": after, "control": control}
    scores = attack_scores(eraser, models, ids, held_out, shadows, seed, progress, cancel)
    results = compared(scores, seed)
    sensitive = {r.attack: r.verdict == DISTINGUISHABLE for r in results if r.model == "before"}
    return {
        "forgotten": len(eraser.samples_) - len(after.samples_),
        "shadows": shadows,
        "seed": seed,
        "root": {name: model.root_ for name, model in models.items()},
        "sensitive": sensitive,  # whether the attack catches the model that kept the samples; if not, its other verdicts say little
        "results": [r.to_json() for r in results],
        "scores": {attack: {name: s.to_json() for name, s in found.items()} for attack, found in scores.items()},
    }


def _staged(stage: str, progress: ProgressCallback | None) -> ProgressCallback | None:
    """Return a callback that passes reports on under another name: several trainings follow each other here."""
    return progress and (lambda p: progress(replace(p, stage=stage)))


def audit_models(
    before: LMEraser,
    models: dict[str, LMEraser],
    ids,
    held_out: Samples,
    shadows: int = 16,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> list[AttackResult]:
    """Run both attacks on models, of which "control" is the one to compare with; `before` still holds the ids.

    Raises InputError for a number of shadows out of range, or a model without prototypes; UnknownSampleError.
    """
    scores = attack_scores(before, models, ids, held_out, shadows, seed, progress, cancel)
    return compared(scores, seed)


def compared(scores: dict[str, dict[str, Scores]], seed: int) -> list[AttackResult]:
    """Return every attack's results on every model, from `attack_scores`."""
    return [result for attack, found in scores.items() for result in compare(attack, found, seed)]


def attack_scores(
    before: LMEraser,
    models: dict[str, LMEraser],
    ids,
    held_out: Samples,
    shadows: int = 16,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> dict[str, dict[str, Scores]]:
    """Return the scores that each attack gives the samples under each model, by attack and model; raises as `audit_models`."""
    ratio = likelihood_ratio(before, models, ids, held_out, shadows, seed, progress, cancel)
    forgotten = before.samples_.take(before.samples_.rows(checked_ids(ids)))
    others = of_labels(held_out, forgotten)
    return {"likelihood ratio": ratio, "loss threshold": {name: loss_scores(m, forgotten, others) for name, m in models.items()}}


def of_labels(held_out: Samples, forgotten: Samples) -> Samples:
    """Return the held-out samples whose class is among the forgotten ones', so that an attack cannot live on the class alone."""
    return held_out.take(np.isin(held_out.labels, forgotten.labels))


# The attacks


def loss_scores(model: LMEraser, forgotten: Samples, others: Samples) -> Scores:
    """Score by the whole model's log probability of the label (Yeom et al., arXiv 1709.01604). Remembers nothing."""
    return Scores(*(log_likelihood(model.predict_proba(s.images), s.labels) if len(s) else np.zeros(0) for s in (forgotten, others)))


def log_likelihood(proba: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the log probability (n,) of each label, from probabilities (n, classes)."""
    return np.log(np.maximum(proba[np.arange(len(labels)), labels], 1e-12))


def confidence(log_proba: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)) (n,) of the label's probability p, from log probabilities (n, classes) (LiRA, section IV-A)."""
    rows = np.arange(len(labels))
    others = log_proba.astype(np.float64)
    chosen = others[rows, labels].copy()
    others[rows, labels] = -np.inf
    top = np.maximum(others.max(1), -1e3)
    return chosen - (top + np.log(np.maximum(np.exp(others - top[:, None]).sum(1), 1e-30)))


@dataclass(frozen=True, eq=False)
class Pool:
    """A touched cluster's members and the non-members that are routed to it, in ascending order of digest.

    `member` marks forgotten samples and `other` non-members, (n,) bool each; the cluster's remaining members are neither.
    """

    key: str
    inputs: Inputs
    labels: np.ndarray
    member: np.ndarray
    other: np.ndarray

    @property
    def targets(self) -> np.ndarray:
        """Rows to be judged: forgotten samples first, then non-members."""
        return np.concatenate([np.flatnonzero(self.member), np.flatnonzero(self.other)])


def likelihood_ratio(
    before: LMEraser,
    models: dict[str, LMEraser],
    ids,
    held_out: Samples,
    shadows: int = 16,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> dict[str, Scores]:
    """Score models by LiRA inside the clusters of `before` that hold the ids.

    For each such cluster, `shadows` states are trained on random halves of its members and non-members. A sample's confidence
    in the states that learned it, and in those that did not, gives two normal distributions; the score is the logarithm of
    their ratio at the confidence that a model's nearest cluster has. Their variance is one number over all samples, as the
    paper advises for few shadows, and the same for both, so that very low confidence never reads as membership.
    """
    if not SHADOWS[0] <= shadows <= SHADOWS[1] or shadows % 2:
        raise InputError(f"shadows is {shadows}; give an even number from {SHADOWS[0]} to {SHADOWS[1]}.")
    ids = checked_ids(ids)
    pools = [p for p in cluster_pools(before, ids, held_out) if len(p.labels) >= POOL]
    rng, curves = np.random.default_rng(seed), []
    for done, pool in enumerate(pools):
        inside = halves(len(pool.labels), shadows, rng)
        phi = shadow_confidences(before, pool, inside, seed, cancel)
        curves.append(_two_means(phi, inside[:, pool.targets]))
        if progress:
            progress(Progress("shadows", done + 1, len(pools)))
    variance = max(float(np.mean(np.concatenate([c[2] for c in curves]))), 1e-6) if curves else 1.0
    return {name: _ratio_scores(model, pools, curves, variance) for name, model in models.items()}


def cluster_pools(before: LMEraser, ids, held_out: Samples) -> list[Pool]:
    """Return a pool for each cluster that holds some of the ids; raises InputError for a model without prototypes."""
    partition, samples = before.partition_, before.samples_
    if not len(partition.prototypes):
        raise InputError("the likelihood ratio needs clusters with prototypes, and random shards have none. Use the loss threshold.")
    gone = samples.rows(ids)
    touched = np.unique(partition.assignment[gone])
    others = of_labels(held_out, samples.take(gone))
    weights = nearest_weights(before, before.prepare(others.images).features)[:, touched] if len(others) else np.zeros((0, len(touched)))
    owner = np.where(weights.any(1), touched[weights.argmax(1)], -1)
    return [_pool(before, c, gone, others.take(owner == c)) for c in touched]


def _pool(before: LMEraser, cluster: int, gone: np.ndarray, others: Samples) -> Pool:
    rows = before.partition_.members(cluster)
    members = before.samples_.take(rows)
    digests = members.digests + others.digests
    order = np.array(sorted(range(len(digests)), key=digests.__getitem__), np.int64)
    images = np.concatenate([members.images, others.images])[order]
    member = np.concatenate([np.isin(rows, gone), np.zeros(len(others), bool)])
    return Pool(
        key=before.keys_[cluster],
        inputs=before.prepare(images),
        labels=np.concatenate([members.labels, others.labels])[order],
        member=member[order],
        other=(np.arange(len(digests)) >= len(members))[order],
    )


def halves(n: int, shadows: int, rng: np.random.Generator) -> np.ndarray:
    """Return who is in which shadow (shadows, n) bool: random halves, each followed by its complement, so everyone is in half of them."""
    inside = np.zeros((shadows, n), bool)
    for k in range(0, shadows, 2):
        inside[k, rng.permutation(n)[: n // 2]] = True
        inside[k + 1] = ~inside[k]
    return inside


def _shadow_job(pool: Pool, before: LMEraser, rows: np.ndarray, name: str) -> ClusterJob:
    inputs = Inputs(tuple(np.array(pool.inputs.digests)[rows]), pool.inputs.features[rows], pool.inputs.values[rows])
    key = hashlib.sha256(f"audit {name} {pool.key}".encode()).hexdigest()
    return cluster_job(key, inputs, pool.labels[rows], len(before.samples_.classes), before.backbone_, before.config_)


def shadow_confidences(before: LMEraser, pool: Pool, inside: np.ndarray, seed: int, cancel=None) -> np.ndarray:
    """Train a pool's shadows and return their confidences in its targets (shadows, targets); the states end with this call."""
    jobs = [_shadow_job(pool, before, rows, f"{seed} {k}") for k, rows in enumerate(inside)]
    phi, executor = np.zeros((len(jobs), len(pool.targets))), before.executor or InlineExecutor()
    for k, state in executor.map(train_cluster, jobs, cancel):
        log_proba = cluster_log_proba(state, pool.inputs, pool.targets, before.backbone_, before.config_)
        phi[k] = confidence(log_proba, pool.labels[pool.targets])
    return phi


def _two_means(phi: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each target's mean confidence in shadows with it and without it, and its variance around them."""
    with_it = (phi * inside).sum(0) / inside.sum(0)
    without = (phi * ~inside).sum(0) / (~inside).sum(0)
    return with_it, without, np.square(phi - np.where(inside, with_it, without)).sum(0) / max(1, len(phi) - 2)


def nearest_weights(model: LMEraser, features: np.ndarray) -> np.ndarray:
    """Return (n, clusters): 1 at each image's nearest cluster, shared where a cap has cut it."""
    config = model.config_
    return route(model.partition_, features, replace(config, serve=replace(config.serve, mix=1)))


def nearest_confidence(model: LMEraser, inputs: Inputs, labels: np.ndarray) -> np.ndarray:
    """Return the confidence (n,) of each image's nearest cluster; that of chance for a model without clusters."""
    weights = nearest_weights(model, inputs.features)
    classes = len(model.samples_.classes)
    if not weights.any():
        return confidence(np.full((len(labels), classes), -np.log(classes)), labels)
    phi = np.zeros(len(labels))
    for cluster in np.flatnonzero(weights.any(0)):
        rows = np.flatnonzero(weights[:, cluster])
        state = model.states_[model.keys_[cluster]]
        phi[rows] += weights[rows, cluster] * confidence(
            cluster_log_proba(state, inputs, rows, model.backbone_, model.config_), labels[rows]
        )
    return phi


def _ratio_scores(model: LMEraser, pools: list[Pool], curves, variance: float) -> Scores:
    members, others = [np.zeros(0)], [np.zeros(0)]
    for pool, (with_it, without, _) in zip(pools, curves, strict=True):
        phi = nearest_confidence(model, pool.inputs, pool.labels)[pool.targets]
        score = (with_it - without) * (phi - (with_it + without) / 2) / variance
        members.append(score[: pool.member.sum()])
        others.append(score[pool.member.sum() :])
    return Scores(np.concatenate(members), np.concatenate(others))


# From scores to verdicts


def compare(attack: str, scores: dict[str, Scores], seed: int = 0) -> list[AttackResult]:
    """Return a result for each model's scores, set against those of "control" if it is there; bootstrap draws are shared."""
    some = next(iter(scores.values()))
    draws = bootstrap(len(some.members), len(some.others), seed)
    control = wins(scores["control"]) if "control" in scores else None
    return [_result(attack, name, s, control if name != "control" else None, draws) for name, s in scores.items()]


def _result(attack: str, name: str, scores: Scores, control: np.ndarray | None, draws) -> AttackResult:
    m, n = len(scores.members), len(scores.others)
    common = {"attack": attack, "model": name, "members": m, "non_members": n}
    if not m or not n:
        fields = [f for f in AttackResult.__dataclass_fields__ if f not in common]
        return AttackResult(**common, **{**dict.fromkeys(fields), "verdict": TOO_FEW if control is not None else None})
    own = wins(scores)
    rate = supported_rate(n)
    gap = None if control is None else interval(auc_draws(own - control, draws))
    return AttackResult(
        **common,
        auc=float(own.mean()),
        auc_interval=interval(auc_draws(own, draws)),
        false_positive_rate=rate,
        true_positive_rate=None if rate is None else true_positive_rate(scores, rate),
        true_positive_interval=None if rate is None else _tpr_interval(scores, rate, draws),
        difference=None if control is None else float((own - control).mean()),
        difference_interval=gap,
        verdict=None if gap is None else verdict(gap, m, n),
    )


def verdict(gap: tuple[float, float], members: int, others: int) -> str:
    """Judge the interval of an AUC's difference to the control's: off zero, inside the margin, or neither."""
    if min(members, others) < MINIMUM:
        return TOO_FEW
    if gap[0] > 0 or gap[1] < 0:
        return DISTINGUISHABLE
    return INDISTINGUISHABLE if max(-gap[0], gap[1]) <= MARGIN else TOO_FEW


def wins(scores: Scores) -> np.ndarray:
    """Return (members, others): 1 where the member scores higher, 0.5 for a tie; the mean is the area under the ROC curve."""
    gap = scores.members[:, None] - scores.others[None]
    return (np.sign(gap) + 1) / 2


def bootstrap(members: int, others: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each member (RESAMPLES, members) and non-member (RESAMPLES, others) is drawn, with replacement."""
    rng = np.random.default_rng(seed)
    return tuple(rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) if n else np.zeros((RESAMPLES, 0), int) for n in (members, others))


def auc_draws(table: np.ndarray, draws: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the mean of a (members, others) table in each bootstrap draw."""
    return ((draws[0] @ table) * draws[1]).sum(1) / table.size


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the bounds of the middle 95 % of some numbers."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def supported_rate(others: int) -> float | None:
    """Return the smallest false-positive rate that lets at least 5 of the non-members through, or None."""
    return next((rate for rate in RATES if rate * others >= 5), None)


def true_positive_rate(scores: Scores, rate: float) -> float:
    """Return the share of members above the threshold that at most `rate` of the non-members exceed."""
    allowed = int(rate * len(scores.others))
    return float((scores.members > np.sort(scores.others)[::-1][allowed]).mean())


def _tpr_interval(scores: Scores, rate: float, draws) -> tuple[float, float]:
    drawn = (Scores(np.repeat(scores.members, a), np.repeat(scores.others, b)) for a, b in zip(*draws, strict=True))
    return interval(np.array([true_positive_rate(s, rate) for s in drawn]))
