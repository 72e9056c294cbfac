"""Turns an attack's scores into a verdict: does the attack tell a model from controls that never learned the samples?

What counts is the difference to the controls, not the distance to 0.5: a sample can look typical, or atypical, to a model that never saw
it. To measure how far chance moves the difference, the attack is drawn again and again with half of the samples and half of the shadow
models (a statistic of random halves varies as the whole one does; Shao and Wu, Annals of Statistics 17, 1989). A model is called
indistinguishable only where the difference lies inside a margin with 95 % confidence.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.stats import rankdata

INDISTINGUISHABLE = "indistinguishable from the control"
DISTINGUISHABLE = "distinguishable"
TOO_FEW = "too few samples to conclude"

MINIMUM = 30  # members, and non-members, below which nothing is concluded
MARGIN = 0.02  # of AUC, both ways: a model whose difference surely lies inside counts as equal to the controls
TPR_MARGIN = 0.1  # of the true-positive rate at a low false-positive rate, both ways
SURE = 1.645  # standard errors on either side that must lie inside the margin: two one-sided tests at 5 %
ALARM = 3.0  # standard errors off zero that make a difference: 1 in 370 equal models is that far off, in each of several figures
SHOWN = 1.96  # standard errors of an interval of 95 %
DRAWS = 100  # of the attack
RATES = (0.001, 0.01, 0.05, 0.1, 0.2)  # false-positive rates, of which the smallest that accuses 5 non-members is reported


@dataclass(frozen=True, eq=False)
class Scores:
    """An attack's scores for a model: one number per forgotten sample and per non-member; higher means "was learned"."""

    members: np.ndarray
    others: np.ndarray

    def to_json(self) -> dict[str, list[float]]:
        """Return the scores sorted, so that none can be matched with its sample."""
        return {name: np.sort(np.round(getattr(self, name), 4)).tolist() for name in ("members", "others")}


@dataclass(frozen=True, eq=False)
class Attack:
    """What one attack observes of n samples: each model's confidence in them, and the shadow models that turn confidence into a score.

    `member` (n,) bool marks the forgotten samples. `models` holds (n,) by name, `controls` (r, n). `shadows` (s, n) are confidences of
    shadow models, `inside` (s, n) says which shadow learned which sample, in complementary pairs; with 0 shadows confidence is the score.
    """

    name: str
    member: np.ndarray
    models: dict[str, np.ndarray]
    controls: np.ndarray
    shadows: np.ndarray
    inside: np.ndarray

    @classmethod
    def threshold(cls, name: str, member: np.ndarray, models: dict[str, np.ndarray], controls: np.ndarray) -> Attack:
        """Return an attack without shadow models (Yeom et al., arXiv 1709.01604)."""
        return cls(name, member, models, controls, np.zeros((0, len(member))), np.zeros((0, len(member)), bool))

    def scores(self, values: np.ndarray, pairs: np.ndarray | None = None) -> np.ndarray:
        """Return the scores (..., n) of confidences (..., n), from all shadow models or some pairs of them.

        A sample's confidence in the shadows that learned it, and in those that did not, gives two normal distributions; the score is the
        logarithm of their ratio (Carlini et al., arXiv 2112.03570). Their variance is one number over all samples, as the paper advises
        for few shadows, and the same for both, so that very low confidence never reads as membership.
        """
        if not len(self.shadows):
            return values
        rows = slice(None) if pairs is None else np.concatenate([2 * pairs, 2 * pairs + 1])
        phi, inside = self.shadows[rows], self.inside[rows]
        with_it, without = ((phi * chosen).sum(0) / chosen.sum(0) for chosen in (inside, ~inside))
        spread = np.square(phi - np.where(inside, with_it, without)).sum() / max(1, phi.size - 2 * phi.shape[1])
        return (with_it - without) * (values - (with_it + without) / 2) / max(float(spread), 1e-6)

    def named_scores(self) -> dict[str, Scores]:
        """Return the scores of all models by name, the first control's among them."""
        named = self.models | ({"control": self.controls[0]} if len(self.controls) else {})
        scores = {name: self.scores(values) for name, values in named.items()}
        return {name: Scores(s[self.member], s[~self.member]) for name, s in scores.items()}


@dataclass(frozen=True)
class AttackResult:
    """One attack on one model, with 95 % intervals; None where there are too few samples."""

    attack: str
    model: str
    members: int
    non_members: int
    auc: float | None = None
    auc_interval: tuple[float, float] | None = None
    false_positive_rate: float | None = None
    true_positive_rate: float | None = None
    true_positive_interval: tuple[float, float] | None = None
    difference: float | None = None  # of AUC to the controls'
    difference_interval: tuple[float, float] | None = None
    true_positive_difference: float | None = None  # to the controls'
    true_positive_difference_interval: tuple[float, float] | None = None
    verdict: str | None = None  # None for the control itself

    def to_json(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Estimate:
    """An estimate and its standard error."""

    value: float
    error: float

    def interval(self, low: float = -1.0) -> tuple[float, float]:
        """Return the interval that holds 95 %, cut at `low` and 1."""
        return max(low, self.value - SHOWN * self.error), min(1.0, self.value + SHOWN * self.error)

    def inside(self, margin: float) -> bool:
        """Whether the value lies inside a margin around zero with 95 % confidence."""
        return abs(self.value) + SURE * self.error <= margin

    def off_zero(self) -> bool:
        """Whether the value is too far from zero to be chance."""
        return abs(self.value) > ALARM * self.error


def verdict(area: Estimate, caught: Estimate | None, members: int, others: int) -> str:
    """Return the verdict on differences to the controls: of AUC, and of the true-positive rate where there are enough non-members."""
    gaps = [(area, MARGIN)] + ([(caught, TPR_MARGIN)] if caught else [])
    if min(members, others) < MINIMUM:
        return TOO_FEW
    if any(gap.off_zero() and not gap.inside(margin) for gap, margin in gaps):
        return DISTINGUISHABLE
    return INDISTINGUISHABLE if all(gap.inside(margin) for gap, margin in gaps) else TOO_FEW


def overall(results: list[AttackResult], model: str = "after", known: str = "before") -> str:
    """Return the verdict of all attacks on a model; an attack that cannot tell `known`, which holds the samples, clears no model."""
    verdicts = {(r.attack, r.model): r.verdict for r in results}
    of_model = {attack: v for (attack, name), v in verdicts.items() if name == model}
    if DISTINGUISHABLE in of_model.values():
        return DISTINGUISHABLE
    strong = {v for attack, v in of_model.items() if verdicts.get((attack, known)) == DISTINGUISHABLE}
    return INDISTINGUISHABLE if strong == {INDISTINGUISHABLE} else TOO_FEW


def supported_rate(others: int) -> float | None:
    """Return the smallest false-positive rate that accuses at least 5 non-members, or None."""
    return next((rate for rate in RATES if rate * others >= 5), None)


def areas_and_rates(member: np.ndarray, scores: np.ndarray, rate: float | None) -> np.ndarray:
    """Return (2, models): the area under each ROC curve, and the true-positive rate where at most `rate` of the non-members are accused.

    `scores` is (models, n). Ranks all models at once: one verdict needs thousands of curves, which takes scikit-learn too long.
    """
    m, others = int(member.sum()), scores[:, ~member]
    wins = rankdata(scores, axis=1)[:, member].sum(1) - m * (m + 1) / 2
    allowed = int((rate or 0.0) * others.shape[1])
    bound = np.sort(others, axis=1)[:, -1 - allowed, None]
    return np.stack([wins / (m * others.shape[1]), (scores[:, member] > bound).mean(1)])


def evaluate(attack: Attack, seed: int = 0) -> list[AttackResult]:
    """Return the result for each model, then for the controls: the average one, and one of them set against the others."""
    m, n = int(attack.member.sum()), int((~attack.member).sum())
    r, names = len(attack.controls), list(attack.models)
    shown = names + ["control"] * (r > 0) + ["another control"] * (r > 1)
    if not m or not n:
        return [AttackResult(attack.name, x, m, n, verdict=None if not r or x == "control" else TOO_FEW) for x in shown]
    rate = supported_rate(n)
    stacked = np.stack([*attack.models.values(), *attack.controls])
    whole = _measured(attack, stacked, np.arange(len(attack.member)), None, rate)[None]
    draws = np.stack([_drawn(attack, stacked, rate, np.random.default_rng([seed, b])) for b in range(DRAWS)])
    return [_result(attack.name, name, _Draws(whole, draws, names, r, rate), m, n) for name in shown]


def _measured(attack: Attack, stacked: np.ndarray, rows: np.ndarray, pairs: np.ndarray | None, rate: float | None) -> np.ndarray:
    """Return (2, models): area and true-positive rate of each row of confidences, over some samples and pairs of shadows."""
    return areas_and_rates(attack.member[rows], attack.scores(stacked, pairs)[:, rows], rate)


def _drawn(attack: Attack, stacked: np.ndarray, rate: float | None, rng: np.random.Generator) -> np.ndarray:
    """Measure all models on random halves of members, of non-members and of the shadow pairs."""
    half = lambda rows: rng.permutation(rows)[: max(1, len(rows) // 2)]  # noqa: E731
    rows = np.concatenate([half(np.flatnonzero(attack.member)), half(np.flatnonzero(~attack.member))])
    return _measured(attack, stacked, rows, half(np.arange(len(attack.shadows) // 2)), rate)


@dataclass(frozen=True, eq=False)
class _Draws:
    """Area and true-positive rate of models, then controls: of all samples (1, 2, models), and of each draw (draws, 2, models)."""

    whole: np.ndarray
    draws: np.ndarray
    names: list[str]
    controls: int
    rate: float | None

    def estimate(self, measure: int, places: list[int], against: list[int]) -> Estimate:
        """Return a measure of some columns on average, less that of others."""
        mean = lambda values: values[:, places].mean(1) - (values[:, against].mean(1) if against else 0)  # noqa: E731
        return Estimate(float(mean(self.whole[:, measure])[0]), float(mean(self.draws[:, measure]).std(ddof=1)))


def _result(attack: str, name: str, drawn: _Draws, members: int, others: int) -> AttackResult:
    """Return the result for one model, for the average control, or for one control against the others."""
    first, r, rate = len(drawn.names), drawn.controls, drawn.rate
    places = {**{x: [i] for i, x in enumerate(drawn.names)}, "control": list(range(first, first + r)), "another control": [first]}
    against = [] if name == "control" else list(range(first + (name == "another control"), first + r))
    area, caught = (drawn.estimate(measure, places[name], []) for measure in (0, 1))
    result = AttackResult(attack, name, members, others, area.value, area.interval(0.0), rate)
    if rate is not None:
        result = replace(result, true_positive_rate=caught.value, true_positive_interval=caught.interval(0.0))
    if not against:
        return result
    gap, rate_gap = (drawn.estimate(measure, places[name], against) for measure in (0, 1))
    conclusion = verdict(gap, rate_gap if rate is not None else None, members, others)
    result = replace(result, difference=gap.value, difference_interval=gap.interval(), verdict=conclusion)
    if rate is None:
        return result
    return replace(result, true_positive_difference=rate_gap.value, true_positive_difference_interval=rate_gap.interval())


def compare(attack: str, scores: dict[str, Scores], seed: int = 0) -> list[AttackResult]:
    """Return a result for each model's scores, set against those of "control" if it is there."""
    joined = {name: np.concatenate([s.members, s.others]) for name, s in scores.items()}
    some = next(iter(scores.values()))
    member = np.arange(len(some.members) + len(some.others)) < len(some.members)
    control = joined.pop("control", None)
    return evaluate(Attack.threshold(attack, member, joined, np.zeros((0, len(member))) if control is None else control[None]), seed)
