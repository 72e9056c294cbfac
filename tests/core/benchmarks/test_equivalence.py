import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from core.benchmarks.equivalence import (
    DISTINGUISHABLE,
    INDISTINGUISHABLE,
    MARGIN,
    TOO_FEW,
    Attack,
    Estimate,
    Scores,
    areas_and_rates,
    compare,
    evaluate,
    supported_rate,
    verdict,
)


def threshold(models, controls, members=300, others=300):
    return Attack.threshold("loss threshold", np.arange(members + others) < members, models, np.array(controls))


@pytest.fixture(scope="module")
def typical():
    """Confidence in 600 samples that every model has, and six models that differ a little by their training seed."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=600)
    return [common + 0.05 * rng.normal(size=600) for _ in range(6)]


def test_areas_and_rates_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    member, scores = rng.random(90) < 0.4, rng.integers(0, 30, (3, 90)).astype(float)
    area, caught = areas_and_rates(member, scores, 0.1)
    assert area == pytest.approx([roc_auc_score(member, s) for s in scores])
    curves = [roc_curve(member, s, drop_intermediate=False) for s in scores]
    assert caught == pytest.approx([true[false <= 0.1].max() for false, true, _ in curves])


def test_the_smallest_rate_that_lets_five_through_is_reported():
    assert [supported_rate(n) for n in (10, 25, 50, 100, 500, 5000)] == [None, 0.2, 0.1, 0.05, 0.01, 0.001]


def test_verdicts_follow_the_margin_and_the_error():
    assert verdict(Estimate(0.0, 0.01), None, 100, 100) == INDISTINGUISHABLE
    assert verdict(Estimate(0.015, 0.001), None, 100, 100) == INDISTINGUISHABLE
    assert verdict(Estimate(0.0, 0.02), None, 100, 100) == TOO_FEW
    assert verdict(Estimate(MARGIN + 0.01, 0.02), None, 100, 100) == TOO_FEW
    assert verdict(Estimate(0.2, 0.02), None, 100, 100) == DISTINGUISHABLE
    assert verdict(Estimate(-0.2, 0.02), None, 100, 100) == DISTINGUISHABLE
    assert verdict(Estimate(0.2, 0.02), None, 29, 100) == verdict(Estimate(0.0, 0.0), None, 100, 29) == TOO_FEW


def test_the_rate_at_few_false_alarms_is_part_of_the_verdict():
    assert verdict(Estimate(0.0, 0.001), Estimate(0.3, 0.03), 100, 100) == DISTINGUISHABLE
    assert verdict(Estimate(0.0, 0.001), Estimate(0.0, 0.08), 100, 100) == TOO_FEW
    assert verdict(Estimate(0.0, 0.001), Estimate(0.0, 0.03), 100, 100) == INDISTINGUISHABLE


def test_a_model_of_another_seed_passes_and_one_that_remembers_fails(typical):
    remembers = typical[1] + 0.3 * (np.arange(600) < 300)
    few = typical[1] + 4.0 * (np.arange(600) < 30)
    found = {r.model: r for r in evaluate(threshold({"after": typical[0], "kept": remembers, "few": few}, typical[2:]))}
    assert [found[m].verdict for m in ("after", "kept", "few")] == [INDISTINGUISHABLE, DISTINGUISHABLE, DISTINGUISHABLE]
    assert found["another control"].verdict == INDISTINGUISHABLE
    assert found["control"].verdict is None
    for r in found.values():
        assert r.auc_interval[0] < r.auc < r.auc_interval[1]


def test_equal_models_of_too_few_samples_are_not_called_equal(typical):
    rows = np.r_[0:40, 300:340]
    noisy = [t[rows] + np.random.default_rng(i).normal(size=80) for i, t in enumerate(typical)]
    assert evaluate(threshold({"after": noisy[0]}, noisy[1:], 40, 40))[0].verdict == TOO_FEW


def test_equal_models_seldom_raise_an_alarm():
    verdicts = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        common = rng.normal(size=200)
        models = [common + 0.5 * rng.normal(size=200) for _ in range(5)]
        verdicts.append(evaluate(threshold({"after": models[0]}, models[1:], 100, 100), seed)[0].verdict)
    assert verdicts.count(DISTINGUISHABLE) <= 2


def test_shadows_find_what_a_threshold_cannot():
    rng = np.random.default_rng(0)
    n, hardness = 400, rng.normal(0, 5, 400)
    member, inside = np.arange(n) < 200, np.zeros((8, n), bool)
    for k in range(0, 8, 2):
        inside[k, rng.permutation(n)[: n // 2]] = True
        inside[k + 1] = ~inside[k]
    noise = lambda *shape: 0.5 * rng.normal(size=shape)  # noqa: E731
    shadows, controls = hardness + inside + noise(8, n), hardness + noise(3, n)
    kept = {"kept": hardness + member + noise(n)}
    attack = Attack("likelihood ratio", member, kept, controls, shadows, inside)
    assert evaluate(attack)[0].auc > 0.8 > 0.65 > evaluate(Attack.threshold("loss threshold", member, kept, controls))[0].auc


def test_scores_set_against_one_control():
    rng = np.random.default_rng(0)
    same, other = rng.normal(size=300), rng.normal(size=300)
    control = Scores(same, other)
    results = compare(
        "loss threshold", {"equal": control, "kept": Scores(same + 2, other), "low": Scores(same - 2, other), "control": control}
    )
    assert [(r.model, r.verdict) for r in results] == [
        ("equal", INDISTINGUISHABLE),
        ("kept", DISTINGUISHABLE),
        ("low", DISTINGUISHABLE),
        ("control", None),
    ]
    assert compare("loss threshold", {"alone": control})[0].verdict is None


def test_no_non_members_leave_all_open():
    empty = compare("x", {"after": Scores(np.ones(40), np.zeros(0)), "control": Scores(np.ones(40), np.zeros(0))})
    assert [(r.auc, r.verdict) for r in empty] == [(None, TOO_FEW), (None, None)]
